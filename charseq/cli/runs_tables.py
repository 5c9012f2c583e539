"""How runs are shown: their state and their figures in words, and their curves."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from charseq.cli.asides import show_note
from charseq.cli.console import clock, plain_table
from charseq.cli.writing import whole_file

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from charseq.reports.curves import By, Curve
    from charseq.training.history import Evaluation, Run

STATES = {
    "running": "cyan",
    "done": "green",
    "stopped": "yellow",
    "diverged": "red",
    "not started": "dim",
    "unreadable": "red",
}
WIDE = 1000  # columns of what is not shown on a screen: whoever reads it wants a run in one line


def screen() -> "Console":
    """Standard output; as wide as it needs to be where that is no terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDE)


def table(*headings: str, words: Sequence[str]) -> "Table":
    """A table without lines: columns of ``words`` may be folded, those of numbers may not."""
    made = plain_table()
    for heading in headings:
        if heading in words:
            made.add_column(heading, overflow="fold")
        else:
            made.add_column(heading, justify="right", no_wrap=True)
    return made


def state(run: "Run") -> "Text":
    """Its state, and how far it is."""
    from rich.text import Text

    from charseq.text.characters import escape

    total = "" if run.total_steps is None else f" of {run.total_steps:,}"
    words = {
        "running": f"running, step {run.step:,}{total}",
        "stopped": f"stopped at step {run.step:,}{total}",
    }.get(run.state, run.state)
    if run.state in ("diverged", "unreadable") or (run.state == "stopped" and run.why):
        words = f"{words}: {escape(run.why)}" if run.state != "stopped" else f"{words}, {run.why}"
    return Text(words, style=STATES[run.state])


def model(run: "Run") -> str:
    """``lm 1×384``: task, layers and width."""
    if run.config is None:
        return ""
    return f"{run.config.task} {run.config.model.num_layers}×{run.config.model.hidden_size}"


def score(one: "Evaluation | None") -> str:
    """The figures of an evaluation, as a training shows them."""
    if one is None:
        return ""
    if one.ser is None:
        return f"{one.nats:.4f} nats" + ("" if one.bpc is None else f", {one.bpc:.3f} bpc")
    return f"{one.accuracy:.2%} right, SER {one.ser:.2%}"


def whole_score(one: "Evaluation | None" = None) -> str:
    """With the loss of pairs."""
    more = f", {one.nats:.4f} nats" if one and one.ser is not None else ""
    return score(one) + more


def number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def time_of(run: "Run") -> str:
    return clock(run.seconds) if run.seconds else ""


def as_json(run: "Run") -> dict[str, Any]:
    """What a program may want to know of a run."""
    from charseq.config import config_to_json

    return {
        "run": str(run.path),
        "state": run.state,
        "why": run.why or None,
        "step": run.step,
        "total_steps": run.total_steps,
        "parameters": run.parameters,
        "symbols_per_second": run.speed,
        "seconds": run.seconds,
        "best": evaluation_json(run.best),
        "last": evaluation_json(run.evaluations[-1] if run.evaluations else None),
        "config": config_to_json(run.config) if run.config else None,
    }


def evaluation_json(one: "Evaluation | None") -> dict[str, Any] | None:
    if one is None:
        return None
    return one.model_dump(exclude={"event", "is_best", "diverged"}, exclude_none=True)


def show_curves(
    console: "Console", curves: Sequence["Curve"], measure: str, by: "By", legend: Sequence[str]
) -> None:
    """The curves, below what they are, above who they are; nothing where there are none."""
    from rich.text import Text

    from charseq.reports.curves import MEASURES, SCREEN, SEVERAL, STYLES, CurvePlot

    if not any(one.x for one in curves):
        return
    console.print(Text(f"\n{MEASURES[measure]}"))
    width = console.width if console.is_terminal else SCREEN
    console.print(CurvePlot(curves, by), width=width)
    for one, name in zip(curves, legend, strict=True):
        letter = Text(f"  {one.label} ", style=STYLES[one.group % len(STYLES)])
        console.print(letter.append(name, style="default"), soft_wrap=True)
    if len(curves) > 1:
        console.print(f"  {SEVERAL} several", style="dim")


def draw_file(
    file: str, curves: Sequence["Curve"], names: Sequence[str], measure: str, by: "By"
) -> None:
    """Write the curves as an image.

    Raises:
        CharseqError: the file cannot be written, or its name asks for something else.
    """
    from charseq.reports.curves_file import draw_curves
    from charseq.reports.image import file_format

    suffix = file_format(file)
    if not any(one.x for one in curves):
        show_note(f"{file}: nothing has been logged yet, so nothing is drawn")
        return
    data = draw_curves(curves, names, measure=measure, by=by, suffix=suffix)
    with whole_file(file) as out:
        out.write(data)

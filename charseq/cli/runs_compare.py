"""``charseq runs compare A B …``: what differs between runs, and what it did."""

import string
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charseq.cli.options import AsJson, Axis, CurvesBy, Plot
from charseq.cli.writing import print_json
from charseq.errors import CharseqError

if TYPE_CHECKING:
    from rich.console import Console

    from charseq.training.history import Run

LETTERS = string.ascii_uppercase
COLUMN = 24  # characters that a run needs to be read


def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders.")],
    by: CurvesBy = Axis.STEP,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Put runs side by side: the settings that differ, best and last values, curves.

    Each run is a letter. The curves show the measure by which all choose their best checkpoint,
    or else the validation loss.

    Example: charseq runs compare runs/dates runs/larger --plot curves.png
    """
    from charseq.cli import runs_tables as show
    from charseq.config.difference import differing, flat
    from charseq.reports.curves import curve, measure_of
    from charseq.reports.image import file_format
    from charseq.text.characters import escape
    from charseq.training.history import read_run

    if plot:
        file_format(plot)
    found = [read_run(folder) for folder in folders]
    if bad := [f"{run.path}: {run.why}" for run in found if run.config is None]:
        raise CharseqError("\n".join(bad))
    if len(found) > len(LETTERS):
        raise CharseqError(f"compare: {len(found)} runs are too many; name {len(LETTERS)} at most")
    settings = [flat(run.config) for run in found if run.config]
    keys = differing(settings)
    measure = measure_of(found)
    curves = [curve(LETTERS[i], run, measure, by.value, i) for i, run in enumerate(found)]
    names = [escape(str(run.path)) for run in found]
    if as_json:
        records = [
            {
                **show.as_json(run),
                "differs": {key: one.get(key) for key in keys},
                "x": c.x,
                "y": c.y,
            }
            for run, one, c in zip(found, settings, curves, strict=True)
        ]
        print_json({"measure": measure, "by": by.value, "runs": records})
    else:
        console = show.screen()
        _show(console, found, settings, keys)
        show.show_curves(console, curves, measure, by.value, names)
    if plot:
        show.draw_file(plot, curves, names, measure, by.value)


def _show(
    console: "Console", found: Sequence["Run"], settings: Sequence[dict[str, Any]], keys: list[str]
) -> None:
    """A column a run, side by side as far as there is room, the rest below."""
    from rich.text import Text

    from charseq.cli import runs_tables as show
    from charseq.config.scalars import write_scalar
    from charseq.reports.curves import STYLES

    rows: dict[str, list[str | Text]] = {
        key: [Text(write_scalar(one[key]) if key in one else "") for one in settings]
        for key in keys
    }
    figures: dict[str, list[str | Text]] = {
        "state": [show.state(run) for run in found],
        "best": [show.whole_score(run.best) for run in found],
        "at step": [show.number(run.best.step) if run.best else "" for run in found],
        "last": [show.whole_score(*run.evaluations[-1:]) for run in found],
        "weights": [show.number(run.parameters) for run in found],
        "symbols/s": [show.number(run.speed) for run in found],
        "trained": [show.time_of(run) for run in found],
    }
    if not keys and len(found) > 1:
        console.print("no setting differs\n", style="dim")
    first = max(map(len, [*rows, *figures])) + 2
    fit = max(1, (console.width - first) // COLUMN)
    for begin in range(0, len(found), fit):
        columns = range(begin, min(begin + fit, len(found)))
        table = show.table("", *(LETTERS[i] for i in columns), words=("", *LETTERS))
        for i, column in zip(columns, table.columns[1:], strict=True):
            column.header = Text(LETTERS[i], style=STYLES[i % len(STYLES)])
        for name, cells in rows.items():
            table.add_row(Text(name, style="bold"), *(cells[i] for i in columns))
        if rows:
            table.add_section()
        for name, cells in figures.items():
            table.add_row(Text(name, style="dim"), *(cells[i] for i in columns))
        if begin:
            console.print()
        console.print(table)

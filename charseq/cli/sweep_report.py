"""What a sweep found: its settings from the best to the worst, and their curves."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charseq.cli.asides import show_note
from charseq.cli.writing import print_json
from charseq.errors import CharseqError

if TYPE_CHECKING:
    from rich.text import Text

    from charseq.reports.curves import By, Curve
    from charseq.reports.ranking import Setting, Spread
    from charseq.training.history import Run

LETTERS = "ABCDEF"  # the settings whose curves are drawn on the screen
WIDE = 110  # columns in which every measure has room
LONGEST = 20  # characters of a value that are not folded
HEADINGS = {"loss": "nats", "accuracy": "right, %", "ser": "SER, %"}


def show_report(folder: Path, by: "By", plot: str | None, *, as_json: bool) -> None:
    """A table, the curves of the best on the screen, and of all in a file.

    Raises:
        CharseqError: there are no runs, runs of different tasks, or the file cannot be written.
    """
    from charseq.cli import runs_tables as show
    from charseq.reports.curves import curve, measure_of, monitor_of
    from charseq.reports.ranking import rank
    from charseq.training.history import find_runs

    runs = find_runs(folder)
    if not runs:
        raise CharseqError(f"{folder}: holds no runs")
    if len({run.config.task for run in runs if run.config}) > 1:
        raise CharseqError(f"{folder}: runs of different tasks have no common measure")
    for run in runs:
        if run.state == "unreadable":
            show_note(f"{run.path}: {run.why}")
    measure = measure_of(runs)
    by_measure = monitor_of(runs)
    settings = rank(runs, by_measure)
    if not settings:
        raise CharseqError(f"{folder}: none of its runs can be read")
    if as_json:
        print_json(_json(folder, settings, by_measure))
    else:
        _show_table(settings, by_measure)
        best = [one for one in settings if one.evaluated][: len(LETTERS)]
        curves: list[Curve] = [
            curve(LETTERS[i], one.evaluated[0][0], measure, by, i) for i, one in enumerate(best)
        ]
        show.show_curves(show.screen(), curves, measure, by, [one.name for one in best])
        if best and all(run.ended for run in runs):
            _show_next(best)
    if plot:
        every = [curve("", run, measure, by, i) for i, s in enumerate(settings) for run in s.runs]
        show.draw_file(plot, every, [one.name for one in settings], measure, by)


def _show_table(settings: Sequence["Setting"], by_measure: str) -> None:
    from rich.text import Text

    from charseq.cli import runs_tables as show
    from charseq.config.difference import short
    from charseq.config.scalars import write_scalar
    from charseq.reports.curves import STYLES

    console = show.screen()
    measures = _measures(settings, by_measure)
    if console.width < WIDE:
        measures = measures[:1]
    tried = list(short(settings[0].values))
    shown = [HEADINGS[measure] for measure in measures]
    headings = ["", *tried, *shown, "n", "best", "runs"]
    table = show.table(*headings, words=("", *tried, "runs"))
    for column, key in zip(table.columns[1:], settings[0].values, strict=False):
        written = [write_scalar(one.values[key]) for one in settings]
        column.min_width = min(LONGEST, max(map(len, written)))  # rather the heading is folded
    for i, one in enumerate(settings):
        letter = LETTERS[i] if i < len(LETTERS) and one.evaluated else ""
        table.add_row(
            Text(letter, style=STYLES[i % len(STYLES)]),
            *(Text(write_scalar(value)) for value in one.values.values()),
            *(_spread(one.spread(measure), measure) for measure in measures),
            str(len(one.evaluated)),
            _best(one, by_measure),
            _states(one.runs),
        )
    several = any(len(one.runs) > 1 for one in settings)
    what = "mean ± standard deviation over seeds" if several else "one seed"
    console.print(f"\nbest validation values, {what}", style="dim")
    console.print(table)


def _show_next(best: Sequence["Setting"]) -> None:
    """Commands with the best run, with the other seeds of its settings, and with the next best."""
    from charseq.cli import runs_tables as show
    from charseq.cli.next_commands import show_next

    first = best[0].runs[0].config
    run, *seeds = [str(run.path) for run, _ in best[0].evaluated]
    commands = [["eval", run]]
    if seeds and first and first.task == "seq2seq":  # texts have no ensembles
        commands.append(["eval", run, *chain.from_iterable(("--ensemble", one) for one in seeds)])
    if len(best) > 1:
        commands.append(["runs", "compare", run, str(best[1].evaluated[0][0].path)])
    show_next(show.screen(), commands)


def _measures(settings: Sequence["Setting"], first: str) -> list[str]:
    """The measure that ranks, then the others that there are."""
    found = ["loss", "accuracy", "ser"]
    if not any(best.ser is not None for one in settings for _, best in one.evaluated):
        found = ["loss"]
    return [first, *(measure for measure in found if measure != first)]


def _spread(spread: "Spread | None", measure: str) -> str:
    if spread is None:
        return ""
    around = "" if spread.sd is None else f" ± {_figure(spread.sd, measure)}"
    return f"{_figure(spread.mean, measure)}{around}"


def _figure(value: float, measure: str) -> str:
    return f"{value:.4f}" if measure == "loss" else f"{100 * value:.2f}"


def _best(setting: "Setting", measure: str) -> str:
    if not setting.evaluated:
        return ""
    run, best = setting.evaluated[0]
    assert run.config is not None  # noqa: S101  it has been evaluated
    return f"{_figure(best.measure(measure), measure)} (seed {run.config.train.seed})"


def _states(runs: Sequence["Run"]) -> "Text":
    """``2 done, 1 running``; the figures of those that are not done are those so far."""
    from rich.text import Text

    from charseq.cli.runs_tables import STATES

    counts = Counter(run.state for run in runs)
    parts = [Text(f"{count} {state}", style=STATES[state]) for state, count in counts.items()]
    return Text(", ").join(parts)


def _json(folder: Path, settings: Sequence["Setting"], by_measure: str) -> dict[str, Any]:
    from charseq.cli.runs_tables import as_json

    def record(one: "Setting") -> dict[str, Any]:
        measures = {measure: one.spread(measure) for measure in _measures(settings, by_measure)}
        return {
            "settings": one.values,
            "n": len(one.evaluated),
            "measures": {
                measure: spread and {"mean": spread.mean, "sd": spread.sd}
                for measure, spread in measures.items()
            },
            "best": str(one.evaluated[0][0].path) if one.evaluated else None,
            "runs": [
                {key: value for key, value in as_json(run).items() if key != "config"}
                for run in one.runs
            ],
        }

    return {
        "sweep": str(folder),
        "ranked_by": by_measure,
        "settings": [record(one) for one in settings],
    }

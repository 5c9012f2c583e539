"""``charseq runs [DIR]``: what was trained there, and what it gave."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from charseq.cli.options import AsJson
from charseq.cli.runs_compare import compare
from charseq.cli.writing import print_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from charseq.training.history import Run

LIST = "list"
HEADINGS = ("run", "model", "weights", "state", "best", "at step", "symbols/s", "trained")
FIGURES = ("model", "weights", "best", "at step", "symbols/s", "trained")
LEAST_MISSED = ("weights", "symbols/s", "at step")


class ListByDefault(TyperGroup):
    """``charseq runs DIR`` is ``charseq runs list DIR``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in (*self.commands, *ctx.help_option_names):
            args = [LIST, *args]
        return super().parse_args(ctx, args)


runs_app = typer.Typer(
    cls=ListByDefault,
    help="List runs, the newest first, or compare some. `charseq runs DIR` is `charseq runs list"
    " DIR`.\n\n"
    "Example: charseq runs\n\n"
    "Example: charseq runs compare runs/dates runs/larger",
    no_args_is_help=False,
    rich_markup_mode="rich",
)


runs_app.command()(compare)


class Order(Enum):
    """What comes first."""

    NEWEST: Final = "newest"
    BEST: Final = "best"
    NAME: Final = "name"


@runs_app.command(LIST)
def list_runs(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to look for runs, however deep.")
    ] = Path("runs"),
    sort: Annotated[Order, typer.Option(help="What comes first.")] = Order.NEWEST,
    as_json: AsJson = False,
) -> None:
    """List runs: their model, state, best validation value and its step, speed, time trained.

    The newest is where a log was written last; the best, of each task, has the best value of
    train.monitor. A folder that cannot be read is a row that says why.

    Example: charseq runs list runs --sort best
    """
    from charseq.cli import runs_tables
    from charseq.training.history import find_runs

    found = find_runs(folder)
    if sort is Order.NEWEST:
        found.sort(key=lambda run: -run.changed)
    elif sort is Order.BEST:
        found.sort(key=lambda run: (run.config.task if run.config else "~", run.rank))
    if as_json:
        print_json([runs_tables.as_json(run) for run in found])
        return
    if not found:
        typer.echo(f"{folder}: no runs in it")
        return
    _show_list(runs_tables.screen(), found)


def _show_list(console: "Console", found: list["Run"]) -> None:
    from rich.text import Text

    from charseq.cli import runs_tables as show

    rows = [_cells(run) for run in found]
    lines = [{name: Text(name, style="dim") for name in HEADINGS}, *rows]
    widths = {name: max(cells[name].cell_len for cells in lines) for name in HEADINGS}
    if _room_for(widths) > console.width:
        _show_below(console, lines, widths)
        return
    table = show.table(*HEADINGS, words=("run", "model", "state", "best"))
    for cells in rows:
        table.add_row(*cells.values())
    console.print(table)


def _cells(run: "Run") -> dict[str, "Text"]:
    from rich.text import Text

    from charseq.cli import runs_tables as show
    from charseq.text.characters import escape

    return {
        "run": Text(escape(str(run.path))),
        "model": Text(show.model(run)),
        "weights": Text(show.number(run.parameters)),
        "state": show.state(run),
        "best": Text(show.score(run.best)),
        "at step": Text(show.number(run.best.step) if run.best else ""),
        "symbols/s": Text(show.number(run.speed)),
        "trained": Text(show.time_of(run)),
    }


def _show_below(console: "Console", lines: list[dict[str, "Text"]], widths: dict[str, int]) -> None:
    """Two lines a run: its name and state, then its figures, in as many columns as have room."""
    from rich.text import Text

    shown = {name: widths[name] for name in FIGURES}
    for name in LEAST_MISSED:
        if _room_for(shown) > console.width:
            del shown[name]
    for cells in lines:
        console.print(Text("  ").join([cells["run"], cells["state"]]), soft_wrap=True)
        for name, width in shown.items():
            cells[name].align("left" if name in ("model", "best") else "right", width)
        figures = Text("  ").join([cells[name] for name in shown])
        figures.rstrip()
        if figures:
            console.print(Text("  ") + figures, soft_wrap=True)


def _room_for(widths: dict[str, int]) -> int:
    """Columns of the screen, with two spaces before each."""
    return sum(widths.values()) + 2 * len(widths)

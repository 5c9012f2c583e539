"""``charseq``: the commands under one roof, and the one place where errors meet the person.

Nothing here imports torch: ``charseq --help`` and a mistake in a configuration come back at once.
"""

import errno
import inspect
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from charseq._version import __version__
from charseq.cli.bench import bench
from charseq.cli.config import config_app
from charseq.cli.data import data_app
from charseq.cli.eval import evaluate
from charseq.cli.gradcheck import gradcheck
from charseq.cli.init import init
from charseq.cli.runs import runs_app
from charseq.cli.sample import sample
from charseq.cli.sweep import sweep
from charseq.cli.train import train
from charseq.errors import CharseqError, is_out_of_memory

# How often a thread of OpenMP looks for work before it sleeps; said before torch is imported. By
# default it spins for a millisecond or so, and where others need the cores too it spins while
# the thread that it waits for has none: a training beside two other processes was 10 times slower.
SPINS = "1000"

FULL = (errno.ENOSPC, errno.EDQUOT)  # of what is written, every other file is named by its writer


class FirstPage(TyperGroup):
    """``charseq --help``, drawn much as typer draws the help of the commands.

    To draw any help, typer imports Markdown, syntax highlighting and tracebacks as well, which
    takes as long as all the rest of this page.
    """

    def format_help(self, ctx: Any, _: Any) -> None:
        from rich.console import Console
        from rich.padding import Padding
        from rich.panel import Panel
        from rich.table import Table
        from rich.text import Text

        usage = Text.assemble(
            (" Usage: ", "yellow"),
            (" ".join([ctx.command_path, *self.collect_usage_pieces(ctx)]), "bold"),
        )
        console = Console(highlight=False)
        console.print(Padding(usage, (1, 0, 0, 0)), Padding(Text(self.help or ""), 1))
        options = [row for one in self.get_params(ctx) if (row := one.get_help_record(ctx))]
        commands = [(name, one.get_short_help_str(1000)) for name, one in self.commands.items()]
        for title, rows in (("Options", options), ("Commands", commands)):
            table = Table.grid(padding=(0, 2))
            for name, what in rows:
                table.add_row(Text(name, "bold cyan", no_wrap=True), Text(what))
            console.print(Panel(table, title=title, title_align="left", border_style="dim"))


app = typer.Typer(
    cls=FirstPage,
    name="charseq",
    help="Train small, accurate character-level models, with an LSTM whose gates you can read.\n\n"
    "Example: charseq train configs/dates.yaml",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(init)
app.command()(train)
app.command()(sweep)
app.command()(sample)
app.command("eval")(evaluate)
app.command()(gradcheck)
app.command()(bench)
app.add_typer(runs_app, name="runs")
app.add_typer(data_app, name="data")
app.add_typer(config_app, name="config")


def _flow(commands: typer.Typer) -> None:
    """Let the lines of every docstring flow: typer would keep their ends, and fold them again."""
    for command in commands.registered_commands:
        paragraphs = inspect.getdoc(command.callback) or ""
        lines = (paragraph.replace("\n", " ") for paragraph in paragraphs.split("\n\n"))
        command.help = command.help or "\n\n".join(lines)
    for group in commands.registered_groups:
        if group.typer_instance:
            _flow(group.typer_instance)


_flow(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"charseq {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """The entry point: an error that the person can mend is told without a traceback."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    try:
        app()
    except CharseqError as error:
        _fail(error)
    except BrokenPipeError:
        raise
    except OSError as error:  # a path that the system refuses: too long, or in a closed folder
        where = error.filename or (error.errno in FULL and "standard output")
        if not where:
            raise
        _fail(CharseqError(f"{where}: {error.strerror}"))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        _fail(
            CharseqError(
                "there is not enough memory for this: lower train.batch_size, train.seq_len or"
                " model.hidden_size"
            )
        )


def _fail(error: CharseqError) -> None:
    from charseq.cli.asides import show_error

    show_error(error)
    sys.exit(error.exit_code)

"""``charseq``: the commands under one roof, and the one place where errors meet the person.

Nothing here imports torch: ``charseq --help`` and a mistake in a configuration come back at once.
"""

import sys
from typing import Annotated

import typer

from charseq._version import __version__
from charseq.cli.config import config_app
from charseq.cli.data import data_app
from charseq.cli.eval import evaluate
from charseq.cli.gradcheck import gradcheck
from charseq.cli.init import init
from charseq.cli.sample import sample
from charseq.cli.train import train
from charseq.errors import CharseqError

app = typer.Typer(
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
app.command()(sample)
app.command("eval")(evaluate)
app.command()(gradcheck)
app.add_typer(data_app, name="data")
app.add_typer(config_app, name="config")


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
    try:
        app()
    except CharseqError as error:
        _fail(error)
    except (MemoryError, RuntimeError) as error:  # torch has no error of its own for a full CPU
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        _fail(
            CharseqError(
                "there is not enough memory for this: lower train.batch_size, train.seq_len or"
                " model.hidden_size"
            )
        )


def _fail(error: CharseqError) -> None:
    from charseq.cli.console import show_error

    show_error(error)
    sys.exit(error.exit_code)

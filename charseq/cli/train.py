"""``charseq train``: run a training, show it, and stop it safely."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from charseq.config import Config


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML configuration.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a setting; may be given repeatedly."
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of the run.", show_default="runs/<name of CONFIG>"
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with what the folder holds, if it holds anything."),
    ] = False,
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda|cuda:N", help="Where to train.")
    ] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the result as JSON; the rest on standard error."),
    ] = False,
) -> None:
    """Train a model as a configuration says; checkpoints and metrics go to the run's folder.

    Ctrl-C finishes the step, saves, and says how to resume; twice leaves at once.

    Example: charseq train configs/stdlib.yaml --set train.max_minutes=10
    """
    from charseq.cli.pipes import INTERRUPTED
    from charseq.config import load_config

    settings = load_config(config, overrides or ())
    folder = run or Path("runs") / config.stem
    from rich.console import Console

    from charseq.cli.console import TrainingDisplay
    from charseq.training import loop
    from charseq.training.events import Stopped

    console = Console(stderr=as_json, quiet=quiet, highlight=False)
    display = TrainingDisplay(console)
    stopped: Stopped | None = None
    with _stop_flag() as stop, display.live():
        events = loop.train(
            settings, run=folder, resume=resume, device=device, should_stop=lambda: bool(stop)
        )
        for event in events:
            display.show(event)
            if isinstance(event, Stopped):
                stopped = event
    if stopped is None:
        return
    if as_json:
        typer.echo(json.dumps({"run": str(folder), **asdict(stopped)}))
    if not stopped.finished:
        again = ["charseq train", str(config), *(f"--set {item}" for item in overrides or ())]
        if run:
            again.append(f"--run {run}")
        console.print(f"go on with: {' '.join(again)} --resume", markup=False, soft_wrap=True)
        raise typer.Exit(INTERRUPTED)
    _show_result(console, settings, folder)


@contextmanager
def _stop_flag() -> Iterator[list[int]]:
    """A list that is empty until Ctrl-C or SIGTERM; the second signal acts as it usually does."""
    signals: list[int] = []
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _: FrameType | None) -> None:
        signals.append(number)
        for each, handler in usual.items():
            signal.signal(each, handler)

    for number in usual:
        signal.signal(number, note)
    try:
        yield signals
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def _show_result(console: "Console", settings: "Config", folder: Path) -> None:
    """What the model writes now, and what to try next."""
    if console.quiet:
        return
    from rich.text import Text

    from charseq.inference.load import load
    from charseq.text.characters import escape

    text = load(folder).sample(length=min(settings.sample.length, 400))
    console.print("\na sample:", style="dim")
    for line in text.strip("\n").split("\n"):
        console.print(Text(escape(line.expandtabs())), soft_wrap=True)
    console.print(
        f"\nnext:\n  charseq sample {folder} --temperature 0.5\n  charseq eval {folder}\n"
        f'  charseq eval {folder} --text "a line of your own"\n',
        markup=False,
        soft_wrap=True,
    )

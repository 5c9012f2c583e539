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

    Example: charseq train configs/dates.yaml --set train.max_steps=5000
    """
    from charseq.cli.pipes import INTERRUPTED
    from charseq.config import load_config

    settings = load_config(config, overrides or ())
    folder = run or Path("runs") / config.stem
    from rich.console import Console

    from charseq.cli.after_train import command_line, show_result
    from charseq.cli.console import TrainingDisplay
    from charseq.training import loop
    from charseq.training.events import Stopped

    console = Console(stderr=as_json, quiet=quiet, highlight=False)
    display = TrainingDisplay(console)
    stopped: Stopped | None = None
    with _stop_flag(console) as stop, display.live():
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
        again = ["train", str(config), "--resume"]
        for item in overrides or ():
            again += ["--set", item]
        if run:
            again += ["--run", str(run)]
        if device != "auto":
            again += ["--device", device]
        console.print(f"go on with: {command_line(*again)}", markup=False, soft_wrap=True)
        raise typer.Exit(INTERRUPTED)
    show_result(console, folder)


@contextmanager
def _stop_flag(console: "Console") -> Iterator[list[int]]:
    """A list that is empty until Ctrl-C, SIGTERM or SIGHUP; the next one acts as it usually does.

    A signal that this process was told to ignore, as nohup does, stays ignored.
    """
    signals: list[int] = []
    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    usual = {n: signal.getsignal(n) for n in wanted if signal.getsignal(n) != signal.SIG_IGN}

    def note(number: int, _: FrameType | None) -> None:
        signals.append(number)
        for each, handler in usual.items():
            signal.signal(each, handler)
        console.print("stopping after this step; once more leaves at once", style="yellow")

    for number in usual:
        signal.signal(number, note)
    try:
        yield signals
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)

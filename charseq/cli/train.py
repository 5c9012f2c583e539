"""``charseq train``: run a training, show it, and stop it safely."""

import signal
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charseq.cli.next_commands import command_line
from charseq.cli.options import Overrides
from charseq.cli.stopping import EXIT_CODES, quiet_interrupt, stop_flag
from charseq.cli.writing import json_text
from charseq.errors import CharseqError

if TYPE_CHECKING:
    from charseq.config import Config


def train(
    config: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG", help="A YAML configuration; with --resume also the folder of a run."
        ),
    ],
    overrides: Overrides = None,
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

    Ctrl-C finishes the step, saves, and says how to resume; twice leaves at once, as it does
    before the first step. A run is resumed by its folder, with the settings it has; --set changes
    those that may change.

    Example: charseq train configs/dates.yaml --set train.max_steps=5000

    Example: charseq train runs/dates --resume --set train.max_steps=8000
    """
    with quiet_interrupt():
        from charseq.config import load_config

        folder, file = _of_run(config, run, resume=resume)
        settings = load_config(file, overrides or ())
        _train(settings, folder, resume=resume, device=device, quiet=quiet, as_json=as_json)


def _train(
    settings: "Config", folder: Path, *, resume: bool, device: str, quiet: bool, as_json: bool
) -> None:
    from rich.console import Console
    from rich.text import Text

    from charseq.cli.after_train import show_result
    from charseq.cli.console import TrainingDisplay
    from charseq.cli.runs_tables import evaluation_json
    from charseq.training import loop
    from charseq.training.events import Stopped
    from charseq.training.history import read_run

    console = Console(stderr=as_json, quiet=quiet, highlight=False)
    display = TrainingDisplay(console)
    started, stopped = False, None
    # Before the first step there is nothing to save: to read a large text takes a while.
    with stop_flag(console, may_leave=lambda: not started) as stop, display.live():
        events = loop.train(
            settings,
            run=folder,
            resume=resume,
            device=device,
            should_stop=lambda: bool(stop),
        )
        for event in events:
            started = True
            display.show(event)
            if isinstance(event, Stopped):
                stopped = event
    if stopped is None:
        return
    if as_json:
        best = evaluation_json(read_run(folder).best)
        typer.echo(json_text({"run": str(folder), **asdict(stopped), "best": best}, None).encode())
    if stopped.finished:
        try:
            show_result(console, folder, measured=stopped.best_score is not None)
        except CharseqError as error:  # the data has gone; the training is done and saved
            note = Text(f"note: no example can be shown: {error}", style="yellow")
            console.print(note, soft_wrap=True)
    if stopped.warning:
        # No error: all was done as asked, and is there to be looked at. A script that tries
        # learning rates finds the warning in --json.
        console.print(Text(f"warning: {stopped.warning}", style="yellow"), soft_wrap=True)
    if not stopped.finished:
        again = ["train", str(folder), "--resume"]
        if device != "auto":
            again += ["--device", device]
        said = f"go on with: {command_line(*again)}"
        if stop[0] == signal.SIGPIPE:
            console = Console(stderr=True, quiet=quiet, highlight=False)
            said = f"saved, as nobody reads what is printed any more; {said}"
        console.print(said, markup=False, soft_wrap=True)
        raise typer.Exit(EXIT_CODES[stop[0]])


def _of_run(config: Path, run: Path | None, *, resume: bool) -> tuple[Path, Path]:
    """The folder of the run, and the file of its settings: in that folder, where it is named.

    Raises:
        CharseqError: a folder is named that holds no run, or not in order to resume that run.
    """
    from charseq.models.run_files import BEST, CONFIG, NEWEST, SWEEP

    kept = (BEST, *NEWEST)
    if config.name == CONFIG and run is None and any((config.parent / n).exists() for n in kept):
        config = config.parent  # what is meant is that run
    if resume and not config.exists() and not config.suffix:
        there = Path("runs") / config
        meant = f" (did you mean '{there}'?)" if not config.is_absolute() and there.exists() else ""
        raise CharseqError(f"{config}: there is no such run, and no such configuration{meant}")
    if not config.is_dir():
        return run or Path("runs") / config.stem, config
    settings = config / CONFIG
    if (config / SWEEP).is_file():
        go_on = command_line("sweep", str(config))
        raise CharseqError(
            f"{config}: is the folder of a sweep; `{go_on}` goes on with it; or name one of its"
            " runs"
        )
    if not settings.is_file():
        raise CharseqError(
            f"{config}: is a folder, but not of a run (there is no config.yaml in it); name a"
            " configuration"
        )
    if not resume:
        raise CharseqError(
            f"{config}: is the folder of a run: `{command_line('train', str(config), '--resume')}`"
            f" goes on with it, `{command_line('train', str(settings))} --run DIR` trains anew with"
            " its settings"
        )
    if run:
        raise CharseqError(
            f"--run {run}: {config} is the folder of the run already; leave one of them out"
        )
    return config, settings

"""``charseq sweep`` while it trains: what is planned, what runs, and how it is stopped."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from charseq.cli.asides import show_error
from charseq.cli.console import clock
from charseq.errors import CharseqError, ConfigError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from charseq.config.grid import Planned
    from charseq.training.sweep import Ended, Event

STOPPING = "stopping; the trainings save; once more leaves at once"
FAILED = 2  # the exit code where a training could not be done
LOOK_EVERY = 1.0  # seconds between two looks at the logs of what trains


def plan_sweep(
    config: Path,
    overrides: Sequence[str],
    over: Sequence[str],
    *,
    seeds: int,
    draws: int | None,
    draw_seed: int,
) -> list["Planned"]:
    """All runs, each of them valid and its files there.

    Raises:
        ConfigError: every mistake.
    """
    from charseq.cli.check import missing_files, wrong_origin
    from charseq.config.grid import plan

    planned = plan(config, overrides, over, seeds=seeds, draws=draws, draw_seed=draw_seed)
    by_data = {one.config.data.model_dump_json(): one.config for one in planned}
    by_shape = {  # with what train.init_from has to agree
        f"{one.config.train.init_from} {one.config.model} {one.config.data}": one.config
        for one in planned
    }
    missing = [found for one in by_data.values() for found in missing_files(one)]
    missing += [found for one in by_shape.values() for found in wrong_origin(one)]
    if missing:
        problems = dict.fromkeys(f"{config}: {key}: {why}" for key, why in missing)
        raise ConfigError(list(problems))
    return planned


def train_sweep(
    folder: Path,
    planned: Sequence["Planned"] | None,
    over: Sequence[str],
    *,
    jobs: int,
    minutes: float | None,
    device: str,
    as_json: bool,
) -> tuple[int, str | None]:
    """Train what is planned, or what a folder has planned before; gives the exit code.

    Beside it the command that goes on, where something is left to be done.

    Raises:
        CharseqError: the folder is no sweep's, or of another one, or somebody trains there.
    """
    from rich.console import Console

    from charseq.cli.next_commands import command_line
    from charseq.cli.stopping import EXIT_CODES, stop_flag
    from charseq.config.grid import base_settings
    from charseq.models.run_files import SWEEP
    from charseq.training.lock import hold
    from charseq.training.sweep import Ended, folder_of, lay_out, threads_a_job, train_all

    if planned is None and not (folder / SWEEP).exists():
        raise CharseqError(f"{folder}: is not the folder of a sweep; name a configuration")
    console = Console(stderr=as_json, highlight=False)
    end = None if minutes is None else time.monotonic() + 60 * minutes
    failed = 0
    with hold(folder, doing="trains", instead="use --out with another folder"):
        if planned is None:
            paths = _laid_out(folder)
        else:
            lay_out(folder, planned, base_settings(planned, over))
            paths = [folder_of(folder, one) for one in planned]
        display = _Display(console, folder, paths, jobs, threads_a_job(min(jobs, len(paths))))
        with stop_flag(console, STOPPING) as stop, display.live():
            for event in train_all(
                paths,
                jobs=jobs,
                device=device,
                should_stop=lambda: bool(stop) or (end is not None and time.monotonic() > end),
            ):
                display.show(event)
                failed += isinstance(event, Ended) and display.failed(event)
    left = display.left()
    code = FAILED if failed else 0
    if stop:
        code = EXIT_CODES[stop[0]]
    elif left and not failed and minutes is not None:
        console.print(f"{minutes:g} minutes are over", style="yellow")
    if not left:
        return code, None
    more = ["--jobs", str(jobs)] if jobs > 1 else []
    more += ["--device", device] if device != "auto" else []
    return code, command_line("sweep", str(folder), *more)


def _laid_out(folder: Path) -> list[Path]:
    """The runs of a sweep in the order in which they were planned: seed by seed."""
    from charseq.training.history import find_runs

    here = folder.resolve()  # a link may lead to runs that are none of this sweep's
    found = [run for run in find_runs(folder) if run.path.resolve().is_relative_to(here)]
    if not found:
        raise CharseqError(f"{folder}: holds no runs; name the configuration once more")
    found.sort(key=lambda run: (run.config.train.seed if run.config else 0, run.path))
    return [run.path for run in found]


class _Display:
    """A line for each run that ends; on a terminal also a bar for each that trains."""

    def __init__(
        self, console: "Console", folder: Path, paths: Sequence[Path], jobs: int, threads: int
    ) -> None:
        from charseq.text.wording import number_of
        from charseq.training.history import read_run

        self.console, self.folder, self.paths = console, folder, paths
        self._progress: Progress | None = None
        self._tasks: dict[Path, TaskID] = {}
        self._looked = 0.0
        self._ended = {path for path in paths if read_run(path).ended}
        kept = f", {len(self._ended)} of them finished before" if self._ended else ""
        how = f"{jobs} at a time, {number_of(threads, 'thread')} each"
        self._print(f"{folder}: {number_of(len(paths), 'run')}{kept}; {how}")

    def left(self) -> int:
        """How many runs have not ended."""
        return len(self.paths) - len(self._ended)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Inside, a terminal has the bars at its lower edge."""
        if not self.console.is_terminal:
            yield
            return
        from rich.progress import BarColumn, Progress, TextColumn

        narrow = self.console.width < 100
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=8 if narrow else 30),
            TextColumn("{task.fields[count]}"),
            console=self.console,
            transient=True,
        )
        with self._progress:
            yield
        self._progress = None

    def show(self, event: "Event") -> None:
        from charseq.training.sweep import Began, Ended, Waiting

        match event:
            case Began():
                if self._progress:
                    name = self._name(event.path)
                    self._tasks[event.path] = self._progress.add_task(name, total=None, count="")
                else:
                    self._print(f"begins  {self._name(event.path)}")
            case Waiting():
                if self._progress and time.monotonic() > self._looked + LOOK_EVERY:
                    self._look(self._progress)
                    self._looked = time.monotonic()
            case Ended():
                self._end(event)

    def failed(self, event: "Ended") -> bool:
        """Whether a training was not done, for another reason than that its numbers broke."""
        return event.error is not None and event.run.state != "diverged"

    def _look(self, progress: "Progress") -> None:
        from charseq.cli.runs_tables import score
        from charseq.training.history import read_run

        for path, task in self._tasks.items():
            run = read_run(path)
            total = "" if run.total_steps is None else f"/{run.total_steps:,}"
            count = f"step {run.step:,}{total}  {score(run.best)}"
            progress.update(task, completed=run.step, total=run.total_steps, count=count)

    def _end(self, event: "Ended") -> None:
        from charseq.cli.runs_tables import score, state

        run = event.run
        if self._progress and run.path in self._tasks:
            self._progress.remove_task(self._tasks.pop(run.path))
        if run.ended:
            self._ended.add(run.path)
        said = state(run)
        place = f"{len(self._ended)}/{len(self.paths)}  {self._name(run.path)}  "
        said.append(f"  {score(run.best)}  {clock(run.seconds)}", style="default")
        said = type(said).assemble(place, said)
        self.console.print(said, soft_wrap=True)
        if event.error and self.failed(event):
            error = CharseqError(f"{self._name(run.path)}: {event.error}")
            if self._progress:  # above what is drawn, not through it
                self.console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
            else:
                show_error(error)

    def _name(self, path: Path) -> str:
        from charseq.text.characters import escape

        return escape(str(path.relative_to(self.folder)))

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

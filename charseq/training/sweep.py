"""Many trainings side by side, each a process of its own in an ordinary run folder. No torch here.

runs/<name>-sweep/
    sweep.json                            the settings that all runs share
    learning_rate=0.001,dropout=0.1/      a combination of what is tried
        seed-0/, seed-1/, …               run folders: `charseq train FOLDER --resume` goes on
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from charseq.config.grid import Planned
from charseq.config.scalars import write_scalar
from charseq.errors import CharseqError
from charseq.lstm.threads import told_threads, usable_cores
from charseq.models.run_files import CONFIG, SWEEP
from charseq.training.files import replace_file, write_config
from charseq.training.history import Run, read_run

LOOK_EVERY = 0.2  # seconds between two looks at the processes
APART = 0.3  # seconds between two signals that are not to be taken for one
GRACE = 10.0  # seconds that a process has to leave at once


@dataclass(frozen=True)
class Began:
    """A process trains this run now."""

    path: Path


@dataclass(frozen=True)
class Ended:
    """Its process ended, and left the run so; ``error`` is what it said where it failed."""

    run: Run
    error: str | None


@dataclass(frozen=True)
class Waiting:
    """Nothing happened for a moment."""


Event = Began | Ended | Waiting


def folder_of(sweep: Path, planned: Planned) -> Path:
    return sweep / planned.name / f"seed-{planned.seed}"


def lay_out(sweep: Path, planned: Sequence[Planned], shared: dict[str, Any]) -> None:
    """Make the folder of every run, with its settings; those that are there stay as they are.

    Raises:
        CharseqError: the sweep began with other settings, or cannot be written.
    """
    shared = json.loads(json.dumps(shared))  # tuples become the lists that a file gives back
    for folder in (folder_of(sweep, one) for one in planned):
        if not folder.resolve().is_relative_to(sweep.resolve()):
            raise CharseqError(f"{folder}: leads to somewhere else; take another folder with --out")
    # What was the same once stays so, also where it is tried now, or was in between.
    settings = {**shared, **_same_as_before(sweep, shared)}
    try:
        replace_file(sweep / SWEEP, json.dumps({"settings": settings}, indent=2) + "\n")
        for one in planned:
            folder = folder_of(sweep, one)
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / CONFIG).exists():
                write_config(folder, one.config)
    except OSError as error:
        raise CharseqError(f"{sweep}: cannot be written: {error.strerror}") from None


def _same_as_before(sweep: Path, shared: dict[str, Any]) -> dict[str, Any]:
    """The settings that all runs of the sweep had so far, where it has begun.

    Raises:
        CharseqError: some are others now, or nobody can read them.
    """
    try:
        before = dict(json.loads((sweep / SWEEP).read_text(encoding="utf-8"))["settings"])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError):
        raise CharseqError(
            f"{sweep / SWEEP}: cannot be read; take another folder with --out"
        ) from None
    # What is tried now stands in the names of the folders.
    changed = [
        f"{key} was {write_scalar(old)} and is {write_scalar(shared[key])}"
        for key, old in before.items()
        if key in shared and shared[key] != old
    ]
    if changed:
        raise CharseqError(
            f"{sweep}: the configuration has changed since this sweep began: {'; '.join(changed)};"
            f" set it back (`charseq sweep {shlex.quote(str(sweep))}` goes on with what is planned"
            " there), or take another folder with --out"
        )
    return before


def threads_a_job(jobs: int) -> int:
    """On how many threads each of so many processes trains: its share of the cores, or as told."""
    return told_threads() or max(1, usable_cores() // jobs)


def train_all(
    folders: Sequence[Path],
    *,
    jobs: int,
    device: str = "auto",
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Train these runs, so many at a time, each to its end; what has ended already is left alone.

    Once ``should_stop`` says so, none begins, and those that train are told to: they save. A
    training whose loss became NaN has ended too. Where this generator is closed before its end, its
    processes are told to leave at once.
    """
    waiting = [path for path in folders if not read_run(path).ended][::-1]
    threads = threads_a_job(max(1, min(jobs, len(waiting))))
    active: list[_Training] = []
    stopping = False
    try:
        while active or (waiting and not stopping):
            if should_stop() and not stopping:
                stopping = True
                for training in active:
                    training.stop()
            while waiting and len(active) < jobs and not stopping:
                active.append(_Training(waiting.pop(), device, threads))
                yield Began(active[-1].path)
            ended = [training for training in active if training.has_ended()]
            active = [training for training in active if training not in ended]
            for training in ended:
                yield Ended(read_run(training.path), training.error())
            if not ended and active:
                yield Waiting()
                time.sleep(LOOK_EVERY)
    finally:
        _leave(active)


class _Training:
    """A process of ``charseq train``."""

    def __init__(self, path: Path, device: str, threads: int) -> None:
        self.path = path
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  as long as the process
        self._stopped = False
        arguments = ["train", str(path), "--resume", "--quiet", "--device", device]
        self._process = subprocess.Popen(  # noqa: S603  charseq itself
            [sys.executable, "-P", "-m", "charseq", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            env={"OMP_NUM_THREADS": str(threads), **os.environ},  # who set it means it
            process_group=0,  # Ctrl-C is for this process, which tells the others
        )

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def error(self) -> str | None:
        """What it said, where it ended otherwise than it should, or was told."""
        code = self._process.returncode
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip()
        self._said.close()
        if code == 0 or (self._stopped and code in (143, -15)):
            return None
        if code < 0 and not said:
            said = f"was killed by {signal.Signals(-code).name}, perhaps for want of memory"
        return said.removeprefix("error: ") or f"ended with code {code}"

    def stop(self) -> None:
        # Not SIGINT: what a shell runs in the background, and its children, do not hear that.
        self._stopped = True
        self._process.terminate()

    def end(self, seconds: float) -> None:
        """Wait for its end; whoever has not ended by then is killed."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self._process.kill()
        self._process.wait()
        self._said.close()


def _leave(active: Sequence[_Training]) -> None:
    """Tell all of them twice, so that they leave at once, and wait for their ends."""
    for _ in range(2):
        for training in active:
            training.stop()
        if active:
            time.sleep(APART)
    end = time.monotonic() + GRACE
    for training in active:
        training.end(max(0.0, end - time.monotonic()))

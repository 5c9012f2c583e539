"""A run folder: who may train in it, its configuration, its log, its checkpoints.

runs/<name>/
    config.yaml            every setting, defaults included: `charseq train runs/<name> --resume`
    metrics.jsonl          one JSON object a line
    best.safetensors       the weights with the best validation value, by train.monitor
    last.safetensors       the newest weights and all that resuming needs
    previous.safetensors   the ones before, should the last be damaged
"""

import errno
import json
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from charseq.config import Config
from charseq.errors import CharseqError, SaveError
from charseq.files import sync_folder
from charseq.models.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from charseq.models.checkpoint_file import CheckpointError, step_of
from charseq.models.run_files import BEST, CONFIG, LAST, LOG, PREVIOUS
from charseq.training.files import replace_file, write_config
from charseq.training.lock import hold
from charseq.training.state import Progress


class RunFolder:
    """The files of one run. Made by ``open_run``, which holds the lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / CONFIG
        self.last = path / LAST
        self.previous = path / PREVIOUS
        self.best = path / BEST
        self.new = path / ".new.tmp"
        self._metrics = path / LOG
        self._unwritten = ""  # lines of the log

    def start(self, config: Config | None, progress: Progress) -> None:
        """Write the configuration, and cut the log back to what happened up to ``progress``.

        None leaves that of the folder: nothing will be trained with another.
        """
        with self._writing():
            for left in self.path.glob(".*.tmp"):  # by a process that was killed
                left.unlink()
            if config:
                write_config(self.path, config)
        self.cut_log(progress)

    def cut_log(self, progress: Progress) -> None:
        """Forget what happened behind a checkpoint: it will happen again, or otherwise."""
        self._unwritten = ""
        kept = []
        with self._writing():
            if progress.step and self._metrics.exists():
                lines = self._metrics.read_text(encoding="utf-8", errors="replace")
                kept = [
                    line for line in lines.splitlines(keepends=True) if _happened(line, progress)
                ]
            replace_file(self._metrics, "".join(kept))

    def log(self, values: dict[str, Any]) -> None:
        """Add a line to the log. Lines that could not be written come with the next one.

        Raises:
            SaveError: it cannot be written; nothing of it is in the file.
        """
        self._unwritten += json.dumps(values) + "\n"
        self._write_log(to_disk=False)

    def _write_log(self, *, to_disk: bool) -> None:
        with self._writing(), self._metrics.open("ab", buffering=0) as file:
            size, data = file.tell(), self._unwritten.encode()
            if file.write(data) < len(data):  # there was room for a part of it
                file.truncate(size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._unwritten = ""
            if to_disk:
                os.fsync(file.fileno())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = f"{self.path}: cannot be written: {error.strerror}"
            raise SaveError(why, self.advice) from None

    @property
    def advice(self) -> str:
        """What to do where nothing can be written."""
        return f"the checkpoints there are whole: make room, then `{go_on(self.path)}`"

    def save_last(self, checkpoint: Checkpoint) -> Path:
        """Keep the last checkpoint as the previous one and write the new one.

        The log up to here is brought to the disk first: a checkpoint never knows more than it.

        Raises:
            SaveError: it cannot be written; the checkpoints that were there are.
        """
        self._write_log(to_disk=True)
        write_checkpoint(self.new, checkpoint, called=self.last)
        with self._writing():
            try:
                if self.last.exists():
                    # A second name first: at no moment is there no checkpoint called last.
                    spare = self.path / ".previous.tmp"
                    spare.unlink(missing_ok=True)
                    try:
                        spare.hardlink_to(self.last)
                    except OSError:  # a file system that has no second names
                        shutil.copyfile(self.last, spare)
                    spare.replace(self.previous)
                self.new.replace(self.last)
                sync_folder(self.path)
            finally:
                self.new.unlink(missing_ok=True)
        return self.last

    def newest(self) -> tuple[Checkpoint | None, str | None]:
        """The checkpoint to resume from, and what the person should know about it.

        A damaged one is put out of the way: it must not take the place of the good one at the next
        save.

        Raises:
            CheckpointError: there are checkpoints, and none of them can be read; or there were.
        """
        checkpoint, notice = self.look()
        if notice:
            self.last.replace(self.path / "damaged.safetensors")
        return checkpoint, notice

    def before_newest(self) -> Checkpoint | None:
        """The checkpoint before the newest, where there is one that can be read."""
        try:
            return read_checkpoint(self.previous) if self.previous.exists() else None
        except CheckpointError:
            return None

    def look(self) -> tuple[Checkpoint | None, str | None]:
        """As ``newest``, but nothing is moved."""
        problems: list[CheckpointError] = []
        for path in (self.last, self.previous):
            if path.exists():
                try:
                    checkpoint = read_checkpoint(path)
                except CheckpointError as problem:
                    problems.append(problem)
                else:
                    if not problems:
                        return checkpoint, None
                    return checkpoint, f"{problems[0]}; going on from {path.name}"
        if problems:
            what = "\n".join(map(str, problems))
            raise CheckpointError(f"{what}\nthere is no other to go on from; train anew with --run")
        self._check_nothing_was_saved()
        return None, None

    def _check_nothing_was_saved(self) -> None:
        """Without a checkpoint to go on from, the best weights are those of the first steps.

        Whoever removed ``last`` and ``previous`` for their size would lose the rest to a training
        that begins anew.
        """
        if not self.best.exists():
            return
        best = read_checkpoint(self.best)
        step = step_of(best.extra) or 0
        if step > best.config.train.save_every:
            raise CheckpointError(
                f"{self.path}: best.safetensors is of step {step:,}, and last.safetensors, which"
                " resuming needs, is gone; to go on from these weights train in another folder:"
                f" --run FOLDER --set train.init_from={shlex.quote(str(self.path))}"
            )


@contextmanager
def open_run(path: Path, *, resume: bool) -> Iterator[RunFolder]:
    """Hold a run folder for training; it is made where it does not exist.

    Raises:
        CharseqError: another process trains there, or it holds a training that nobody asked to
            resume.
    """
    with hold(path, doing="trains", instead="use --run with another folder"):
        folder = RunFolder(path)
        if not resume and any(f.exists() for f in (folder.last, folder.previous, folder.best)):
            raise CharseqError(
                f"{path}: holds a training already; add --resume to go on with it (a finished one"
                " also needs a higher limit, as --set train.max_steps=…), or --run with another"
                " folder to start anew"
            )
        yield folder


def go_on(path: str | Path) -> str:
    """The command that goes on with a run."""
    return f"charseq train {shlex.quote(str(path))} --resume"


def _happened(line: str, progress: Progress) -> bool:
    """Whether a line of the log is of the steps, and of the rollbacks, of a checkpoint.

    One of a step may have been written before the evaluation of that step. After a rollback the
    best weights may be of a later step: their evaluation stays, though not another one of that
    step. A line torn by a power cut belongs to none. A rollback is told at the step of the
    checkpoint that it goes back to, which may have been written before it.
    """
    try:
        values = json.loads(line)
        event, step = values["event"], values["step"]
        if event == "evaluated":
            best_nats = progress.best_value[-1] if progress.best_value else None
            is_best = step == progress.best_step and values["nats"] == best_nats
            return bool(step <= progress.evaluated_step or is_best)
        back = values["rollbacks"] if event == "rolled back" else 0
        return bool(step <= progress.step and back <= progress.rollbacks)
    except (ValueError, KeyError, TypeError):
        return False

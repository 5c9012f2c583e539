"""What a run folder says of its training: settings, state, figures. Read without torch.

The log, the configuration and the headers of the checkpoints suffice. Nothing is changed there, and
a training that runs is not disturbed.
"""

import os
import statistics
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from charseq.config import Config, load_config
from charseq.errors import CharseqError
from charseq.models.checkpoint_file import CheckpointError, Header, read_header
from charseq.models.run_files import BEST, CONFIG, LOG, NEWEST
from charseq.training.limits import total_steps, why_over
from charseq.training.lock import is_held

State = Literal["running", "done", "stopped", "diverged", "not started", "unreadable"]
CHECKPOINTS = (*NEWEST, BEST)


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    event: str
    step: int


class Logged(_Line):
    """A line of the log about training: the mean loss, in nats per symbol, since the one before."""

    loss: float
    epoch: float
    symbols_per_second: float
    seconds: float


class Evaluation(_Line):
    """A line about the validation data; ``bpc`` is of texts, ``ser`` and ``wer`` are of pairs."""

    nats: float
    seconds: float
    is_best: bool
    diverged: bool = False
    accuracy: float
    bpc: float | None = None
    ser: float | None = None
    wer: float | None = None

    def measure(self, monitor: str) -> float:
        """The value of ``train.monitor``: nats, a share that is right, or a symbol error rate.

        Nats also where there is no such value, as the SER of a text.
        """
        found = {"loss": self.nats, "accuracy": self.accuracy, "ser": self.ser}[monitor]
        return self.nats if found is None else found


class _Progress(BaseModel):
    """The counters of a checkpoint, as far as they are looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    step: int
    seconds: float = 0.0
    validates: bool = False
    evaluated_step: int = 0
    evaluations_since_best: int = 0


@dataclass(frozen=True)
class Run:
    """A run folder as it is now. Of one that cannot be read there is only ``why``."""

    path: Path
    state: State
    why: str = ""  # why it is done, or cannot be read
    config: Config | None = None
    parameters: int | None = None
    step: int = 0  # of the newest checkpoint; while it runs, of the log
    total_steps: int | None = None
    seconds: float = 0.0  # of training, all sessions together
    steps: tuple[Logged, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    ended: bool = False  # to go on would change nothing
    changed: float = 0.0  # when something was last written, as time.time()

    @property
    def best(self) -> Evaluation | None:
        """The evaluation whose weights ``best.safetensors`` holds."""
        return next((one for one in reversed(self.evaluations) if one.is_best), None)

    @property
    def speed(self) -> float | None:
        """Symbols a second, the median over the log."""
        speeds = [one.symbols_per_second for one in self.steps]
        return statistics.median(speeds) if speeds else None

    @property
    def rank(self) -> tuple[float, ...]:
        """Sorts runs of one task from the best to the worst, by the measure they are chosen by."""
        if self.best is None or self.config is None:
            return (float("inf"),)
        value = self.best.measure(self.config.train.monitor)
        return (-value if self.config.train.monitor == "accuracy" else value, self.best.nats)


def find_runs(folder: Path) -> list[Run]:
    """Every run folder in a folder, however deep, and the folder itself; by their names.

    Raises:
        CharseqError: there is no such folder.
    """
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "there is no such folder"
        raise CharseqError(f"{folder}: {what}; name one with runs in it")
    found = []
    seen = set()
    for place, below, files in os.walk(folder, followlinks=True):
        identity = os.path.realpath(place)
        if identity in seen:  # by way of a link
            below.clear()
            continue
        seen.add(identity)
        below[:] = sorted(name for name in below if not name.startswith("."))
        if {CONFIG, LOG, *CHECKPOINTS} & set(files):
            found.append(Path(place))
    return [read_run(path) for path in sorted(found)]


def read_run(path: Path) -> Run:
    """What a folder says; of one that cannot be read, why."""
    try:
        return _read(path)
    except (CharseqError, OSError) as error:
        why = str(error.strerror if isinstance(error, OSError) else error).splitlines()[0]
        return Run(path, "unreadable", why.removeprefix(f"{path}/"), changed=_changed(path))


def _read(path: Path) -> Run:
    if not path.is_dir():
        raise CharseqError("is not a folder" if path.exists() else "there is no such folder")
    if not (path / CONFIG).exists():
        raise CharseqError(f"{CONFIG} is missing")
    config = load_config(path / CONFIG)
    running = is_held(path)
    steps, evaluations, broke = _log(path / LOG)
    header, resumable = _header(path)
    steps_per_epoch = None
    if steps and steps[-1].epoch > 0:
        steps_per_epoch = round(steps[-1].step / steps[-1].epoch)
    run = Run(
        path,
        "stopped",
        config=config,
        parameters=header.parameters if header else None,
        total_steps=total_steps(config.train, steps_per_epoch),
        steps=steps,
        evaluations=evaluations,
        changed=_changed(path),
    )
    # A step is logged before it is saved: only what is saved is done.
    over = _why_over(config, run.total_steps, resumable) if resumable else None
    ended = not running and (over is not None or broke is not None)
    if resumable is not None and not running:
        run = replace(run, step=resumable.step, seconds=resumable.seconds, ended=ended)
    else:
        lines: list[Any] = [*steps[-1:], *evaluations[-1:]]
        step = max((one.step for one in lines), default=0)
        seconds = max((one.seconds for one in lines), default=0.0)
        run = replace(run, step=step, seconds=seconds, ended=ended)
    if running:
        return replace(run, state="running")
    if broke is not None:
        return replace(run, state="diverged", why=broke)
    if bad := next((one for one in evaluations if one.diverged), None):
        return replace(run, state="diverged", why=f"worse than guessing at step {bad.step:,}")
    if over is not None:
        return replace(run, state="done", why=over)
    if not run.steps and header is None:
        return replace(run, state="not started")
    if resumable is None:
        return replace(run, why="before its first checkpoint")
    return run


def _log(path: Path) -> tuple[tuple[Logged, ...], tuple[Evaluation, ...], str | None]:
    """The lines of a log that are looked at; and what ended it, where that was a NaN.

    Raises:
        CharseqError: there is something else in it.
    """
    steps: list[Logged] = []
    evaluations: list[Evaluation] = []
    broke = None
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        lines = []
    for number, line in enumerate(lines, 1):
        try:
            event = _Line.model_validate_json(line).event
            if event == "step":
                steps.append(Logged.model_validate_json(line))
            elif event == "evaluated":
                evaluations.append(Evaluation.model_validate_json(line))
            elif event == "not finite":
                broke = f"NaN or infinity at step {_Line.model_validate_json(line).step:,}"
        except ValidationError as error:
            if number == len(lines):  # half written
                break
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            why = ": ".join(part for part in (where, first["msg"]) if part)
            raise CharseqError(f"{path.name}:{number}: no line of a log ({why})") from None
    return tuple(steps), tuple(evaluations), broke


def _header(path: Path) -> tuple[Header | None, _Progress | None]:
    """The header of a checkpoint, and the counters of the one that resuming goes on from.

    Raises:
        CheckpointError: there are checkpoints, and none can be read.
    """
    problem = None
    for name in CHECKPOINTS:
        if (path / name).exists():
            try:
                header = read_header(path / name)
                if name not in NEWEST:
                    return header, None
                return header, _Progress.model_validate(header.extra.get("progress"))
            except CheckpointError as error:
                problem = problem or error
            except ValidationError:
                problem = problem or CheckpointError(f"{name}: its counters cannot be read")
    if problem:
        raise problem
    return None, None


def _why_over(config: Config, total: int | None, saved: _Progress) -> str | None:
    """Why to go on would change nothing; None where it would.

    So it would where the last evaluation was given up because somebody said stop, but not where
    ``max_minutes`` left it no time.
    """
    over = why_over(
        config.train,
        total,
        step=saved.step,
        seconds=saved.seconds,
        evaluations_since_best=saved.evaluations_since_best,
    )
    minutes = config.train.max_minutes
    out_of_time = minutes is not None and saved.seconds >= 60 * minutes
    is_scored = saved.evaluated_step == saved.step
    if over and saved.validates and not is_scored and not out_of_time:
        return None
    return over


def _changed(path: Path) -> float:
    for name in (LOG, CONFIG, ""):
        try:
            return (path / name).stat().st_mtime
        except OSError:
            continue
    return 0.0

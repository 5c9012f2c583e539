"""What a run folder says of its training: settings, state, figures. Read without torch.

The log, the configuration and the headers of the checkpoints suffice. Nothing is changed there, and
a training that runs is not disturbed.
"""

import os
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

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
    log = _log(path / LOG)
    header, resumable = _header(path)
    total = total_steps(config.train, log.steps_per_epoch)
    # A step is logged before it is saved: only what is saved is done.
    saved = None if running else resumable
    over = _why_over(config, total, resumable) if resumable else None
    state, why = _state(log, over, running=running, saved=resumable, begun=header is not None)
    return Run(
        path,
        state,
        why,
        config=config,
        parameters=header.parameters if header else None,
        step=log.step if saved is None else saved.step,
        total_steps=total,
        seconds=log.seconds if saved is None else saved.seconds,
        steps=log.steps,
        evaluations=log.evaluations,
        ended=not running and (over is not None or log.broke is not None),
        changed=_changed(path),
    )


def _state(
    log: "_Log", over: str | None, *, running: bool, saved: _Progress | None, begun: bool
) -> tuple[State, str]:
    """The state, and why it is that. ``over``: why to go on would change nothing."""
    if running:
        return "running", ""
    if log.broke is not None:
        return "diverged", log.broke
    if bad := next((one for one in log.evaluations if one.diverged), None):
        return "diverged", f"worse than guessing at step {bad.step:,}"
    if over is not None:
        return "done", over
    if not log.steps and not begun:
        return "not started", ""
    return "stopped", "before its first checkpoint" if saved is None else ""


class _Log(NamedTuple):
    """The lines of a log that are looked at; and what ended it, where that was a NaN."""

    steps: tuple[Logged, ...]
    evaluations: tuple[Evaluation, ...]
    broke: str | None

    @property
    def step(self) -> int:
        """The last one."""
        return max((one.step for one in self._last), default=0)

    @property
    def seconds(self) -> float:
        """Of training, until then."""
        return max((one.seconds for one in self._last), default=0.0)

    @property
    def steps_per_epoch(self) -> int | None:
        """None where nothing says it yet."""
        if not self.steps or self.steps[-1].epoch <= 0:
            return None
        return round(self.steps[-1].step / self.steps[-1].epoch)

    @property
    def _last(self) -> tuple[Logged | Evaluation, ...]:
        return (*self.steps[-1:], *self.evaluations[-1:])


def _log(path: Path) -> _Log:
    """Read a log. Raises CharseqError where there is something else in it."""
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
    return _Log(tuple(steps), tuple(evaluations), broke)


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

"""What a training says while it runs. The screen, the log and the tests all read these events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from charseq.inference.metrics import PairScore, Score
from charseq.models.init_from import Taken


class AutoCopy(NamedTuple):
    """What ``model.copy: auto`` comes to, as so many of the target symbols are source symbols.

    ``inherited``: whatever they are, as the model of ``train.init_from`` does.
    """

    copies: bool
    shared: int
    targets: int
    inherited: bool


@dataclass(frozen=True)
class Started:
    """Before the first step. ``step`` is 0, or where a resumed training goes on."""

    run: Path
    device: str
    backend: str
    precision: str
    parameters: int
    vocab_size: int
    train_size: int
    valid_size: int
    unit: str  # of the sizes: characters, or pairs
    steps_per_epoch: int
    step: int
    total_steps: int | None  # None: the clock decides
    seen: Mapping[str, int] = field(default_factory=dict)  # of valid and test: sources trained on
    same_texts: Sequence[str] = ()  # of valid and test: those that are the text trained on
    spliced_pairs: int = 0  # made from those to train on
    spliced_pairs_asked: int = 0  # train.spliced_pairs: there may be fewer
    skipped: Mapping[str, int] = field(default_factory=dict)  # lines left out, by reason
    auto_copy: AutoCopy | None = None  # where ``model.copy`` is auto
    taken: Taken | None = None  # what a fine-tuning begins with, at step 0
    changed: Sequence[str] = ()  # settings that a resumed training goes on with, unlike before
    notice: str | None = None  # what the person should know about how it was resumed
    hint: str | None = None  # why it is slower than it could be, and what to do


@dataclass(frozen=True)
class Step:
    """The steps since the last such event. ``loss`` is their mean, in nats per predicted symbol;
    with label smoothing that is the smoothed one. ``gradient_norm`` is the last, before clipping.
    """

    step: int
    epoch: float
    loss: float
    learning_rate: float
    gradient_norm: float
    symbols_per_second: float
    seconds: float  # all sessions of the run together
    seconds_left: float | None


@dataclass(frozen=True)
class Evaluated:
    """The validation data, scored with the averaged weights where there are any.

    ``train_loss`` is the mean since the last evaluation, nats per symbol, None where nothing was
    learned; ``diverged`` is what it says: see ``diagnose.diverged``.
    """

    step: int
    train_loss: float | None
    score: Score | PairScore
    is_best: bool
    diverged: bool
    seconds: float


@dataclass(frozen=True)
class Saved:
    step: int
    path: Path


@dataclass(frozen=True)
class SaveFailed:
    """A file could not be written; the training goes on, and writes the next one."""

    step: int
    why: str


@dataclass(frozen=True)
class Spike:
    """A step whose loss, in nats per symbol, stands far above the ``usual`` of those before."""

    step: int
    loss: float
    usual: float


@dataclass(frozen=True)
class RolledBack:
    """Something was not finite: the training goes on from checkpoint ``step``, more slowly."""

    step: int
    learning_rate_factor: float
    rollbacks: int
    why: str


@dataclass(frozen=True)
class Stopped:
    """The end. ``finished`` is False where the run was interrupted and can be resumed."""

    step: int
    reason: str
    finished: bool
    best_score: str | None  # in words
    best_step: int | None
    seconds: float
    warning: str | None = None  # what is wrong with the result, and what to do


Event = Started | Step | Evaluated | Saved | SaveFailed | Spike | RolledBack | Stopped

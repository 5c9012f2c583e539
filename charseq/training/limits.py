"""When a training is over: the same answer in the loop and for whoever looks at its folder."""

import math
from dataclasses import dataclass
from typing import Protocol

from charseq.config.schema.lm import LMTrainConfig
from charseq.config.schema.seq2seq import Seq2SeqTrainConfig
from charseq.config.schema.shared import TrainConfig

GRACE = 0.1  # of max_minutes, for the evaluation at its end
LEAST_GRACE = 5.0  # seconds of it
MOMENT = 1e-9  # seconds, where the warm-up has taken all of them


class Progress(Protocol):
    """What ``state.Progress`` has of it; whoever looks at a folder has no use for torch."""

    step: int
    seconds: float
    evaluations_since_best: int


def total_steps(settings: TrainConfig, steps_per_epoch: int | None) -> int | None:
    """The updates after which max_steps or max_epochs ends the training, the first that does.

    None where the clock decides, or where nobody knows yet how many steps an epoch has.
    """
    limits = []
    if settings.max_steps is not None:
        limits.append(settings.max_steps)
    if settings.max_epochs is not None and steps_per_epoch is not None:
        limits.append(math.ceil(settings.max_epochs * steps_per_epoch))
    return min(limits) if limits else None


def why_over(
    settings: LMTrainConfig | Seq2SeqTrainConfig,
    total: int | None,
    *,
    step: int,
    seconds: float,
    evaluations_since_best: int,
) -> str | None:
    """Why a training that has come so far is over, or None while it is not."""
    if total is not None and step >= total:
        return f"all {total:,} steps are done"
    if settings.max_minutes is not None and seconds >= 60 * settings.max_minutes:
        return f"{settings.max_minutes:g} minutes are over"
    if settings.patience is not None and evaluations_since_best >= settings.patience:
        return f"no better validation {settings.monitor} in {settings.patience} evaluations"
    return None


@dataclass(frozen=True)
class Limits:
    """What ends a training, and how far it is; ``total_steps`` as above."""

    settings: LMTrainConfig | Seq2SeqTrainConfig
    total_steps: int | None

    def reached(self, progress: Progress) -> str | None:
        """Why the training is over, or None while it is not."""
        return why_over(
            self.settings,
            self.total_steps,
            step=progress.step,
            seconds=progress.seconds,
            evaluations_since_best=progress.evaluations_since_best,
        )

    def is_long_over(self, seconds: float) -> bool:
        """Whether max_minutes have been over for so long that an evaluation is to be given up."""
        minutes = self.settings.max_minutes
        if minutes is None:
            return False
        return seconds >= 60 * minutes + max(LEAST_GRACE, GRACE * 60 * minutes)

    def share_done(self, progress: Progress) -> float:
        """Of what comes behind the warm-up: by the step; and by the clock where it ends the
        training, whichever is further on. Negative before it by the step, above 1 behind the end.
        """
        settings, done = self.settings, 0.0
        if self.total_steps is not None:
            length = max(1, self.total_steps - settings.warmup_steps)
            done = (progress.step - settings.warmup_steps) / length
        if settings.max_minutes is not None and progress.step:
            warm_up = progress.seconds * min(1.0, settings.warmup_steps / progress.step)
            left = max(60 * settings.max_minutes - warm_up, MOMENT)
            done = max(done, (progress.seconds - warm_up) / left)
        return done

    def seconds_left(self, progress: Progress) -> float | None:
        """About how long it still takes; None where nobody knows."""
        left = []
        if self.total_steps is not None:
            left.append((self.total_steps - progress.step) * progress.seconds / progress.step)
        if self.settings.max_minutes is not None:
            left.append(max(0.0, 60 * self.settings.max_minutes - progress.seconds))
        return min(left) if left else None

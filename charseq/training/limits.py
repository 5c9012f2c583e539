"""When a training is over: the same answer in the loop and for whoever looks at its folder."""

import math

from charseq.config.schema.lm import LMTrainConfig
from charseq.config.schema.seq2seq import Seq2SeqTrainConfig
from charseq.config.schema.shared import TrainConfig


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

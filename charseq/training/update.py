"""One update of the weights."""

import math
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

from charseq.errors import NotFiniteError
from charseq.training.diagnose import went_wrong
from charseq.training.optim import add_noise
from charseq.training.state import TrainingState


def update(
    state: TrainingState, batch: Any, rate: float, precision: AbstractContextManager[object]
) -> tuple[float, int, float]:
    """Learn from a batch of the kind that the model reads, with this learning rate.

    Returns the loss, in nats, as a sum over symbols, their number, and the norm of the gradient
    before clipping.

    Raises:
        NotFiniteError: the loss or the gradient is not finite; the weights are as they were.
    """
    settings, model = state.config.train, state.model
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    before: Any = state.carried
    model.train()
    state.optimizer.zero_grad()
    with precision:
        loss_sum, symbols, carried = model.loss(batch, before, settings.label_smoothing)
    torch.autograd.backward(loss_sum / symbols)
    parameters = list(model.parameters())
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    loss, gradient_norm = torch.stack([loss_sum.detach(), norm]).tolist()
    if not math.isfinite(loss + gradient_norm):  # before clipping, which would spread a NaN
        symptom = f"the loss is {loss / symbols}"
        if math.isfinite(loss):
            symptom = f"the norm of the gradient is {gradient_norm}"
        raise NotFiniteError(went_wrong(state, batch, state.progress.step + 1, symptom))
    if settings.clip_norm is not None and gradient_norm > settings.clip_norm:
        nn.utils.clip_grads_with_norm_(parameters, settings.clip_norm, norm)
    if settings.gradient_noise > 0.0:
        add_noise(parameters, settings.gradient_noise, state.progress.step)
    state.optimizer.step()
    if state.average:
        state.average.update(model, state.progress.step)
    state.carried = carried
    return loss, symbols, gradient_norm

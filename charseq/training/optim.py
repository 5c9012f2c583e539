"""Optimizer, learning-rate schedule and averaged weights."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from charseq.config.schema.shared import TrainConfig


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019); only matrices decay, a bias has nothing to gain by it."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=(config.beta1, config.beta2), fused=True
    )


def learning_rate(
    step: int, config: TrainConfig, done: float, plateau_factor: float = 1.0
) -> float:
    """The learning rate of update ``step``, counted from 0.

    ``done`` is the share, 0 to 1, of the training behind the warm-up that is over, for the cosine;
    ``plateau_factor`` the product of the falls that the plateau schedule has made so far.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / (config.warmup_steps + 1)
    peak, lowest = config.learning_rate, config.final_learning_rate
    if config.schedule == "constant":
        return peak
    if config.schedule == "step":
        falls = (step - config.warmup_steps) // config.decay_every
        return max(lowest, peak * config.decay**falls)
    if config.schedule == "plateau":
        return max(lowest, peak * plateau_factor)
    return lowest + (peak - lowest) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))


@torch.no_grad()
def add_noise(parameters: Iterable[nn.Parameter], variance: float, step: int) -> None:
    """Add normal noise to the gradients of update ``step``, counted from 0.

    Its variance falls as variance / (1 + step)^0.55 (Neelakantan et al. 2015, equation 1).
    """
    deviation = math.sqrt(variance / (1 + step) ** 0.55)
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.add_(torch.randn_like(parameter.grad), alpha=deviation)


class Average:
    """An exponential moving average of the weights (Polyak and Juditsky 1992), for evaluation.

    Early on it forgets faster, decay_t = min(decay, (1 + t) / (10 + t)), so that the random initial
    weights do not linger.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the weights after update ``step``, counted from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, parameter in model.named_parameters():
            self.weights[name].lerp_(parameter, 1.0 - decay)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Inside, the model has the averaged weights."""
        self._swap(model)
        try:
            yield
        finally:
            self._swap(model)

    def _swap(self, model: nn.Module) -> None:
        for name, parameter in model.named_parameters():
            self.weights[name], parameter.data = parameter.data, self.weights[name]


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The state of the optimizer as named tensors, for a checkpoint."""
    return {
        f"{key}.{name}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state[parameter].items()
    }


def load_optimizer_tensors(
    optimizer: torch.optim.Optimizer, model: nn.Module, tensors: dict[str, Tensor]
) -> None:
    """The inverse of ``optimizer_tensors``; takes the tensors over as they are."""
    names = dict(model.named_parameters())
    for full_name, tensor in tensors.items():
        key, name = full_name.split(".", 1)
        optimizer.state[names[name]][key] = tensor

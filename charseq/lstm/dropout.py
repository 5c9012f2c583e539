"""Dropout whose masks are cheap on a CPU.

torch draws a number for each unit there. A mask needs less: 16 bits tell with which of 65,536
probabilities a unit is dropped, so one draw of 64 bits serves four of them.
"""

import torch
from torch import Tensor, nn

LEVELS = 2**16


def dropout(x: Tensor, probability: float) -> Tensor:
    """Zero each entry of ``x`` with ``probability``, and scale the others so that the mean stays.

    On a CPU the probability is rounded to a multiple of 1/65536, and the scale is that of what was
    rounded; elsewhere it is torch's.
    """
    if x.device.type != "cpu":
        return nn.functional.dropout(x, probability)
    dropped = _levels(probability)
    return x * kept(x, probability).mul_(LEVELS / (LEVELS - dropped)) if dropped else x


def kept(like: Tensor, probability: float) -> Tensor:
    """Ones, and with ``probability`` zeros; shape and type of ``like``."""
    if like.device.type != "cpu":
        return torch.empty_like(like).bernoulli_(1.0 - probability)
    words = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    levels = words.view(torch.int16)[: like.numel()].view(like.shape)  # -32768 … 32767
    return (levels >= _levels(probability) - LEVELS // 2).to(like.dtype)


def _levels(probability: float) -> int:
    return min(round(probability * LEVELS), LEVELS - 1)


def drop(x: Tensor, probability: float, *, training: bool, locked: bool) -> Tensor:
    """Dropout of (T, B, F); ``locked`` draws one mask (B, F) and keeps it for all T steps."""
    if not training or probability == 0.0:
        return x
    return x * dropout(torch.ones_like(x[:1]), probability) if locked else dropout(x, probability)

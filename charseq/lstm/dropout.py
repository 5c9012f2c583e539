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
    dropped = min(round(probability * LEVELS), LEVELS - 1)
    if dropped == 0:
        return x
    words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    levels = words.view(torch.int16)[: x.numel()].view(x.shape)  # -32768 … 32767
    kept = (levels >= dropped - LEVELS // 2).to(x.dtype)
    return x * kept.mul_(LEVELS / (LEVELS - dropped))


def drop(x: Tensor, probability: float, *, training: bool, locked: bool) -> Tensor:
    """Dropout of (T, B, F); ``locked`` draws one mask (B, F) and keeps it for all T steps."""
    if not training or probability == 0.0:
        return x
    return x * dropout(torch.ones_like(x[:1]), probability) if locked else dropout(x, probability)

"""A small encoder-decoder, and pairs for it, as several tests use them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from charseq.models.seq2seq import Seq2Seq
from charseq.text.pair_batches import PairBatch, collate
from charseq.text.pairs import Pairs
from charseq.text.ragged import Ragged

SOURCES, TARGETS, HIDDEN = 6, 5, 4
COPIES = [1, 2, 4, -1, 2, -1]  # two ways to write 2, two that cannot be copied
PAIRS = [([1, 2, 3, 4, 5], [2, 3]), ([4], [2, 2, 4]), ([3, 1, 5], []), ([2, 5], [4, 3, 2, 1])]

Pair = tuple[list[int], list[int]]


def make(seed: int = 0, scale: float = 1.5, **options: Any) -> Seq2Seq:
    """A small model in float64, in evaluation mode, with no weight at zero."""
    torch.manual_seed(seed)
    options = dict[str, Any](num_layers=2, forget_bias=0.5, backend="manual") | options
    model = Seq2Seq(SOURCES, TARGETS, HIDDEN, **options).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3).mul_(scale)
    return model


def make_batch(pairs: Sequence[Pair]) -> PairBatch:
    source, target = (Ragged.from_rows([pair[side] for pair in pairs]) for side in (0, 1))
    rows = np.arange(len(pairs))
    return collate(Pairs([], source, target, rows), rows)


def tensors(batch: PairBatch) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.from_numpy(batch.source),
        torch.from_numpy(batch.source_lengths),
        torch.from_numpy(batch.inputs),
    )


def gradients(model: Seq2Seq, loss: Tensor) -> dict[str, Tensor]:
    parameters = dict(model.named_parameters())
    found = torch.autograd.grad(loss, list(parameters.values()))
    return dict(zip(parameters, found, strict=True))

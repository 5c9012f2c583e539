"""The distribution that a symbol is drawn from: temperature, top-k and the nucleus."""

import math

import torch
from torch import Tensor

from charseq.lstm.drawing import Drawing


def tempered(scores: Tensor, drawing: Drawing) -> Tensor:
    """Logarithms of probabilities for logits or log-probabilities, each row of (R, V) by itself.

    What ``drawing`` cuts off is -inf. Of equally likely symbols the one with the smaller id counts
    as likelier.
    """
    top_k, top_p = drawing.top_k, drawing.top_p
    peak, likeliest = scores.max(1, keepdim=True)
    if drawing.temperature == 0.0:
        return torch.full_like(scores, -math.inf).scatter_(1, likeliest, 0.0)
    logits = scores
    scores = (scores - peak) / drawing.temperature  # at most 0: no overflow, however cold
    if top_k is not None or (top_p is not None and top_p < 1.0):
        order = logits.sort(dim=1, descending=True, stable=True).indices  # however hot
        ordered = scores.gather(1, order)
        cut = torch.arange(scores.shape[1], device=scores.device) >= (top_k or scores.shape[1])
        ordered = ordered.masked_fill(cut, -math.inf)
        if top_p is not None and top_p < 1.0:
            before = ordered.softmax(1).cumsum(1).roll(1, dims=1)
            before[:, 0] = 0.0  # the likeliest stays
            ordered = ordered.masked_fill(before >= top_p, -math.inf)
        scores = torch.empty_like(scores).scatter_(1, order, ordered)
    return scores.log_softmax(1)


def draw(log_p: Tensor, uniforms: Tensor) -> Tensor:
    """A symbol for each row of (R, V), by inverting its cumulative distribution; (R,), on the CPU.

    ``uniforms``: (R,), in [0, 1). A symbol of probability 0 is never drawn.
    """
    cumulative = log_p.exp().cumsum(-1).cpu()
    return torch.searchsorted(cumulative, uniforms[:, None] * cumulative[:, -1:], right=True)[:, 0]

"""The definition: the cell unrolled over a sequence, differentiated by autograd.

Slow and plain on purpose; ``manual.py`` has to agree with it in every output and every gradient.
"""

import torch
from torch import Tensor, nn

from charseq.lstm.cell import State, padding_mask, step


def lstm(
    x: Tensor,
    state: State,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    lengths: Tensor | None = None,
    update: Tensor | float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run one layer over a sequence.

    ``x``: (T, B, I) float, or (T, B) ids, made one-hot vectors here. ``state``: h_0 and c_0,
    (B, H). ``lengths``: (B,), or None where every sequence has T steps; in a padded step, at or
    behind the length, the state stays as it is and the output is zero. ``update``: how much of its
    cell state a unit replaces, (T, B, H), or a number for all; see ``cell.step``.
    Returns the outputs (T, B, H), and h_T and c_T (B, H).
    """
    if not x.is_floating_point():
        x = nn.functional.one_hot(x, weight_ih.shape[1]).to(weight_ih.dtype)
    mask = None if lengths is None else padding_mask(lengths, x.shape[0])
    h, c = state
    outputs = []
    for t in range(x.shape[0]):
        u = update[t] if isinstance(update, Tensor) else update
        h_t, c_t, _ = step(x[t], (h, c), weight_ih, weight_hh, bias_ih, u)
        if mask is None:
            h, c, output = h_t, c_t, h_t
        else:
            h, c = torch.where(mask[t], h_t, h), torch.where(mask[t], c_t, c)
            output = torch.where(mask[t], h_t, 0.0)
        outputs.append(output)
    return torch.stack(outputs), h, c

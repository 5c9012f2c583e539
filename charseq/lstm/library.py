"""The same weights through the kernel behind ``torch.nn.LSTM``: for comparison, and for cuDNN."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from charseq.errors import CharseqError
from charseq.lstm.cell import State


def lstm(
    x: Tensor,
    state: State,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    lengths: Tensor | None = None,
    update: Tensor | float = 1.0,
    *,
    bfloat16: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run one layer over a sequence; arguments and results as ``reference.lstm``.

    ``bfloat16``: that kernel is given bfloat16 numbers, and h is one between its steps.

    Raises ``CharseqError`` with zoneout, which that kernel does not know.
    """
    if isinstance(update, Tensor) or update != 1.0:
        raise CharseqError("backend 'torch' has no zoneout: use 'auto', 'manual' or 'fused'")
    if not x.is_floating_point():
        x = nn.functional.one_hot(x, weight_ih.shape[1]).to(weight_ih.dtype)
    dtype, low = weight_ih.dtype, torch.bfloat16 if bfloat16 else weight_ih.dtype
    x, h_c = x.to(low), [part[None].contiguous().to(low) for part in state]
    weights = [w.to(low) for w in (weight_ih, weight_hh, bias_ih, torch.zeros_like(bias_ih))]
    # has_biases, num_layers, dropout, training (does it keep what backward needs?), bidirectional
    options = (True, 1, 0.0, torch.is_grad_enabled(), False)
    if lengths is None:
        output, h, c = torch.lstm(x, h_c, weights, *options, False)
        return output.to(dtype), h[0].to(dtype), c[0].to(dtype)
    packed = pack_padded_sequence(x, lengths.cpu(), enforce_sorted=False)
    order, restore = packed.sorted_indices, packed.unsorted_indices
    h_c = [part[:, order] for part in h_c]
    data, h, c = torch.lstm(packed.data, packed.batch_sizes, h_c, weights, *options)
    output, _ = pad_packed_sequence(packed._replace(data=data), total_length=x.shape[0])
    return output.to(dtype), h[0, restore].to(dtype), c[0, restore].to(dtype)

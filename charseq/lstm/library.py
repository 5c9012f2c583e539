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
) -> tuple[Tensor, Tensor, Tensor]:
    """Run one layer over a sequence; arguments and results as ``reference.lstm``.

    Raises ``CharseqError`` with zoneout, which that kernel does not know.
    """
    if isinstance(update, Tensor) or update != 1.0:
        raise CharseqError("backend 'torch' has no zoneout: use 'auto', 'manual' or 'fused'")
    if not x.is_floating_point():
        x = nn.functional.one_hot(x, weight_ih.shape[1]).to(weight_ih.dtype)
    h_c = [part[None].contiguous() for part in state]
    weights = [weight_ih, weight_hh, bias_ih, torch.zeros_like(bias_ih)]
    # has_biases, num_layers, dropout, training (does it keep what backward needs?), bidirectional
    options = (True, 1, 0.0, torch.is_grad_enabled(), False)
    if lengths is None:
        output, h, c = torch.lstm(x, h_c, weights, *options, False)
        return output, h[0], c[0]
    packed = pack_padded_sequence(x, lengths.cpu(), enforce_sorted=False)
    order, restore = packed.sorted_indices, packed.unsorted_indices
    h_c = [part[:, order] for part in h_c]
    data, h, c = torch.lstm(packed.data, packed.batch_sizes, h_c, weights, *options)
    output, _ = pad_packed_sequence(packed._replace(data=data), total_length=x.shape[0])
    return output, h[0, restore], c[0, restore]

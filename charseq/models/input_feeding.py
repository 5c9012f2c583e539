"""One step of a stack of LSTM layers with input feeding (Luong et al. 2015, section 3.3).

The first layer reads [x_t; h~_{t-1}]. Its input weights fall into two parts, and with them the
product: what x_t says to the gates is made for all steps before the first, and only what h~_{t-1}
says is left for the loop.
"""

from collections.abc import Sequence

from torch import Tensor

from charseq.lstm.cell import step
from charseq.lstm.layer import Weights


def split_feed(weights: list[Weights], input_size: int) -> tuple[list[Weights], Tensor]:
    """Part the first layer's ``weight_ih`` (4H, input_size + H) after what reads x_t.

    Returns the weights with that part alone, and the other, (4H, H), which reads h~_{t-1}.
    """
    w_ih, w_hh, bias = weights[0]
    return [(w_ih[:, :input_size], w_hh, bias), *weights[1:]], w_ih[:, input_size:]


def fed_step(
    z: Tensor,
    feed: Tensor,
    state: tuple[Sequence[Tensor], Sequence[Tensor]],
    weights: list[Weights],
    w_feed: Tensor,
    masks: Sequence[Tensor],
    updates: Sequence[Tensor | float],
) -> tuple[list[Tensor], list[Tensor]]:
    """One time step of all layers.

    ``z``: W_x x_t + b of the first layer, (B, 4H). ``feed``: h~_{t-1}, (B, H). ``state``: h and c
    of each layer, (B, H). ``masks``: what each layer but the first multiplies its input with, for
    dropout; empty for nothing. ``updates``: how much of its cell state each layer replaces, as
    ``cell.step`` has it. Returns the new h and c of each layer.
    """
    h_n: list[Tensor] = []
    c_n: list[Tensor] = []
    for layer, (w_ih, w_hh, bias) in enumerate(weights):
        before = (state[0][layer], state[1][layer])
        if layer == 0:  # z is that part of W_ih x + b which is there already: it is the bias
            h, c, _ = step(feed, before, w_feed, w_hh, z, updates[layer])
        else:
            x = h_n[-1] * masks[layer - 1] if masks else h_n[-1]
            h, c, _ = step(x, before, w_ih, w_hh, bias, updates[layer])
        h_n.append(h)
        c_n.append(c)
    return h_n, c_n

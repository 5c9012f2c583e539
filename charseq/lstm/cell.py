"""One time step of an LSTM, its four gates written out one under the other.

Notation, at time step t, for a batch of B sequences, H hidden units, I input features:

    x_t  (B, I)          input: features, or for characters the one-hot row of an id
    h_t  (B, H)          hidden state, the output of the step
    c_t  (B, H)          cell state, the memory
    i_t, f_t, g_t, o_t   input gate, forget gate, candidate, output gate, each (B, H)

Parameters stack the four gates in the order i, f, g, o, as ``torch.nn.LSTM`` does:
``weight_ih (4H, I)``, ``weight_hh (4H, H)``, ``bias_ih (4H)``. There is one bias vector; the second
one of ``nn.LSTM``, ``bias_hh``, is added to it and so is redundant: it corresponds to zero here.

The numbers of the steps are the same in ``manual.py``, ``faults.py`` and ``docs/lstm.md``.
Source: Hochreiter and Schmidhuber 1997; the forget gate, Gers, Schmidhuber and Cummins 2000.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]  # h, c: each (B, H), or (layers x directions, B, H) for a stack


class Gates(NamedTuple):
    """The four gates of one time step, each (B, H), after their nonlinearities."""

    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor


def project(x: Tensor, weight_ih: Tensor, bias_ih: Tensor) -> Tensor:
    """Step 1, what the input says to the gates: ``W_ih x_t + b``, (..., 4H).

    ``x`` is float features (..., I), or integer ids (...) of one-hot characters. The product of a
    matrix with a one-hot vector is a column of the matrix, so an id gathers it: no product is made.
    """
    if x.is_floating_point():
        return nn.functional.linear(x, weight_ih, bias_ih)
    if x.numel() < weight_ih.shape[1]:  # a few columns are read where they stand
        return nn.functional.embedding(x, weight_ih.t()) + bias_ih
    return nn.functional.embedding(x, weight_ih.t().contiguous() + bias_ih)


def padding_mask(lengths: Tensor, steps: int) -> Tensor:
    """(T, B, 1) bool: True where step t is inside a sequence of ``lengths`` (B,)."""
    return (torch.arange(steps, device=lengths.device)[:, None] < lengths)[:, :, None]


def step(
    x: Tensor,
    state: State,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    update: Tensor | float = 1.0,
) -> tuple[Tensor, Tensor, Gates]:
    """One time step. ``x``: (B, I) float or (B,) ids; ``state``: h_{t-1} and c_{t-1}, (B, H).

    ``update`` is how much of its cell state a unit replaces, u_t: all, but with zoneout (Krueger et
    al. 2017, of the cell) 1 or 0 in training, (B, H), and their mean afterwards.
    Returns h_t and c_t (B, H), and the four gates.
    """
    h, c = state
    # 1. z_t = W_ih x_t + b + W_hh h_{t-1}                          (B, 4H)
    z = project(x, weight_ih, bias_ih) + h @ weight_hh.t()
    z_i, z_f, z_g, z_o = z.chunk(4, dim=-1)
    # 2. the gates                                                  (B, H)
    i = torch.sigmoid(z_i)  # how much of the candidate comes in
    f = torch.sigmoid(z_f)  # how much of the memory stays
    g = torch.tanh(z_g)  # what could be written
    o = torch.sigmoid(z_o)  # how much of the memory is shown
    # 3. c_t = f_t * c_{t-1} + i_t * g_t                            (B, H)
    c_new = f * c + i * g
    #    with zoneout c_t = c_{t-1} + u_t * (that - c_{t-1})
    if isinstance(update, Tensor) or update != 1.0:
        c_new = c + update * (c_new - c)
    c = c_new
    # 4. h_t = o_t * tanh(c_t)                                      (B, H)
    h = o * torch.tanh(c)
    return h, c, Gates(i, f, g, o)


class LSTMCell(nn.Module):
    """One LSTM layer, one time step: for decoding and for looking inside.

    Shapes: ``x`` (B, I) float or (B,) ids; ``state`` is (h, c), each (B, H).
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.update = 1.0
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias_ih = nn.Parameter(torch.zeros(4 * hidden_size))
        bound = hidden_size**-0.5
        for weight in (self.weight_ih, self.weight_hh):
            nn.init.uniform_(weight, -bound, bound)

    @classmethod
    def sharing(
        cls,
        weight_ih: nn.Parameter,
        weight_hh: nn.Parameter,
        bias: nn.Parameter,
        *,
        update: float = 1.0,
    ) -> Self:
        """A cell over parameters that belong to a layer: what one learns, the other knows.

        ``update`` as in ``step``.
        """
        cell = cls.__new__(cls)
        nn.Module.__init__(cell)
        cell.update = update
        cell.weight_ih, cell.weight_hh, cell.bias_ih = weight_ih, weight_hh, bias
        return cell

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, Tensor, Gates]:
        """Return h_t (B, H), c_t (B, H) and the four gates."""
        return step(x, state, self.weight_ih, self.weight_hh, self.bias_ih, self.update)

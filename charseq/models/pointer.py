"""The pointer-generator: a symbol is generated from the vocabulary, or copied from the source.

See et al. 2017, section 2.2, equations 8 and 9, for characters: here a source symbol is copied as
the target symbol that is written like it, so the vocabulary does not grow.

    p_gen = sigmoid(w · [context; h_t; x_t] + b)
    P(y)  = p_gen softmax(logits)_y + (1 - p_gen) sum over s with copies(s) = y of a(t, s)

a is the attention over the source symbols that have a target symbol, softmax of the same scores;
where a source has none, p_gen is 1.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, logsigmoid

from charseq.lstm.cell import project


class Pointer(nn.Module):
    """The switch p_gen, and the mixture of both ways to write a symbol."""

    def __init__(self, hidden_size: int, input_size: int) -> None:
        super().__init__()
        self.switch = nn.Linear(2 * hidden_size + input_size, 1)
        nn.init.zeros_(self.switch.bias)

    def forward(
        self, logits: Tensor, context_h: Tensor, x: Tensor, scores: Tensor, copies: Tensor
    ) -> Tensor:
        """log P, (T, B, V).

        ``logits`` (T, B, V); ``context_h``: context and h_t (T, B, 2H); ``x``: what the decoder
        read, (T, B) ids of one-hot symbols or (T, B, X) embeddings; ``scores`` (T, B, S) of the
        attention; ``copies`` (B, S): the target id of each place, -1 where there is none.
        """
        split = context_h.shape[-1]
        weight = self.switch.weight
        switch = linear(context_h, weight[:, :split]) + project(
            x, weight[:, split:], self.switch.bias
        )  # (T, B, 1)

        can_copy = copies >= 0  # (B, S)
        # The smallest number and not -inf: a source with nothing to copy must not give NaN.
        scores = scores.masked_fill(~can_copy, torch.finfo(scores.dtype).min)
        attention = scores.softmax(-1) * can_copy
        index = copies.clamp_min(0).expand_as(attention)
        copied = torch.zeros_like(logits).scatter_add(2, index, attention)  # (T, B, V)

        log_p_gen = logsigmoid(switch).where(can_copy.any(1)[:, None], 0.0)
        generated = log_p_gen + logits.log_softmax(-1)
        # Both ways in logarithms: a product of two small probabilities does not become zero.
        tiny = torch.finfo(copied.dtype).tiny
        both = torch.logaddexp(generated, logsigmoid(-switch) + copied.clamp_min(tiny).log())
        return torch.where(copied > 0, both, generated)

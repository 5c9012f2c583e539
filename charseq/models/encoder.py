"""The encoder reads a source: its outputs are the memory, its last states begin the decoder."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from charseq.errors import CharseqError
from charseq.lstm.cell import State
from charseq.lstm.layer import LSTM
from charseq.models.embedding import embed, make_embedding


class Encoder(nn.Module):
    """A stack of LSTM layers over source ids, and the bridge from its last states.

    ``make_lstm``: ``LSTM`` with every setting that encoder and decoder share.

    In both directions each has half of ``hidden_size``, and what they say stands side by side. The
    bridge of layer k: h_0 = tanh(W_k h_n + b_k), in the range of an h; c_0 = W'_k c_n + b'_k.
    """

    def __init__(
        self,
        source_size: int,
        hidden_size: int,
        make_lstm: Callable[..., LSTM],
        *,
        bidirectional: bool,
        embedding_size: int | None,
    ) -> None:
        super().__init__()
        if bidirectional and hidden_size % 2:
            raise CharseqError(
                f"hidden_size {hidden_size} is odd: a bidirectional encoder halves it; make it even"
            )
        self.embedding = make_embedding(source_size, embedding_size)
        self.lstm = make_lstm(
            source_size if embedding_size is None else embedding_size,
            hidden_size // 2 if bidirectional else hidden_size,
            bidirectional=bidirectional,
        )
        self.bridge_h = bridge(hidden_size, self.lstm.num_layers)
        self.bridge_c = bridge(hidden_size, self.lstm.num_layers)

    def forward(self, source: Tensor, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Read sources (S, B) of ``lengths`` (B,), None where all have S symbols.

        Returns the outputs (S, B, H), zero in padding, and the decoder's first h and c (L, B, H).
        """
        output, (h_n, c_n) = self.lstm(embed(self.embedding, source), None, lengths)
        output = self.lstm.drop(output)
        h = [layer(h) for layer, h in zip(self.bridge_h, self._join(h_n), strict=True)]
        c = [layer(c) for layer, c in zip(self.bridge_c, self._join(c_n), strict=True)]
        return output, (torch.stack(h).tanh(), torch.stack(c))

    def _join(self, last: Tensor) -> Tensor:
        """(layers * directions, B, H / directions), as the LSTM gives it, to (layers, B, H)."""
        layers, batch = self.lstm.num_layers, last.shape[1]
        return last.view(layers, -1, batch, last.shape[2]).transpose(1, 2).flatten(2)


def bridge(hidden_size: int, num_layers: int) -> nn.ModuleList:
    """A linear map of each layer's state; biases zero."""
    layers = [nn.Linear(hidden_size, hidden_size) for _ in range(num_layers)]
    for layer in layers:
        nn.init.zeros_(layer.bias)
    return nn.ModuleList(layers)

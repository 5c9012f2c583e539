"""What training, evaluation and decoding know of a model. They never ask which task it is."""

from typing import Any, Protocol

import torch
from torch import Tensor

from charseq.lstm.cell import State
from charseq.text.corpus import Batch


class SequenceModel(Protocol):
    """T: time steps, B: sequences side by side, V: symbols of the vocabulary."""

    training: bool

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        ...

    @property
    def vocab_size(self) -> int:
        """V, the width of the logits."""
        ...

    def train(self, mode: bool = True) -> Any:
        """Switch between training and evaluation, as every ``nn.Module``."""
        ...

    def loss(
        self, batch: Batch, state: State | None, label_smoothing: float = 0.0
    ) -> tuple[Tensor, int, State]:
        """The sum of the cross-entropies of a batch, in nats, how many there are, and the state.

        The state is what the next batch carries on from; no gradient flows back through it.
        """
        ...

    def begin(self, prompt: Tensor) -> tuple[Tensor, State]:
        """Read a prompt (P, B) of at least one id. Returns the ids (B,) that ``step`` reads first,
        and the state before them."""
        ...

    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one symbol of each sequence, (B,). Returns the logits (B, V) of the next one."""
        ...

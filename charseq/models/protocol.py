"""What inference knows of a model, so that any other can take its place."""

from typing import Any, Protocol

import torch
from torch import Tensor

from charseq.lstm.cell import State


class HasMode(Protocol):
    """As every ``nn.Module``: training, where dropout is on, or evaluation."""

    training: bool

    def train(self, mode: bool = True) -> Any:
        """Switch between the two."""
        ...


class SequenceModel(HasMode, Protocol):
    """A language model, which writes symbol after symbol.

    T: time steps, B: sequences side by side, V: symbols of the vocabulary.
    """

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        ...

    @property
    def backend(self) -> str:
        """Which backend of the LSTM runs there."""
        ...

    @property
    def vocab_size(self) -> int:
        """V, the width of the logits."""
        ...

    def begin(self, prompt: Tensor) -> tuple[Tensor, State]:
        """Read a prompt (P, B) of at least one id. Returns the ids (B,) that ``step`` reads first,
        and the state before them."""
        ...

    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one symbol of each sequence, (B,). Returns the logits (B, V) of the next one."""
        ...

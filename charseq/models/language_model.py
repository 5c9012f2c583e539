"""A language model: one-hot characters, a stack of LSTM layers, a softmax over the next one."""

import torch
from torch import Tensor, nn

from charseq.lstm.cell import State
from charseq.lstm.layer import LSTM, drop
from charseq.text.corpus import Batch

PIECE = 4096  # steps of a prompt read at once: the memory does not grow with the prompt


class LanguageModel(nn.Module):
    """p(x_{t+1} | x_1 … x_t) = softmax(W_out h_t + b_out). Satisfies ``SequenceModel``.

    ``dropout`` drops outputs of every layer, the last one included (Zaremba et al. 2014).
    """

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        dropout: float = 0.0,
        locked_dropout: bool = False,
        forget_bias: float = 1.0,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        self.lstm = LSTM(
            vocab_size,
            hidden_size,
            num_layers,
            dropout=dropout,
            locked_dropout=locked_dropout,
            forget_bias=forget_bias,
            backend=backend,
        )
        self.output = nn.Linear(hidden_size, vocab_size)
        nn.init.zeros_(self.output.bias)

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits (T, B, V) of the symbol that follows each of ``ids`` (T, B), and the state."""
        h, state = self.lstm(ids, state)
        h = drop(h, self.lstm.dropout, training=self.training, locked=self.lstm.locked_dropout)
        return self.output(h), state

    @property
    def device(self) -> torch.device:
        """See ``SequenceModel.device``."""
        return self.output.weight.device

    @property
    def vocab_size(self) -> int:
        """See ``SequenceModel.vocab_size``."""
        return self.output.out_features

    def loss(
        self, batch: Batch, state: State | None, label_smoothing: float = 0.0
    ) -> tuple[Tensor, int, State]:
        """See ``SequenceModel.loss``."""
        inputs = torch.from_numpy(batch.inputs).to(self.device)
        targets = torch.from_numpy(batch.targets).to(self.device)
        logits, (h, c) = self(inputs, state)
        loss_sum = nn.functional.cross_entropy(
            logits.flatten(0, 1),
            targets.flatten(),
            reduction="sum",
            label_smoothing=label_smoothing,
        )
        return loss_sum, targets.numel(), (h.detach(), c.detach())

    def begin(self, prompt: Tensor) -> tuple[Tensor, State]:
        """See ``SequenceModel.begin``."""
        state = self.lstm.zero_state(prompt.shape[1])
        for start in range(0, len(prompt) - 1, PIECE):
            _, state = self.lstm(prompt[:-1][start : start + PIECE], state)
        return prompt[-1], state

    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """See ``SequenceModel.step``."""
        h, state, _ = self.lstm.step(ids, state)
        return self.output(h), state

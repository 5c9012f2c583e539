"""A language model: characters, a stack of LSTM layers, a softmax over the next character."""

import torch
from torch import Tensor, nn

from charseq.lstm.cell import State
from charseq.lstm.cross_entropy import linear_cross_entropy
from charseq.lstm.layer import LSTM
from charseq.models.embedding import embed, make_embedding
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
        embedding_size: int | None = None,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        locked_dropout: bool = False,
        weight_drop: float = 0.0,
        zoneout: float = 0.0,
        forget_bias: float = 1.0,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        self.embedding = make_embedding(vocab_size, embedding_size)
        self.lstm = LSTM(
            embedding_size or vocab_size,
            hidden_size,
            num_layers,
            dropout=dropout,
            input_dropout=input_dropout,
            locked_dropout=locked_dropout,
            weight_drop=weight_drop,
            zoneout=zoneout,
            forget_bias=forget_bias,
            backend=backend,
        )
        self.output = nn.Linear(hidden_size, vocab_size)
        nn.init.zeros_(self.output.bias)

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits (T, B, V) of the symbol that follows each of ``ids`` (T, B), and the state."""
        h, state = self._read_and_drop(ids, state)
        return self.output(h), state

    @property
    def device(self) -> torch.device:
        """See ``SequenceModel.device``."""
        return self.output.weight.device

    @property
    def backend(self) -> str:
        """See ``SequenceModel.backend``."""
        return self.lstm.resolve_backend(self.device)

    @property
    def vocab_size(self) -> int:
        """See ``SequenceModel.vocab_size``."""
        return self.output.out_features

    def loss(
        self, batch: Batch, state: State | None, label_smoothing: float = 0.0
    ) -> tuple[Tensor, int, State]:
        """The sum of the cross-entropy of every target of a batch, in nats; how many there are; and
        the state behind it, detached, which the next batch goes on from."""
        if batch.starts_epoch:
            state = None
        inputs = torch.from_numpy(batch.inputs).to(self.device)
        targets = torch.from_numpy(batch.targets).to(self.device)
        output, (h, c) = self._read_and_drop(inputs, state)
        loss_sum = self._cross_entropy(output.flatten(0, 1), targets.flatten(), label_smoothing)
        return loss_sum, targets.numel(), (h.detach(), c.detach())

    def begin(self, prompt: Tensor) -> tuple[Tensor, State]:
        """See ``SequenceModel.begin``."""
        state = self.lstm.zero_state(prompt.shape[1])
        for start in range(0, len(prompt) - 1, PIECE):
            _, state = self.read(prompt[:-1][start : start + PIECE], state)
        return prompt[-1], state

    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """See ``SequenceModel.step``."""
        h, state, _ = self.lstm.step(embed(self.embedding, ids), state)
        return self.output(h), state

    def read(self, ids: Tensor, state: State | None) -> tuple[Tensor, State]:
        """The outputs (T, B, H) of the last layer for ``ids`` (T, B), and the state after them."""
        output: tuple[Tensor, State] = self.lstm(embed(self.embedding, ids), state)
        return output

    def _read_and_drop(self, ids: Tensor, state: State | None) -> tuple[Tensor, State]:
        h, state = self.read(ids, state)
        return self.lstm.drop(h), state

    def _cross_entropy(self, h: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
        """The sum over outputs (N, H) of the last layer, in nats."""
        if self.backend == "fused":
            weight, bias = self.output.weight, self.output.bias
            bfloat16 = self.lstm.bfloat16_products and self.training
            return linear_cross_entropy(
                h, weight, bias, targets, label_smoothing, bfloat16=bfloat16
            )
        return nn.functional.cross_entropy(
            self.output(h), targets, reduction="sum", label_smoothing=label_smoothing
        )

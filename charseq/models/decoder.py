"""The decoder: an LSTM over target symbols that looks at the source through attention.

T: target steps, B: sources, S: places of a source, H: hidden units, L: layers, V: target symbols.

    h_t   = LSTM(x_t, h_{t-1})             x_t: one-hot or embedding of the symbol before
    h~_t  = tanh(W_c [context_t; h_t])     Luong et al. 2015, equation 5
    logits_t = W_out h~_t + b_out          without attention: of h_t

With input feeding (Luong et al. 2015, section 3.3) the LSTM reads [x_t; h~_{t-1}], h~ before the
first step being zeros. Then the steps must be made one by one; without it every line above is one
product over all target steps.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from charseq.lstm.cell import State, project
from charseq.lstm.dropout import drop
from charseq.lstm.layer import LSTM
from charseq.models.attention import Attention, Memory
from charseq.models.decoder_state import DecoderState, by_row, by_source
from charseq.models.embedding import embed, make_embedding
from charseq.models.input_feeding import fed_step, split_feed
from charseq.models.pointer import Pointer
from charseq.text.ragged import Int64s


class _Seen(NamedTuple):
    """What comes of T steps of B sources, or of one step of T hypotheses of each."""

    top: Tensor  # (T, B, H): what the output layer reads, h~ or, without attention, h
    context_h: Tensor | None  # (T, B, 2H)
    weights: Tensor | None  # (T, B, S), of the attention
    scores: Tensor | None  # (T, B, S)
    covered: Tensor | None  # (T, B, S), with coverage


class Decoder(nn.Module):
    """See the head of the file.

    ``make_lstm``: ``LSTM`` with every setting that encoder and decoder share. ``attention``: none,
    dot, general or additive, with ``coverage`` or without. ``copy``: with a pointer
    (``pointer.py``).
    """

    def __init__(
        self,
        target_size: int,
        hidden_size: int,
        make_lstm: Callable[..., LSTM],
        *,
        attention: str,
        input_feeding: bool,
        copy: bool,
        embedding_size: int | None,
        coverage: bool = False,
    ) -> None:
        super().__init__()
        self.input_size = target_size if embedding_size is None else embedding_size
        self.input_feeding = input_feeding
        self.embedding = make_embedding(target_size, embedding_size)
        fed_size = hidden_size if input_feeding else 0
        self.lstm = make_lstm(self.input_size + fed_size, hidden_size)
        self.looks_back = attention != "none"
        self.attention = (
            None if attention == "none" else Attention(attention, hidden_size, coverage=coverage)
        )
        self.combine = (
            None if attention == "none" else nn.Linear(2 * hidden_size, hidden_size, bias=False)
        )
        self.pointer = Pointer(hidden_size, self.input_size) if copy else None
        self.output = nn.Linear(hidden_size, target_size)
        nn.init.zeros_(self.output.bias)

    def floats(self, places: Int64s, steps: Int64s) -> Int64s:
        """About how many numbers ``forward`` makes at once of a source with so many places and a
        target of so many steps, (N,) each: of what is largest."""
        made = steps * self.output.out_features
        if self.attention is None:
            return made
        # additive attention has a sum of H units for each place at each step
        units = self.output.in_features if self.attention.score == "additive" else 1
        return made + steps * places * units

    def forward(self, inputs: Tensor, memory: Memory | None, state: State) -> Tensor:
        """Teacher forcing: logits (T, B, V) of what follows each of ``inputs`` (T, B).

        ``state``: h and c before the first step, (L, B, H). With a pointer, log P.
        """
        x = embed(self.embedding, inputs)
        if self.input_feeding:
            seen = self._feed(x, memory, state)
        else:
            h, _ = self.lstm(x, state)
            seen = self._look(h, memory)
        return self._write(seen, x, memory)

    def step(self, ids: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Read one symbol (R,) of each hypothesis: logits (R, V) and the state after it.

        With a pointer the logits are log P. For decoding, in evaluation mode: what training keeps
        for all steps of a call, a step by itself cannot keep.
        """
        x = embed(self.embedding, ids)
        if state.feed is None:
            _, (h, c), _ = self.lstm.step(x, (state.h, state.c))
        else:
            weights, w_feed = split_feed(self.lstm.draw_weights(), self.input_size)
            w_ih, _, bias = weights[0]
            z = project(x, w_ih, bias)
            before = (list(state.h), list(state.c))
            updates = [self.lstm.draw_update(1, part) for part in state.c]
            h_c = fed_step(z, state.feed, before, weights, w_feed, (), updates)
            h, c = torch.stack(h_c[0]), torch.stack(h_c[1])
        sources = len(ids) if state.memory is None else len(state.memory.values)
        top = by_source(h[-1], sources)
        covered = self._covered(top, state.memory)
        if state.covered is not None:
            covered = by_source(state.covered, sources)
        seen = self._look(top, state.memory, covered)
        after = DecoderState(
            h,
            c,
            None if state.feed is None else by_row(seen.top),
            state.memory,
            None if seen.weights is None else by_row(seen.weights),
            None if seen.covered is None else by_row(seen.covered),
        )
        return by_row(self._write(seen, by_source(x, sources), state.memory)), after

    def _look(self, h: Tensor, memory: Memory | None, covered: Tensor | None = None) -> _Seen:
        """Attention with h (T, B, H) as the queries, and h~; ``covered`` as in ``Attention``."""
        if self.attention is None or self.combine is None or memory is None:
            return _Seen(h, None, None, None, None)
        context, weights, scores, covered = self.attention(h, memory, covered)
        context_h = torch.cat([context, h], dim=-1)
        return _Seen(self.combine(context_h).tanh(), context_h, weights, scores, covered)

    def _covered(self, h: Tensor, memory: Memory | None) -> Tensor | None:
        """Nothing, for the first step of T hypotheses; (T, B, S), with coverage."""
        if self.attention is None or self.attention.coverage is None or memory is None:
            return None
        return h.new_zeros(len(h), *memory.values.shape[:2])

    def _feed(self, x: Tensor, memory: Memory | None, state: State) -> _Seen:
        """All steps with input feeding, one by one; what does not wait for the feed is done before.

        The weight drop and a locked dropout are drawn once for all steps.
        """
        weights, w_feed = split_feed(self.lstm.draw_weights(), self.input_size)
        x, weights = self.lstm.drop_input(x, weights)
        w_ih, _, bias = weights[0]
        z = project(x, w_ih, bias)  # (T, B, 4H)
        masks = self._masks(len(x), state[0])
        updates = self._updates(len(x), state[1])
        h, c = (list(part.unbind()) for part in state)
        feed = torch.zeros_like(h[-1])
        covered = self._covered(feed[None], memory)
        steps = []
        for z_t, masks_t, updates_t in zip(z.unbind(), masks, updates, strict=True):
            h, c = fed_step(z_t, feed, (h, c), weights, w_feed, masks_t, updates_t)
            seen = self._look(h[-1][None], memory, covered)
            feed, covered = seen.top[0], seen.covered
            steps.append(seen)
        return _Seen(*(_joined(parts) for parts in zip(*steps, strict=True)))

    def _masks(self, steps: int, h: Tensor) -> list[tuple[Tensor, ...]]:
        """Dropout between layers: for each step, what every layer but the first multiplies with."""
        lstm = self.lstm
        if not self.training or lstm.dropout == 0.0:
            return [()] * steps
        ones = h.new_ones(steps, *h[0].shape)
        masks = [
            drop(ones, lstm.dropout, training=True, locked=lstm.locked_dropout).unbind()
            for _ in range(lstm.num_layers - 1)
        ]
        return list(zip(*masks, strict=True)) if masks else [()] * steps

    def _updates(self, steps: int, c: Tensor) -> list[tuple[Tensor | float, ...]]:
        """Zoneout: for each step, how much of its cell state every layer replaces."""
        layers = [self.lstm.draw_update(steps, of_layer) for of_layer in c]
        each = [
            update.unbind() if isinstance(update, Tensor) else [update] * steps for update in layers
        ]
        return list(zip(*each, strict=True))

    def _write(self, seen: _Seen, x: Tensor, memory: Memory | None) -> Tensor:
        """Logits (T, B, V), or with a pointer log P. ``x``: what the steps have read."""
        logits: Tensor = self.output(self.lstm.drop(seen.top))
        if self.pointer is None or memory is None:
            return logits
        mixed: Tensor = self.pointer(logits, seen.context_h, x, seen.scores, memory.copies)
        return mixed


def _joined(parts: Sequence[Tensor | None]) -> Any:
    """What several steps give, (1, …) each, as one; None where it is None of each."""
    there = [part for part in parts if part is not None]
    return torch.cat(there) if there else None

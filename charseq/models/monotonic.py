"""Hard monotonic attention: each target symbol is written from one place of the source, and that
place never moves back (Wu and Cotterell 2019, arXiv:1905.06319: the first-order model).

Which place it is, no training pair tells. So the probability of a target is the sum over all ways
to write it, as in a hidden Markov model, and it is made symbol by symbol. With a_t the place of
step t, a_0 the first one, h_t the decoder's output and m_s the encoder's at place s:

    P(a_t = s | a_{t-1} = r) = softmax over s >= r of (W h_t · m_s + d_t(s - r))
    P(y_t | a_t = s)         = softmax of (W_out tanh(W_c [m_s; h_t]) + b_out)
    prior_t(s)               = sum over r of belief_{t-1}(r) P(a_t = s | a_{t-1} = r)
    joint_t(s, y)            = prior_t(s) P(y | a_t = s)
    P(y | y_1 … y_{t-1})     = sum over s of joint_t(s, y)
    belief_t(s)              = joint_t(s, y_t) / sum over s of joint_t(s, y_t)

d_t = D h_t + b scores how far it moves: by 0, 1, 2, … places, or ``FARTHEST`` or more. With copying
(pointer.py), what stands at the place itself may be written:

    P(y | a_t = s) = p_gen softmax(…)_y + (1 - p_gen) [copies(s) = y]
    p_gen          = sigmoid(w · [m_s; h_t; x_t] + b); 1 where nothing can be copied

T: target steps, or hypotheses of a source; B: sources, S: places of a source, H: hidden units, V:
target symbols.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from charseq.lstm.cell import State, project
from charseq.lstm.layer import LSTM
from charseq.models.attention import Memory
from charseq.models.decoder_state import DecoderState, by_row, by_source
from charseq.models.embedding import embed, make_embedding
from charseq.models.pointer import Pointer
from charseq.text.ragged import Int64s

FARTHEST = 4


class MonotonicDecoder(nn.Module):
    """See the head of the file; arguments as ``Decoder``. What it calls logits is log P."""

    looks_back, input_feeding, attention = True, False, None  # as ``Decoder`` says them

    def __init__(
        self,
        target_size: int,
        hidden_size: int,
        make_lstm: Callable[..., LSTM],
        *,
        copy: bool,
        embedding_size: int | None,
    ) -> None:
        super().__init__()
        self.input_size = target_size if embedding_size is None else embedding_size
        self.embedding = make_embedding(target_size, embedding_size)
        self.lstm = make_lstm(self.input_size, hidden_size)
        self.output = nn.Linear(hidden_size, target_size)
        nn.init.zeros_(self.output.bias)
        self.combine = nn.Linear(2 * hidden_size, hidden_size, bias=False)
        self.place = nn.Linear(hidden_size, hidden_size, bias=False)
        self.distance = nn.Linear(hidden_size, FARTHEST + 1)
        nn.init.zeros_(self.distance.bias)
        self.pointer = Pointer(hidden_size, self.input_size) if copy else None

    def floats(self, places: Int64s, steps: Int64s) -> Int64s:
        """As ``Decoder.floats``: each step has probabilities of symbols, and of moves, for every
        place."""
        return steps * places * (self.output.out_features + places)

    def forward(self, inputs: Tensor, memory: Memory | None, state: State) -> Tensor:
        """Teacher forcing, as ``Decoder.forward``: log P (T, B, V)."""
        assert memory is not None  # noqa: S101  Seq2Seq makes one
        x = embed(self.embedding, inputs)
        h, _ = self.lstm(x, state)
        log_p = self._log_p(h, x, memory)
        places = log_p.shape[2]
        written = inputs[1:, :, None, None].expand(-1, -1, places, 1)
        of_written = log_p[:-1].gather(3, written)[..., 0]  # (T - 1, B, S)
        belief = _first_place(memory)
        log_priors: list[Tensor] = []
        for t, moves in enumerate(self._moves(h, memory).unbind()):
            if t > 0:
                belief = (log_priors[-1] + of_written[t - 1]).softmax(-1)
            log_priors.append(_log(torch.bmm(belief[:, None], moves)[:, 0]))
        joint = torch.stack(log_priors)[..., None] + log_p
        return joint.logsumexp(2)

    def step(self, ids: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """As ``Decoder.step``; the attention of a step is its prior."""
        memory = state.memory
        assert memory is not None  # noqa: S101
        sources = len(memory.values)
        x = embed(self.embedding, ids)
        _, (h, c), _ = self.lstm.step(x, (state.h, state.c))
        top = by_source(h[-1], sources)  # (T, B, H)
        if state.joint is None:
            belief = _first_place(memory).expand(len(top), -1, -1)
        else:
            written = ids[:, None, None].expand(-1, state.joint.shape[1], 1)
            belief = by_source(state.joint.gather(2, written)[..., 0].softmax(-1), sources)
        prior = (belief[:, :, None] @ self._moves(top, memory))[:, :, 0]  # (T, B, S)
        joint = by_row(_log(prior)[..., None] + self._log_p(top, by_source(x, sources), memory))
        after = DecoderState(h, c, None, memory, attention=by_row(prior), joint=joint)
        return joint.logsumexp(1), after

    def _moves(self, h: Tensor, memory: Memory) -> Tensor:
        """P(a_t = s | a_{t-1} = r) as (T, B, r, s), of h (T, B, H)."""
        scores = torch.bmm(self.place(h).transpose(0, 1), memory.values.transpose(1, 2))
        places = torch.arange(scores.shape[2], device=h.device)
        moved = places - places[:, None]  # (r, s)
        by_distance = self.distance(h)[..., moved.clamp(0, FARTHEST)]  # (T, B, r, s)
        allowed = moved >= 0
        if memory.inside is not None:  # (B, r, s); padding is never left, so that no sum is empty
            allowed = (allowed & memory.inside[:, None]) | (moved == 0)
        moves: Tensor = scores.transpose(0, 1)[:, :, None] + by_distance
        return moves.masked_fill(~allowed, -torch.inf).softmax(-1)

    def _log_p(self, h: Tensor, x: Tensor, memory: Memory) -> Tensor:
        """log P(y | a_t = s), (T, B, S, V), of h (T, B, H) and of what the steps have read."""
        of_place, of_step = self.combine.weight.chunk(2, dim=1)
        sums = (memory.values @ of_place.t()) + (h @ of_step.t())[:, :, None]
        top = 2 * (2 * sums).sigmoid() - 1  # tanh; on a CPU torch's sigmoid is much the faster
        log_p: Tensor = self.output(self.lstm.drop(top)).log_softmax(-1)
        if self.pointer is None or memory.copies is None:
            return log_p
        units = h.shape[-1]
        weight, bias = self.pointer.switch.weight[0], self.pointer.switch.bias
        of_step = h @ weight[units : 2 * units, None] + project(x, weight[None, 2 * units :], bias)
        switch = memory.values @ weight[:units, None] + of_step[:, :, None]  # (T, B, S, 1)
        can_copy = (memory.copies >= 0)[..., None]  # (B, S, 1)
        index = memory.copies.clamp_min(0)[..., None].expand(*switch.shape)
        log_p = torch.where(can_copy, logsigmoid(switch) + log_p, log_p)
        before = log_p.gather(3, index)
        after = torch.logaddexp(before, logsigmoid(-switch))
        return log_p.scatter(3, index, torch.where(can_copy, after, before))


def _first_place(memory: Memory) -> Tensor:
    """The belief before the first step, (B, S)."""
    belief = memory.values.new_zeros(memory.values.shape[:2])
    belief[:, 0] = 1.0
    return belief


def _log(p: Tensor) -> Tensor:
    """log p, and its gradient, also where p is 0: a place that cannot be reached."""
    return p.clamp_min(torch.finfo(p.dtype).tiny).log()

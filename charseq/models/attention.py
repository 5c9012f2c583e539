"""Attention: which places of the source each step of the decoder looks at.

B: sources, S: places of a source (padded), H: hidden units, T: queries of each source. The queries
are all target steps of a batch at once, or one step of T hypotheses of each source.

    score(t, s)  = h_t · m_s                      dot       (Luong et al. 2015, section 3.1)
                 = W h_t · m_s                    general   (the same)
                 = v · tanh(W h_t + U m_s)        additive  (Bahdanau et al. 2015, appendix A.1.2)
    weights(t)   = softmax over the places inside the source of score(t, s)
    context(t)   = sum over s of weights(t, s) m_s

With coverage (Tu et al. 2016; See et al. 2017, section 2.3) what a target has looked at before
counts, u being learnt, so that no place need be forgotten or read twice:

    covered(t, s) = sum over t' < t of weights(t', s)
    score(t, s)   is what stands above, + u covered(t, s)
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from charseq.errors import CharseqError

SCORES = ("dot", "general", "additive")


class Memory(NamedTuple):
    """What attention knows of B sources: one row a source, however many hypotheses it has."""

    values: Tensor  # (B, S, H): m, the encoder's outputs
    keys: Tensor | None  # (B, S, H): U m, made once a batch; None where the score takes m itself
    inside: Tensor | None  # (B, S) bool: False in padding; None where there is no padding
    copies: Tensor | None  # (B, S): the target id of each source symbol, -1 where there is none

    def select(self, sources: Tensor) -> "Memory":
        """The memory of the sources with these numbers, (B',)."""
        return Memory(
            self.values[sources],
            None if self.keys is None else self.keys[sources],
            None if self.inside is None else self.inside[sources],
            None if self.copies is None else self.copies[sources],
        )


class Glimpse(NamedTuple):
    """What T queries of each of B sources saw."""

    context: Tensor  # (T, B, H)
    weights: Tensor  # (T, B, S): zero in padding, else they add up to 1
    scores: Tensor  # (T, B, S): what the softmax was taken of, -inf in padding
    covered: Tensor | None  # (T, B, S): the weights of each and of those before; with coverage


class Attention(nn.Module):
    """One of the three scores, over the padded memory of a batch.

    ``query`` (W) of "general" starts as the identity: the score starts as "dot", which favours the
    places that are like the query, and learns what else. From small random weights all scores
    start near zero, and every step sees the same mean of the source until W has grown. It is W h,
    and not W' m, which would be the same, because most targets here are shorter than their sources.
    """

    def __init__(self, score: str, hidden_size: int, *, coverage: bool = False) -> None:
        super().__init__()
        self.coverage = nn.Parameter(torch.zeros(())) if coverage else None  # u
        if score not in SCORES:
            raise CharseqError(
                f"attention: there is no {score!r}; choose one of {', '.join(SCORES)}"
            )
        self.score = score
        if score == "dot":
            return
        self.query = nn.Linear(hidden_size, hidden_size, bias=False)
        if score == "general":
            nn.init.eye_(self.query.weight)
        else:
            self.key = nn.Linear(hidden_size, hidden_size, bias=False)
            self.v = nn.Linear(hidden_size, 1, bias=False)

    def keys(self, values: Tensor) -> Tensor | None:
        """The keys of values (B, S, H); see ``Memory``."""
        return self.key(values) if self.score == "additive" else None

    def forward(self, queries: Tensor, memory: Memory, covered: Tensor | None = None) -> Glimpse:
        """Look at the memory with T queries of each source, (T, B, H).

        ``covered``, for coverage: what each query's hypothesis has looked at before, (T, B, S);
        None: the queries are the steps of one target, from its first on.
        """
        if self.score != "dot":
            queries = self.query(queries)
        queries = queries.transpose(0, 1)  # (B, T, H)
        if memory.keys is None:
            scores = torch.bmm(queries, memory.values.transpose(1, 2))
        else:
            scores = self._additive(queries, memory.keys)
        if memory.inside is not None:
            scores = scores.masked_fill(~memory.inside[:, None], -torch.inf)
        after = None
        if self.coverage is None:
            weights = scores.softmax(-1)  # (B, T, S)
        elif covered is not None:
            scores = scores + self.coverage * covered.transpose(0, 1)
            weights = scores.softmax(-1)
            after = covered + weights.transpose(0, 1)
        else:
            scores, weights, after = self._step_by_step(scores, self.coverage)
        context = torch.bmm(weights, memory.values)
        by_step = [part.transpose(0, 1) for part in (context, weights, scores)]
        return Glimpse(by_step[0], by_step[1], by_step[2], after)

    def _step_by_step(self, scores: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (B, T, S) with what was covered, their weights, and what then is, (T, B, S)."""
        covered = torch.zeros_like(scores[:, 0])
        steps = []
        for step in scores.unbind(1):
            step = step + u * covered
            weights = step.softmax(-1)
            covered = covered + weights
            steps.append((step, weights, covered))
        every = [torch.stack(parts) for parts in zip(*steps, strict=True)]
        return every[0].transpose(0, 1), every[1].transpose(0, 1), every[2]

    def _additive(self, queries: Tensor, keys: Tensor) -> Tensor:
        """The scores but for a constant, which no softmax sees: v · tanh(a) = 2 v · σ(2a) - sum(v).

        The sums (B, T, S, H) are by far the largest tensor of the model, and on a CPU torch's
        sigmoid is several times as fast as its tanh.
        """
        sums = (2 * queries)[:, :, None] + (2 * keys)[:, None]
        scores: Tensor = self.v(sums.sigmoid_())[..., 0]
        return 2 * scores

"""What a search found, and how: traced back from the end of each hypothesis to its beginning."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from charseq.text.pair_vocab import END

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """One string that the models propose for a source.

    Attributes:
        ids: its symbols (n,), without END.
        log_probability: log p(ids, END | source) of the models, in nats; without END when it is
            not finished. A draw has the same, whatever its temperature.
        score: what hypotheses are ranked by, ``log_probability`` over the length penalty.
        finished: False when it was cut off at the greatest length.
        attention: how much of each source position every symbol, END included, was read from:
            (n + 1, S) of this source's own S positions; (n, S) when not finished. None when it was
            not asked for, or when no model has attention. The mean of an ensemble.
    """

    ids: tuple[int, ...]
    log_probability: float
    score: float
    finished: bool
    attention: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Step:
    """What one step did: enough to trace a hypothesis back to its beginning."""

    where: Ints  # (P,) the source at each place
    parents: Ints  # (P, W) the column of the step before that each column came from
    tokens: Ints  # (P, W) the symbol that was added to it
    attention: NDArray[np.float32] | None  # (P, W of the step before, S)


@dataclass(frozen=True, eq=False)
class Found:
    """The hypotheses of each source, (B, n), best first: how each ended, and the way there."""

    log_probability: Floats  # -inf where there is none
    steps: Ints  # how many it took, END's among them
    column: Ints  # of a finished one the column that the last step read, else the one that it made
    finished: NDArray[np.bool_]
    trace: list[Step]


def penalty(steps: Any, alpha: float) -> Any:
    """The length penalty of Wu et al. 2016, equation 14: 1 for one symbol, growing with alpha."""
    return ((5.0 + steps) / 6.0) ** alpha


def hypotheses(
    found: Found, lengths: NDArray[Any], count: int, alpha: float
) -> list[list[Hypothesis]]:
    """The first ``count`` of each source; ``lengths`` (B,) of the sources, ``alpha`` the penalty's.

    All are traced back together, a step at a time, from the last to the first.
    """
    b, n = np.nonzero(found.steps[:, :count])
    steps, finished = found.steps[b, n], found.finished[b, n]
    column = found.column[b, n]
    size = max(steps, default=0)
    ids = np.full((len(b), size), END)
    weights: NDArray[np.float32] | None = None
    place = np.empty(len(found.steps), dtype=np.int64)
    for t in reversed(range(size)):
        step = found.trace[t]
        place[step.where] = np.arange(len(step.where))
        on = steps > t
        # A finished one stands in none of the columns that its last step made: only END is missing.
        inner = np.flatnonzero(on & ~(finished & (steps == t + 1)))
        at = place[b[inner]], column[inner]
        ids[inner, t] = step.tokens[at]
        column[inner] = step.parents[at]
        if step.attention is not None:
            if weights is None:
                weights = np.zeros((len(b), size, step.attention.shape[2]), dtype=np.float32)
            weights[on, t] = step.attention[place[b[on]], column[on]]
    result: list[list[Hypothesis]] = [[] for _ in lengths]
    for h, (source, rank) in enumerate(zip(b, n, strict=True)):
        taken = int(steps[h])
        log_probability = float(found.log_probability[source, rank])
        result[source].append(
            Hypothesis(
                ids=tuple(ids[h, : taken - int(finished[h])].tolist()),
                log_probability=log_probability,
                score=log_probability / float(penalty(taken, alpha)),
                finished=bool(finished[h]),
                attention=None
                if weights is None
                else weights[h, :taken, : int(lengths[source])].copy(),
            )
        )
    return result

"""Batches of pairs: of about one length, so that little is padding, and a function of the step.

S and T are the longest source and target of a batch, B its pairs:

    source          inputs              targets
    a b c           END x END           x   y    END
    d e 0           END y END           y   END  -100     for the pairs (abc, x y), (de, y), one
                                                          pair a line here, a column in the arrays
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charseq.errors import CharseqError
from charseq.text.pair_vocab import END, SOURCE_UNKNOWN
from charseq.text.pairs import Pairs
from charseq.text.ragged import Int64s, Ragged

IGNORED = -100  # a target that no loss counts: what torch's cross_entropy leaves out by default
WINDOW = 100  # batches, at most, whose pairs are sorted by length together
WINDOWS = 4  # in an epoch, at least: were all pairs sorted at once, the same would always meet


@dataclass(frozen=True, eq=False)
class PairBatch:
    """Some pairs, side by side; all arrays are int64.

    Attributes:
        source: ids, ``(S, B)``, padded at the end with 0.
        source_lengths: ``(B,)``, at least 1.
        inputs: what the decoder reads, ``(T, B)``: END, then the target without its END.
        targets: what it is to answer, ``(T, B)``: the target, then END; padded with -100.
        target_lengths: ``(B,)``, END counted.
    """

    source: Int64s
    source_lengths: Int64s
    inputs: Int64s
    targets: Int64s
    target_lengths: Int64s


class PairBatches:
    """The batches of a training: every pair once an epoch, in an order drawn for each epoch.

    The pairs are shuffled; windows of ``WINDOW`` batches, or a quarter of a small epoch, are sorted
    by length and cut into batches; the batches are shuffled. The last one cut may be smaller.

    A batch is a function of its step alone: the step is all that resuming a training needs.

    Attributes:
        steps_per_epoch: ``ceil(pairs / batch_size)``.

    Raises:
        CharseqError: there are no pairs.
    """

    def __init__(self, pairs: Pairs, batch_size: int, seed: int) -> None:
        if not len(pairs):
            raise CharseqError("there are no training pairs; take other data, or another split")
        self.pairs = pairs
        self.batch_size = batch_size
        self.seed = seed
        self.steps_per_epoch = -(-len(pairs) // batch_size)
        self._epoch = -1
        self._rows = np.empty(0, dtype=np.int64)  # of the epoch, batch after batch as cut
        self._cuts = np.empty(0, dtype=np.int64)  # which cut each step of the epoch takes

    def batch(self, step: int) -> PairBatch:
        """The batch of a step, counted from 0 over the whole training, all epochs together."""
        return collate(self.pairs, self.rows(step))

    def rows(self, step: int) -> Int64s:
        """Which pairs the batch of a step holds, ``(B,)``."""
        epoch, within = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._draw(epoch)
        start = self._cuts[within] * self.batch_size
        return self._rows[start : start + self.batch_size]

    def _draw(self, epoch: int) -> None:
        generator = np.random.default_rng([self.seed, epoch])
        rows = generator.permutation(len(self.pairs))
        batches = max(1, min(WINDOW, self.steps_per_epoch // WINDOWS))
        window = np.arange(len(rows)) // (batches * self.batch_size)
        order = np.lexsort(
            (self.pairs.target.lengths[rows], self.pairs.source.lengths[rows], window)
        )
        self._rows = rows[order]
        self._cuts = generator.permutation(self.steps_per_epoch)
        self._epoch = epoch


def collate(pairs: Pairs, rows: NDArray[np.integer[Any]] | Sequence[int]) -> PairBatch:
    """The batch of these rows of ``pairs``, in their order; there must be one at least."""
    chosen = np.asarray(rows, dtype=np.int64)
    source, source_lengths = _columns(pairs.source, chosen, SOURCE_UNKNOWN)
    answers, lengths = _columns(pairs.target, chosen, IGNORED)
    empty = np.full((1, len(chosen)), IGNORED)
    targets = np.concatenate((answers, empty))  # (T, B)
    targets[lengths, np.arange(len(chosen))] = END
    inputs = np.concatenate((np.full_like(empty, END), answers))
    inputs[inputs == IGNORED] = END
    return PairBatch(source, source_lengths, inputs, targets, lengths + 1)


def pad(ids: Sequence[NDArray[np.integer[Any]] | Sequence[int]]) -> tuple[Int64s, Int64s]:
    """Sources of any lengths as columns: ``(S, B)``, padded with 0; and their lengths ``(B,)``."""
    return _columns(Ragged.from_rows(ids), np.arange(len(ids)), SOURCE_UNKNOWN)


def _columns(ragged: Ragged, rows: Int64s, padding: int) -> tuple[Int64s, Int64s]:
    """Rows of a ragged array as columns ``(longest, B)``, and their lengths ``(B,)``."""
    starts = ragged.offsets[rows]
    lengths = ragged.offsets[rows + 1] - starts
    steps = np.arange(lengths.max(initial=0))[:, None]
    places = starts + steps  # beyond the end of a row: of the next one, or of none
    ids = ragged.flat.take(places, mode="clip").astype(np.int64)
    return np.where(steps < lengths, ids, padding), lengths

"""Which symbols of a target each symbol of its source became, found without a teacher.

A source symbol becomes none to ``MOST`` symbols of the target, in order. How likely it becomes
which is estimated by expectation maximization over all pairs (Jiampojamarn et al. 2007, "Applying
many-to-many alignments", here one to many); of each pair the most likely way is kept:

    k n i g h t      k: -, n: N, i: AY, g: -, h: -, t: T
    N AY T           ends 0 1 2 2 2 3

R: rows, S: symbols of the longest source, T: of the longest target, K = MOST + 1 lengths a part of
a target may have.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from charseq.text.ragged import Int64s, Ragged

MOST = 3  # target symbols of one source symbol: x becomes k s
LONGEST = 64  # symbols of a source or a target: the lattice of a longer pair would be large
PASSES = 10  # over all pairs
CHUNK = 1 << 22  # cells of the lattices that are looked at together

Floats = NDArray[np.float64]


def align(source: Ragged, target: Ragged) -> Int64s:
    """How many symbols of its target are written once a source symbol is: one for each of
    ``source.flat``; -1 throughout a row whose target is more than ``MOST`` times as long, or
    one of whose sides is longer than ``LONGEST``.
    """
    ends = np.full(len(source.flat), -1, dtype=np.int64)
    chunks = [_Lattice(source, target, rows) for rows in _chunks(source.lengths, target.lengths)]
    if not chunks:
        return ends
    ways = np.unique(np.concatenate([chunk.ways for chunk in chunks]))
    for chunk in chunks:
        chunk.number(ways)
    base = int(target.flat.max(initial=0)) + 1
    symbol, rest = np.divmod(ways, base**MOST)
    length = sum((rest // base**k % base > 0).astype(np.int64) for k in range(MOST))
    # One to one is the likeliest at first: else the many ways to become long parts would win.
    likely = 0.1 ** abs(length - 1.0)
    for _ in range(PASSES):
        counts = np.zeros(len(ways))
        for chunk in chunks:
            counts += np.bincount(chunk.which, chunk.posterior(likely), len(ways))
        likely = counts / np.bincount(symbol, counts)[symbol].clip(np.finfo(float).tiny)
    for chunk in chunks:
        for row, found in chunk.best(likely):
            ends[source.offsets[row] : source.offsets[row + 1]] = found
    return ends


def _chunks(sources: Int64s, targets: Int64s) -> Iterator[Int64s]:
    """Some rows of about one length at a time, but none with an empty source or a long side."""
    rows = np.flatnonzero((sources > 0) & (sources <= LONGEST) & (targets <= LONGEST))
    rows = rows[np.lexsort((targets[rows], sources[rows]))]
    cells = np.cumsum(sources[rows] * (targets[rows] + 1) * (MOST + 1))
    if len(rows):
        yield from np.split(rows, np.flatnonzero(np.diff(cells // CHUNK)) + 1)


class _Lattice:
    """Some rows: every source symbol, from every place in the target, with every length.

    Attributes:
        ways: the source symbols and what they become, each as one number, in their order.
        which: of each cell there is, which of the ways it is; of all there are, once they are
            numbered together.
    """

    def __init__(self, source: Ragged, target: Ragged, rows: Int64s) -> None:
        self.rows = rows
        self.source_lengths, self.target_lengths = source.lengths[rows], target.lengths[rows]
        wide, long = int(self.source_lengths.max()), int(self.target_lengths.max())
        base = int(target.flat.max(initial=0)) + 1  # 0 is END, which stands in no target
        sources = np.zeros((len(rows), wide), dtype=np.int64)
        targets = np.zeros((len(rows), long + MOST), dtype=np.int64)
        for at, row in enumerate(rows.tolist()):
            sources[at, : self.source_lengths[at]] = source[row]
            targets[at, : self.target_lengths[at]] = target[row]
        parts = np.zeros((len(rows), long + 1, MOST + 1), dtype=np.int64)
        for k in range(1, MOST + 1):
            parts[:, :, k] = parts[:, :, k - 1] * base + targets[:, k - 1 : long + k]
        codes = sources[:, :, None, None] * base**MOST + parts[:, None]  # (R, S, T + 1, K)
        inside = np.arange(wide) < self.source_lengths[:, None]
        fits = (
            np.arange(long + 1)[:, None] + np.arange(MOST + 1) <= self.target_lengths[:, None, None]
        )
        self.there = inside[:, :, None, None] & fits[:, None]
        self.ways, which = np.unique(codes[self.there], return_inverse=True)
        self.which = which.astype(np.int32)
        self.behind = ~inside

    def number(self, ways: Int64s) -> None:
        """Count the ways as they stand among those of all lattices."""
        self.which = np.searchsorted(ways, self.ways).astype(np.int32)[self.which]

    def _weights(self, likely: Floats) -> Floats:
        """Of each cell, (R, S, T + 1, K). A source symbol that is padding becomes nothing."""
        weights = np.zeros(self.there.shape)
        weights[self.there] = likely[self.which]
        weights[self.behind, :, 0] = 1.0
        return weights

    def posterior(self, likely: Floats) -> Floats:
        """How probable each cell is, given both sides; 0 where a row has no way at all."""
        weights = self._weights(likely)
        rows, wide, places, lengths = weights.shape
        before = np.zeros((wide + 1, rows, places))
        before[0, :, 0] = 1.0
        for s in range(wide):
            for k in range(min(lengths, places)):
                before[s + 1, :, k:] += before[s, :, : places - k] * weights[:, s, : places - k, k]
            before[s + 1] /= _positive(before[s + 1].sum(1, keepdims=True))
        after = np.zeros((rows, places))
        after[np.arange(rows), self.target_lengths] = 1.0
        for s in reversed(range(wide)):
            here = np.zeros((rows, places))
            for k in range(min(lengths, places)):
                weights[:, s, : places - k, k] *= after[:, k:]
                here[:, : places - k] += weights[:, s, : places - k, k]
            weights[:, s] *= before[s][:, :, None]
            weights[:, s] /= _positive(weights[:, s].sum((1, 2), keepdims=True))
            after = here / _positive(here.sum(1, keepdims=True))
        return weights[self.there]

    def best(self, likely: Floats) -> Iterator[tuple[int, Int64s]]:
        """Each row that has a way, and how much is written after each symbol in the likeliest."""
        with np.errstate(divide="ignore"):
            scores = np.log(self._weights(likely))
        rows, wide, places, lengths = scores.shape
        reached = np.full((rows, places), -np.inf)
        reached[:, 0] = 0.0
        chosen = np.zeros((wide, rows, places), dtype=np.int64)
        for s in range(wide):
            ways = np.full((lengths, rows, places), -np.inf)
            for k in range(min(lengths, places)):
                ways[k, :, k:] = reached[:, : places - k] + scores[:, s, : places - k, k]
            chosen[s] = ways.argmax(0)
            reached = ways.max(0)
        every = np.arange(rows)
        at = self.target_lengths.copy()
        possible = np.isfinite(reached[every, at])
        ends = np.empty((rows, wide), dtype=np.int64)
        for s in reversed(range(wide)):
            ends[:, s] = at
            at = at - chosen[s, every, at]
        for row in np.flatnonzero(possible).tolist():
            yield int(self.rows[row]), ends[row, : self.source_lengths[row]]


def _positive(sums: Floats) -> Floats:
    """What may divide: 1 where there is nothing to share out."""
    return np.where(sums > 0.0, sums, 1.0)

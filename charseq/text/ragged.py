"""Rows of ids of different lengths, kept one after the other in a single array."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Int64s = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ragged:
    """Rows of different lengths: row i is ``[i]``, int64 ``(n,)``.

    Attributes:
        flat: all ids, int32: a set of pairs may have many.
        offsets: where each row begins, and where the last one ends, int64 ``(rows + 1,)``.
    """

    flat: NDArray[np.int32]
    offsets: Int64s

    @classmethod
    def from_rows(cls, rows: Sequence[NDArray[np.integer[Any]] | Sequence[int]]) -> Self:
        arrays = [np.asarray(row, dtype=np.int32) for row in rows]
        flat = np.concatenate([np.empty(0, np.int32), *arrays])
        return cls.from_lengths(flat, np.fromiter(map(len, arrays), np.int64, len(arrays)))

    @classmethod
    def from_lengths(cls, flat: NDArray[np.integer[Any]], lengths: Int64s) -> Self:
        """Rows of these lengths, ``(rows,)``, that stand one after the other in ``flat``."""
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return cls(flat.astype(np.int32), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Int64s:
        if not -len(self) <= row < len(self):
            raise IndexError(f"there is no row {row} among {len(self)}")
        row %= len(self)
        return self.flat[self.offsets[row] : self.offsets[row + 1]].astype(np.int64)

    def __iter__(self) -> Iterator[Int64s]:
        return (self[row] for row in range(len(self)))

    @property
    def lengths(self) -> Int64s:
        """How many ids each row has, ``(rows,)``."""
        return np.diff(self.offsets)

    @property
    def row_of(self) -> Int64s:
        """The row of each id in ``flat``."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def keep(self, chosen: NDArray[np.bool_]) -> "Ragged":
        """The ids that are ``chosen``, which is as long as ``flat``; a row may become empty."""
        lengths = np.bincount(self.row_of[chosen], minlength=len(self))
        return Ragged.from_lengths(self.flat[chosen], lengths)

    def turned(self) -> "Ragged":
        """Each row from its end to its start."""
        ends = self.offsets[:-1] + self.offsets[1:] - 1
        places = np.repeat(ends, self.lengths) - np.arange(len(self.flat))
        return Ragged(self.flat[places], self.offsets)

    def above(self, other: "Ragged") -> "Ragged":
        """The rows of this one, then those of ``other``."""
        offsets = np.concatenate((self.offsets, other.offsets[1:] + self.offsets[-1]))
        return Ragged(np.concatenate((self.flat, other.flat)), offsets)

    def beside(self, other: "Ragged") -> "Ragged":
        """Each row of this one, then the same row of ``other``."""
        flat = np.empty(len(self.flat) + len(other.flat), dtype=np.int32)
        # What stands before an id is moved by all rows of `other` before it, and the other way.
        flat[np.arange(len(self.flat)) + np.repeat(other.offsets[:-1], self.lengths)] = self.flat
        flat[np.arange(len(other.flat)) + np.repeat(self.offsets[1:], other.lengths)] = other.flat
        return Ragged(flat, self.offsets + other.offsets)

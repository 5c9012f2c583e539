"""Several texts after the same prime, written at once: each is the one that its seed writes alone.

They are read one after the other, the first as it is written. The others are written along with
it, as far as it goes, and wait: the weights are read once for all, and that takes the time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charseq.inference.decode import PATIENCE, BatchWriter, Writer, uniform_numbers
from charseq.lstm.drawing import Drawing

MOST = 12  # texts at once: more are no faster, and the first keeps its reader waiting


def write_together(writer: BatchWriter, seeds: Sequence[int]) -> Iterator[Writer]:
    """A ``Writer`` for each seed, to be used in this order, each to its end before the next.

    ``writer`` is of an empty text; it reads the prime of all. Where the model's output is not
    finite in one text, those that are written with it end there too.
    """
    for first in range(0, len(seeds), MOST):
        some = seeds[first : first + MOST]
        texts = _Texts(writer, some, has_prime=first > 0)
        yield from (_OneOfMany(texts, row) for row in range(len(some)))


class _Texts:
    """What has been written of some texts and not been taken yet."""

    def __init__(self, writer: BatchWriter, seeds: Sequence[int], *, has_prime: bool) -> None:
        self.writer, self._has_prime = writer, has_prime
        self._numbers = [uniform_numbers(seed) for seed in seeds]
        self._waiting: list[list[NDArray[np.int64]]] = [[] for _ in seeds]
        self._last: NDArray[np.int64] | None = None  # symbols of the texts from `_first` on
        self._first = 0
        self._piece = 1  # symbols of each text to write at once

    def ready(self, row: int) -> int:
        """How many symbols of a text wait, or else will be written next."""
        return sum(map(len, self._waiting[row])) or self._piece

    def read(self, ids: NDArray[Any]) -> None:
        """Read the prime, once for all."""
        if not self._has_prime:
            self.writer.read(ids)
            self._has_prime = True

    def take(
        self, row: int, symbol: int, count: int, drawing: Drawing, never: int | None
    ) -> NDArray[np.int64]:
        """The next ``count`` symbols of a text; fewer where the model diverged."""
        missing = count - sum(map(len, self._waiting[row]))
        if missing > 0:
            self._write(row, symbol, missing, drawing, never)
        text = np.concatenate(self._waiting[row])
        self._waiting[row] = [text[count:]]
        return text[:count]

    def _write(
        self, row: int, symbol: int, count: int, drawing: Drawing, never: int | None
    ) -> None:
        """Write more of a text and of all behind it; those in front have been read."""
        texts = len(self._waiting) - row
        if self._last is None:
            self.writer, self._last = self.writer.copies(texts), np.full(texts, symbol)
        elif row > self._first:
            self.writer = self.writer.without_first(row - self._first)
            self._last = self._last[row - self._first :]
        self._first = row
        numbers = np.stack([draw(count) for draw in self._numbers[row:]], axis=1)
        began = perf_counter()
        written = self.writer.write(self._last, numbers, drawing, never)
        if perf_counter() - began < PATIENCE / 2 and count >= self._piece:
            self._piece *= 2
        if len(written):
            self._last = written[-1]
        for waiting, new in zip(self._waiting[row:], written.T, strict=True):
            waiting.append(new)


@dataclass
class _OneOfMany:
    """One of them, as a ``Writer``: what it is asked for may have been written already."""

    _texts: _Texts
    _row: int

    @property
    def symbols(self) -> int:
        return self._texts.writer.symbols

    @property
    def logits(self) -> NDArray[Any]:
        """Of the texts written last, that with an output that is not finite, if there is one."""
        logits = np.atleast_2d(self._texts.writer.logits)
        return np.asarray(logits[(~np.isfinite(logits.max(axis=1))).argmax()])

    @property
    def ready(self) -> int | None:
        return self._texts.ready(self._row)

    def read(self, ids: NDArray[Any]) -> None:
        self._texts.read(ids)

    def write(
        self,
        symbols: NDArray[np.int64],
        uniforms: NDArray[np.float64],
        drawing: Drawing,
        never: int | None = None,
    ) -> NDArray[np.int64]:
        """See ``Stream.write``; the ``uniforms`` are those of the text's seed, which it has."""
        written = self._texts.take(self._row, int(symbols[0]), len(uniforms), drawing, never)
        return written[:, None]

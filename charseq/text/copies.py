"""Which runs of some short pieces stand verbatim in a long text, without holding the text.

The pieces become a suffix automaton (Blumer et al. 1985): a state for each set of places where
their substrings end, 2 N states at most for N symbols. The long text is read through it once; after
each symbol the state says the longest run that ends there and stands in the pieces too. What a
state has seen then holds for every suffix of it, so that one pass finds, for every place of the
pieces, the longest run that ends there and stands in the text. Exact, in time that grows with the
text alone, in memory that grows with the pieces alone.

numpy reads thousands of parts of the text side by side, a symbol of each at a time. A part is read
on beyond its end for as long as the run at hand began inside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charseq.progress import Progress
from charseq.text.vocab import Ids

Ints = NDArray[np.int64]

PARTS = 8192  # of the text, side by side: more are no faster
SHORTEST_PART = 2048  # symbols; of a short text there are fewer parts
BLOCK = 256  # symbols of each part at once
BOTTOM, ROOT = 0, 1  # states: what the empty run falls back to, and the empty run


@dataclass(frozen=True, eq=False)
class Copies:
    """For each place of a piece, (n,): the longest run that ends there and stands in the text.

    Attributes:
        lengths: its symbols; 0 where the symbol itself does not occur.
        places: where in the text one of its copies begins; 0 where there is none.
    """

    lengths: Ints
    places: Ints

    def inside(self, length: int) -> NDArray[np.bool_]:
        """Which symbols (n,) stand in a copied run of at least so many symbols."""
        change = np.zeros(len(self.lengths) + 1, dtype=np.int64)
        ends = np.flatnonzero(self.lengths >= length)
        np.add.at(change, ends + 1 - self.lengths[ends], 1)
        np.add.at(change, ends + 1, -1)
        return change[:-1].cumsum() > 0


def find_copies(
    pieces: Sequence[Ids],
    text: Ids,
    symbols: int,
    *,
    never: int | None = None,
    progress: Progress | None = None,
) -> list[Copies]:
    """The copies in each of the pieces (n,) of what stands in ``text`` (m,), a memory map perhaps.

    Args:
        symbols: how many there are; ids are below.
        never: an id that equals nothing, not even itself: that of unknown characters.
        progress: called now and then with the symbols of the text that are read, and their number.
    """
    known = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *pieces]))
    known = known[known != never] if never is not None else known
    end, stranger = len(known), len(known) + 1  # stand behind a piece, and for what no piece has
    code = np.full(symbols, stranger)
    code[known] = np.arange(len(known))
    joined: list[int] = []
    for piece in pieces:
        own = code[piece]
        own[own == stranger] = end  # what equals nothing: no text holds an end
        joined += [*own.tolist(), end]
    automaton = _Automaton(joined, symbols=len(known) + 2)
    automaton.read(text, code, stranger, progress)
    lengths, last = automaton.longest()
    places = np.where(lengths > 0, last + 1 - lengths, 0)
    cuts = np.cumsum([len(piece) + 1 for piece in pieces])
    return [
        Copies(lengths[cut - len(piece) - 1 : cut - 1], places[cut - len(piece) - 1 : cut - 1])
        for cut, piece in zip(cuts, pieces, strict=True)
    ]


class _Automaton:
    """The suffix automaton of some symbols, and the longest run of each state in a text.

    Its transitions are one array: those of a state are a row, and the rows are laid over each other
    so that no two have an entry in one place (row displacement, Tarjan and Yao 1979).
    """

    def __init__(self, ids: Sequence[int], symbols: int) -> None:
        follow: list[dict[int, int]] = [dict.fromkeys(range(symbols), ROOT), {}]
        length, link = [-1, 0], [BOTTOM, BOTTOM]
        self.prefix: list[int] = []  # the state of each prefix
        last = ROOT
        for symbol in ids:
            new = len(length)
            length.append(length[last] + 1)
            link.append(ROOT)
            follow.append({})
            at = last
            while symbol not in follow[at]:
                follow[at][symbol] = new
                at = link[at]
            shorter = follow[at][symbol]
            if length[shorter] == length[at] + 1:
                link[new] = shorter
            else:  # runs of two lengths would share a state, and only the shorter ends here too
                copy = len(length)
                length.append(length[at] + 1)
                link.append(link[shorter])
                follow.append(dict(follow[shorter]))
                link[shorter] = link[new] = copy
                while follow[at].get(symbol) == shorter:
                    follow[at][symbol] = copy
                    at = link[at]
            last = new
            self.prefix.append(new)
        self.length, self.link = np.array(length), np.array(link)
        self.base, self.owner, self.target = _overlay(follow, symbols)
        self.run = np.zeros(len(length), dtype=np.int64)  # the longest seen in the text
        self.last = np.zeros(len(length), dtype=np.int64)  # and where that ended

    def read(self, text: Ids, code: Ints, stranger: int, progress: Progress | None) -> None:
        """Note the longest run of each state in a text (m,)."""
        size = len(text)
        parts = min(PARTS, max(1, size // SHORTEST_PART))
        part = -(-size // parts)
        starts = np.arange(parts) * part
        state = np.full(parts, ROOT)
        run = np.zeros(parts, dtype=np.int64)
        done = 0
        while len(starts):
            # Beyond its end, a part goes on with what began inside it.
            steps = BLOCK if done >= part else min(BLOCK, part - done)
            places = starts + np.arange(done, done + steps)[:, None]
            symbols = code[text[np.minimum(places, size - 1)]]
            symbols[places >= size] = stranger
            for now, symbol in zip(places, symbols, strict=True):
                state, run = self._step(state, run, symbol)
                longer = np.flatnonzero(run > self.run[state])
                if len(longer):
                    longer = longer[run[longer].argsort()]  # the longest last: it is what stays
                    self.run[state[longer]] = run[longer]
                    self.last[state[longer]] = now[longer]
            done += steps
            if done >= part:
                goes_on = (run > done - part) & (starts + done < size)
                starts, state, run = starts[goes_on], state[goes_on], run[goes_on]
            if progress is not None:
                progress(min(size, done * parts), size)

    def _step(self, state: Ints, run: Ints, symbol: Ints) -> tuple[Ints, Ints]:
        """Read one symbol each: the longest run that it continues, or a shorter one's end does."""
        at = self.base[state] + symbol
        lost = np.flatnonzero(self.owner[at] != state)
        if len(lost):
            state, run = state.copy(), run.copy()
        while len(lost):
            shorter = self.link[state[lost]]
            state[lost], run[lost] = shorter, self.length[shorter]
            at[lost] = self.base[shorter] + symbol[lost]
            lost = lost[self.owner[at[lost]] != shorter]
        return self.target[at], run + 1

    def longest(self) -> tuple[Ints, Ints]:
        """At each symbol, the longest run that ends there and was seen; and where that ended."""
        run, last = self.run.tolist(), self.last.tolist()
        length, link = self.length.tolist(), self.link.tolist()
        order = self.length.argsort(kind="stable").tolist()[2:]
        for state in reversed(order):  # of a run that was seen every suffix was seen too
            shorter = link[state]
            if run[state] and shorter > ROOT:
                run[shorter], last[shorter] = length[shorter], last[state]
        for state in order:  # one that was not has its longest suffix that was
            if not run[state] and link[state] > ROOT:
                run[state], last[state] = run[link[state]], last[link[state]]
        return np.array(run)[self.prefix], np.array(last)[self.prefix]


def _overlay(rows: Sequence[dict[int, int]], symbols: int) -> tuple[Ints, Ints, Ints]:
    """Where each row begins; and for every entry of the one array, whose it is and what it says."""
    taken = bytearray(2 * sum(map(len, rows)) + 2 * symbols)
    base = [0] * len(rows)
    start = free = 0
    # The fullest first, each behind where the one before it fits: looking further in front would
    # take long. The many rows of one entry fill what is left there.
    for number in sorted(range(len(rows)), key=lambda number: -len(rows[number])):
        row = rows[number]
        if len(row) == 1:
            (symbol,) = row
            free = taken.index(0, max(free, symbols))
            base[number] = free - symbol
            taken[free] = 1
            continue
        while any(taken[start + symbol] for symbol in row):
            start += 1
            if start + symbols > len(taken):
                taken.extend(bytes(len(taken)))
        base[number] = start
        for symbol in row:
            taken[start + symbol] = 1
    size = max(base) + symbols
    owner, target = np.full(size, -1), np.zeros(size, dtype=np.int64)
    for number, row in enumerate(rows):
        for symbol, state in row.items():
            owner[base[number] + symbol], target[base[number] + symbol] = number, state
    return np.array(base), owner, target

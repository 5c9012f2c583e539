"""Alignments, against all the ways there are, one by one."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.text import alignment
from charseq.text.alignment import LONGEST, MOST, PASSES, align
from charseq.text.ragged import Ragged

Way = tuple[tuple[int, ...], ...]  # what each source symbol becomes

PAIR = st.tuples(
    st.lists(st.integers(0, 3), min_size=1, max_size=4), st.lists(st.integers(1, 3), max_size=6)
)


def ways(source: Sequence[int], target: Sequence[int]) -> Iterator[Way]:
    if not source:
        if not target:
            yield ()
        return
    for k in range(min(MOST, len(target)) + 1):
        for rest in ways(source[1:], target[k:]):
            yield (tuple(target[:k]), *rest)


def probability(
    source: Sequence[int], way: Way, likely: Mapping[tuple[int, tuple[int, ...]], float]
) -> float:
    return math.prod(likely[symbol, part] for symbol, part in zip(source, way, strict=True))


def by_enumeration(
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
) -> dict[tuple[int, tuple[int, ...]], float]:
    """How likely a symbol becomes what, after the same passes of EM."""
    likely = {
        (symbol, part): 0.1 ** abs(len(part) - 1)
        for source, target in pairs
        for way in ways(source, target)
        for symbol, part in zip(source, way, strict=True)
    }
    for _ in range(PASSES):
        counts: defaultdict[tuple[int, tuple[int, ...]], float] = defaultdict(float)
        for source, target in pairs:
            each = {way: probability(source, way, likely) for way in ways(source, target)}
            for way, p in each.items():
                for symbol, part in zip(source, way, strict=True):
                    counts[symbol, part] += p / sum(each.values())
        sums: defaultdict[int, float] = defaultdict(float)
        for (symbol, _), count in counts.items():
            sums[symbol] += count
        likely = {key: count / sums[key[0]] for key, count in counts.items()}
    return likely


@given(st.lists(PAIR, min_size=1, max_size=5), st.sampled_from([1, 1 << 22]))
def test_the_likeliest_of_all_ways(pairs: list[tuple[list[int], list[int]]], cells: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment, "CHUNK", cells)  # all rows together, or each in a chunk of its own
        found = align(*(Ragged.from_rows(side) for side in zip(*pairs, strict=True)))
    likely = by_enumeration(pairs)
    starts = np.cumsum([0, *(len(source) for source, _ in pairs)])
    for (source, target), start in zip(pairs, starts, strict=False):
        ends = found[start : start + len(source)].tolist()
        if len(target) > MOST * len(source):
            assert ends == [-1] * len(source)
            continue
        assert ends[-1] == len(target)
        way = tuple(
            tuple(target[begin:end]) for begin, end in zip([0, *ends[:-1]], ends, strict=True)
        )
        best = max(probability(source, way, likely) for way in ways(source, target))
        assert probability(source, way, likely) == pytest.approx(best, rel=1e-6)


def test_words_by_hand() -> None:
    """x becomes k s, h is silent: no single word says so."""
    words = {"hat": "at", "tax": "taks", "axt": "akst", "hax": "aks", "kat": "kat", "sah": "sa"}
    rows = [[[ord(c) for c in side] for side in pair] for pair in words.items()]
    source, target = (Ragged.from_rows(side) for side in zip(*rows, strict=True))
    ends = [
        align(source, target)[a:b].tolist()
        for a, b in np.c_[source.offsets[:-1], source.offsets[1:]]
    ]
    assert ends == [[0, 1, 2], [1, 2, 4], [1, 3, 4], [0, 1, 3], [1, 2, 3], [1, 2, 2]]


def test_the_longest_rows_do_not_underflow_and_longer_ones_are_left_alone() -> None:
    """One symbol becomes any of many, or nothing: each way for itself is hardly likely at all."""
    for length, written in ((LONGEST, LONGEST), (LONGEST // 3 + 1, LONGEST), (LONGEST, 1)):
        target = np.random.default_rng(0).permutation(written) + 1
        ends = align(Ragged.from_rows([[1] * length]), Ragged.from_rows([target]))
        assert ends[-1] == written
        assert 0 <= np.diff(ends, prepend=0).min() <= np.diff(ends, prepend=0).max() <= MOST
    for length, written in ((LONGEST + 1, LONGEST), (LONGEST, LONGEST + 1)):
        rows = [Ragged.from_rows([[1] * n, [2, 3]]) for n in (length, written)]
        assert align(*rows).tolist() == [-1] * length + [1, 2]


def test_nothing_to_align() -> None:
    assert align(Ragged.from_rows([]), Ragged.from_rows([])).tolist() == []
    assert align(Ragged.from_rows([[1]]), Ragged.from_rows([[1, 2, 3, 4]])).tolist() == [-1]

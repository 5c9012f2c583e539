"""Runs that stand in a long text: against looking for every one of them, whatever the parts."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import charseq.text.copies as copies
from charseq.text.copies import Copies, find_copies

SYMBOLS = 4
TEXT = st.lists(st.integers(0, SYMBOLS - 1), min_size=1, max_size=80)
PIECES = st.lists(st.lists(st.integers(0, SYMBOLS - 1), max_size=25), max_size=4)


def ids(numbers: list[int], dtype: type = np.uint8) -> np.ndarray:
    return np.array(numbers, dtype=dtype)


def longest_run(piece: list[int], end: int, text: list[int], never: int | None) -> int:
    """Of the runs of a piece that end with the symbol at ``end``, the longest in the text."""
    found = 0
    for start in range(end, -1, -1):
        run = piece[start : end + 1]
        if never in run or not any(
            text[at : at + len(run)] == run for at in range(len(text) - len(run) + 1)
        ):
            break
        found = len(run)
    return found


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short texts in several parts, read a few symbols at a time."""
    monkeypatch.setattr(copies, "SHORTEST_PART", 6)
    monkeypatch.setattr(copies, "PARTS", 5)
    monkeypatch.setattr(copies, "BLOCK", 4)


@given(text=TEXT, pieces=PIECES, never=st.none() | st.integers(0, SYMBOLS - 1))
def test_the_longest_run_that_ends_at_each_place(
    text: list[int], pieces: list[list[int]], never: int | None
) -> None:
    found = find_copies([ids(piece) for piece in pieces], ids(text), SYMBOLS, never=never)
    assert len(found) == len(pieces)
    for piece, one in zip(pieces, found, strict=True):
        expected = [longest_run(piece, end, text, never) for end in range(len(piece))]
        assert one.lengths.tolist() == expected
        for end, (length, place) in enumerate(zip(expected, one.places.tolist(), strict=True)):
            assert text[place : place + length] == piece[end + 1 - length : end + 1]


@given(text=TEXT, piece=st.lists(st.integers(0, SYMBOLS - 1), max_size=25))
def test_which_symbols_stand_in_long_runs(text: list[int], piece: list[int]) -> None:
    (found,) = find_copies([ids(piece)], ids(text), SYMBOLS)
    for length in range(1, 8):
        expected = [False] * len(piece)
        for start in range(len(piece) - length + 1):
            run = piece[start : start + length]
            if any(text[at : at + length] == run for at in range(len(text) - length + 1)):
                expected[start : start + length] = [True] * length
        assert found.inside(length).tolist() == expected


@pytest.mark.parametrize(("period", "parts"), list(product([1, 2, 7], [1, 4])))
def test_a_run_over_many_parts_of_a_text_that_repeats_itself(
    period: int, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "PARTS", parts)
    text = ids([at % period for at in range(500)], np.uint16)
    (found,) = find_copies([text[3:403]], text, 300)
    assert found.lengths.tolist() == list(range(1, 401))
    assert found.lengths[-1] == 400
    assert (text[found.places[-1] :][:400] == text[3:403]).all()


def test_a_text_without_anything_of_a_piece() -> None:
    (found,) = find_copies([ids([1, 2, 1])], ids([0, 3, 0]), SYMBOLS)
    assert found.lengths.tolist() == found.places.tolist() == [0, 0, 0]
    assert not found.inside(1).any()
    assert Copies(found.lengths[:0], found.places[:0]).inside(1).tolist() == []


def test_of_two_parts_that_meet_in_a_state_the_longer_run_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With their third symbol one has read 0 1 2 and one 1 2, which end in the same places."""
    monkeypatch.setattr(copies, "SHORTEST_PART", 4)
    for text in ([0, 1, 2, 3, 3, 1, 2, 3], [3, 1, 2, 3, 0, 1, 2, 3]):
        (found,) = find_copies([ids([0, 1, 2])], ids(text), SYMBOLS)
        assert found.lengths.tolist() == [1, 2, 3]


def test_a_text_ends_where_it_ends() -> None:
    (found,) = find_copies([ids([3, 3])], ids([0, 1, 2] * 4 + [3]), SYMBOLS)  # parts of 7
    assert found.lengths.tolist() == [1, 1]


def test_no_run_goes_over_the_end_of_a_piece() -> None:
    left, right = find_copies([ids([0, 1]), ids([2, 3])], ids([0, 1, 2, 3]), SYMBOLS)
    assert left.lengths.tolist() == right.lengths.tolist() == [1, 2]


def test_progress_ends_with_the_text() -> None:
    seen: list[tuple[int, int]] = []
    text = ids([at % 3 for at in range(100)])
    find_copies([text[:9]], text, SYMBOLS, progress=lambda done, all_: seen.append((done, all_)))
    assert seen == sorted(seen)
    assert seen[-1] == (100, 100)

"""Sums come out as in Keras's example: padded, turned around on request, each pair once."""

import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import CharseqError
from charseq.text.synthetic.addition import about_addition, addition_rows

PINNED = [("700+679", "1379"), ("66+7   ", "73  "), ("849+44 ", "893 ")]
PINNED_SHA256 = "cc2ffcc8c1976c62e27213d9e751eca16ad67469f8068db2f88352a559b509d3"


def digest(rows: list[tuple[str, ...]]) -> str:
    text = "".join("\t".join(row) + "\n" for row in rows)
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_seed_gives_these_rows_on_every_machine() -> None:
    rows = addition_rows(1000, seed=7, digits=3)
    assert rows[:3] == PINNED
    assert digest(rows) == PINNED_SHA256
    assert digest(addition_rows(1000, seed=8, digits=3)) != PINNED_SHA256


@given(st.integers(1, 6), st.integers(0, 1000), st.booleans(), st.booleans())
def test_every_answer_is_the_sum(digits: int, seed: int, pad: bool, reverse: bool) -> None:
    pairs = set()
    for question, answer in addition_rows(50, seed, digits, pad=pad, reverse=reverse):
        if pad:
            assert len(question) == 2 * digits + 1
            assert len(answer) == digits + 1
        else:
            assert " " not in question + answer
        asked = question[::-1] if reverse else question
        assert asked == asked.lstrip()  # the padding is on the right before it is turned
        first, second = sorted(map(int, asked.split("+")))
        assert int(answer) == first + second
        assert answer == answer.lstrip()
        pairs.add((first, second))
    assert len(pairs) == 50


def test_two_digits_as_keras_makes_them_leaves_fifty_pairs() -> None:
    rows = addition_rows(5000, seed=0, digits=2)
    assert len({tuple(sorted(question.strip().split("+"))) for question, _ in rows}) == 5000


def test_all_pairs_there_are_and_not_one_more() -> None:
    rows = addition_rows(5050, seed=0, digits=2, pad=False)
    assert {tuple(sorted(map(int, question.split("+")))) for question, _ in rows} == {
        (a, b) for a in range(100) for b in range(a, 100)
    }
    with pytest.raises(CharseqError, match=r"there are 5,050 pairs .* largest --size is 5050"):
        addition_rows(5051, seed=0, digits=2)


def test_the_number_of_digits_is_drawn_first() -> None:
    """Of numbers below 10^5 one in 25 pairs would be of four digits or fewer: here most are."""
    rows = addition_rows(4000, seed=0, digits=5, pad=False)
    lengths = Counter(len(number) for question, _ in rows for number in question.split("+"))
    # A number of n drawn digits begins with a zero, and so has fewer, in one case of ten.
    for length in (3, 4):
        assert lengths[length] / 8000 == pytest.approx(0.2 * 0.9 + 0.2 * 0.09, abs=0.03)
    assert lengths[5] / 8000 == pytest.approx(0.2 * 0.9, abs=0.03)


def test_the_readme_says_what_was_done_to_the_questions() -> None:
    source, target = about_addition(3, pad=True, reverse=True).columns
    assert source.endswith("padded with spaces on the right to 7 characters, then turned around")
    assert target.endswith("padded with spaces on the right to 4 characters")
    assert "padded" not in "".join(about_addition(3, pad=False, reverse=False).columns)

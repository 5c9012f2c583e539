"""Draws are even, the same everywhere, and never repeat a row, up to the last row there is."""

from collections import Counter
from collections.abc import Iterator
from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import CharseqError
from charseq.text.synthetic import draw
from charseq.text.synthetic.draw import Item, below, choice, distinct, seeded, shuffle


class Always(Random):
    """Draws one number again and again."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def random(self) -> float:
        return self.value


def test_a_seed_gives_these_numbers_on_every_machine() -> None:
    random = seeded(20)
    assert [below(random, 1000) for _ in range(8)] == [905, 686, 766, 904, 259, 635, 904, 872]
    letters = list("abcdefgh")
    shuffle(random, letters)
    assert "".join(letters) == "fgdahcbe"


@given(st.integers(1, 2**53), st.integers(0, 2**53 - 1))
def test_a_number_is_the_drawn_share_of_the_limit_exactly(limit: int, k: int) -> None:
    assert below(Always(k / 2**53), limit) == k * limit // 2**53 < limit


def test_a_shuffle_gives_every_order_equally_often() -> None:
    random = seeded(1)
    orders: Counter[tuple[int, ...]] = Counter()
    for _ in range(6000):
        items = [1, 2, 3]
        shuffle(random, items)
        orders[tuple(items)] += 1
    assert set(orders) == set(permutations([1, 2, 3]))
    assert max(orders.values()) < 1150
    assert min(orders.values()) > 850


def uneven() -> Iterator[Item]:
    for number in range(500):
        yield number, (str(number),)


@pytest.mark.parametrize("size", [1, 10, 400, 500])
def test_rare_rows_come_too_when_all_are_asked_for(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw, "PATIENCE", 50)
    random = seeded(0)

    def lopsided() -> Item:
        number = below(random, 10 if below(random, 100) else 500)
        return number, (str(number),)

    rows = distinct(random, lopsided, uneven, size, "numbers")
    assert len(rows) == len(set(rows)) == size
    assert {int(row[0]) for row in rows} <= set(range(500))


def test_one_row_too_many_is_refused_with_the_number_that_there_is() -> None:
    random = seeded(0)
    items = list(uneven())
    with pytest.raises(CharseqError, match=r"--size 501: there are 500 numbers .* --size is 500"):
        distinct(random, lambda: choice(random, items), uneven, 501, "numbers")


def test_the_order_tells_nothing_of_the_kind() -> None:
    """Short numbers are used up first: unshuffled, none would be left for the last rows."""
    random = seeded(3)

    def item() -> Item:
        number = below(random, 10 ** (1 + below(random, 4)))
        return number, (str(number),)

    rows = distinct(random, item, uneven, 2000, "numbers")
    first, last = rows[:1000], rows[1000:]
    assert sum(len(row[0]) < 4 for row in last) == pytest.approx(
        sum(len(row[0]) < 4 for row in first), rel=0.15
    )


def test_progress_ends_at_the_whole() -> None:
    random = seeded(0)
    seen: list[tuple[int, int]] = []

    def item() -> Item:
        number = below(random, 10**6)
        return number, (str(number),)

    distinct(random, item, uneven, 2500, "numbers", lambda *here: seen.append(here))
    assert seen == [(1000, 2500), (2000, 2500), (2500, 2500)]


def test_rows_are_listed_only_after_many_repeats_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing them sooner would make rare rows come as often as frequent ones."""
    monkeypatch.setattr(draw, "PATIENCE", 50)
    draws = iter(range(1000))

    def each_three_times() -> Item:
        number = next(draws) // 3
        return number, (str(number),)

    def never() -> Iterator[Item]:
        raise AssertionError("the rows were listed")

    assert len(distinct(seeded(0), each_three_times, never, 100, "numbers")) == 100

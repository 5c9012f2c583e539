"""Rows in one flat array are the rows that lists of lists would be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.text.ragged import Ragged

rows_of_ids = st.lists(st.lists(st.integers(-1, 9), max_size=4), max_size=6)


def as_lists(ragged: Ragged) -> list[list[int]]:
    return [row.tolist() for row in ragged]


@given(rows=rows_of_ids)
def test_rows_come_back(rows: list[list[int]]) -> None:
    ragged = Ragged.from_rows(rows)
    assert as_lists(ragged) == rows
    assert len(ragged) == len(rows)
    assert ragged.lengths.tolist() == [len(row) for row in rows]
    assert ragged.row_of.tolist() == [i for i, row in enumerate(rows) for _ in row]
    assert ragged.flat.dtype == np.int32
    assert ragged.offsets.dtype == np.int64


def test_a_row_by_its_number() -> None:
    ragged = Ragged.from_rows([[1, 2], [], [3]])
    assert [ragged[i].tolist() for i in (0, 1, 2, -1, -3)] == [[1, 2], [], [3], [3], [1, 2]]
    assert ragged[0].dtype == np.int64
    for outside in (3, -4):
        with pytest.raises(IndexError, match=f"no row {outside} among 3"):
            ragged[outside]


@given(rows=rows_of_ids)
def test_keeping_and_turning(rows: list[list[int]]) -> None:
    ragged = Ragged.from_rows(rows)
    known = [[one for one in row if one >= 0] for row in rows]
    assert as_lists(ragged.keep(ragged.flat >= 0)) == known
    assert as_lists(ragged.turned()) == [row[::-1] for row in rows]


@given(pairs=st.lists(st.tuples(*[st.lists(st.integers(0, 9), max_size=4)] * 2), max_size=6))
def test_side_by_side_and_one_above_the_other(pairs: list[tuple[list[int], list[int]]]) -> None:
    left = Ragged.from_rows([one for one, _ in pairs])
    right = Ragged.from_rows([other for _, other in pairs])
    assert as_lists(left.beside(right)) == [one + other for one, other in pairs]
    assert as_lists(left.above(right)) == as_lists(left) + as_lists(right)

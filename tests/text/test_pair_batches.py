"""Batches hold every pair once an epoch, padded as by hand, and are the same for the same step."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import CharseqError
from charseq.text.pair_batches import IGNORED, PairBatch, PairBatches, collate, pad
from charseq.text.pairs import Example, Pairs
from charseq.text.ragged import Ragged

ROWS = st.lists(
    st.tuples(
        st.lists(st.integers(1, 9), min_size=1, max_size=7),
        st.lists(st.integers(1, 9), min_size=1, max_size=7),
    ),
    min_size=1,
    max_size=20,
)


def pairs_of(rows: Sequence[tuple[list[int], list[int]]]) -> Pairs:
    return Pairs(
        examples=[Example(str(row), (), ("",)) for row in range(len(rows))],
        source=Ragged.from_rows([source for source, _ in rows]),
        target=Ragged.from_rows([target for _, target in rows]),
        example_of=np.arange(len(rows)),
    )


def random_pairs(count: int, longest: int = 30) -> Pairs:
    generator = np.random.default_rng(count)
    lengths = generator.integers(1, longest, size=(count, 2))
    return pairs_of([([1 + row] * n, [1 + row] * m) for row, (n, m) in enumerate(lengths)])


def same(one: PairBatch, other: PairBatch) -> bool:
    names = ("source", "source_lengths", "inputs", "targets", "target_lengths")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_a_batch_by_hand() -> None:
    batch = collate(pairs_of([([5, 6, 7], [2, 3]), ([8], [4]), ([9, 5], [2, 3, 4])]), [2, 0, 1])
    assert batch.source.tolist() == [[9, 5, 8], [5, 6, 0], [0, 7, 0]]
    assert batch.source_lengths.tolist() == [2, 3, 1]
    assert batch.inputs.tolist() == [[0, 0, 0], [2, 2, 4], [3, 3, 0], [4, 0, 0]]
    assert batch.targets.tolist() == [[2, 2, 4], [3, 3, 0], [4, 0, -100], [0, -100, -100]]
    assert batch.target_lengths.tolist() == [4, 3, 2]


@given(rows=ROWS)
def test_any_batch_is_what_loops_over_its_symbols_give(
    rows: list[tuple[list[int], list[int]]],
) -> None:
    batch = collate(pairs_of(rows), range(len(rows)))
    longest_source = max(len(source) for source, _ in rows)
    longest_target = max(len(target) for _, target in rows) + 1
    assert batch.source.shape == (longest_source, len(rows))
    assert batch.inputs.shape == batch.targets.shape == (longest_target, len(rows))
    for column, (source, target) in enumerate(rows):
        padding = longest_target - len(target) - 1
        assert batch.source[:, column].tolist() == source + [0] * (longest_source - len(source))
        assert batch.inputs[:, column].tolist() == [0, *target, *[0] * padding]
        assert batch.targets[:, column].tolist() == [*target, 0, *[IGNORED] * padding]
        assert batch.source_lengths[column] == len(source)
        assert batch.target_lengths[column] == len(target) + 1
    for array in vars(batch).values():
        assert array.dtype == np.int64
        assert array.flags.c_contiguous


def test_an_unknown_target_symbol_is_learned_like_others() -> None:
    batch = collate(pairs_of([([1], [1, 0])]), [0])  # 1 is unknown; a 0 inside is kept, too
    assert batch.inputs.tolist() == [[0], [1], [0]]
    assert batch.targets.tolist() == [[1], [0], [0]]


@given(rows=st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=5))
def test_padding(rows: list[list[int]]) -> None:
    ids, lengths = pad([np.array(row, dtype=np.int64) for row in rows])
    longest = max(map(len, rows), default=0)
    assert ids.shape == (longest, len(rows))
    assert ids.T.tolist() == [row + [0] * (longest - len(row)) for row in rows]
    assert lengths.tolist() == [len(row) for row in rows]
    assert ids.dtype == lengths.dtype == np.int64


@given(count=st.integers(1, 50), batch_size=st.integers(1, 60), seed=st.integers(0, 2**63 - 1))
def test_an_epoch_holds_every_pair_once(count: int, batch_size: int, seed: int) -> None:
    batches = PairBatches(random_pairs(count, 9), batch_size, seed)
    assert batches.steps_per_epoch == -(-count // batch_size)
    for epoch in (0, 1, 7):
        steps = range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch)
        rows = [batches.rows(step) for step in steps]
        assert sorted(np.concatenate(rows).tolist()) == list(range(count))
        sizes = sorted(len(some) for some in rows)
        assert sizes[1:] == [batch_size] * (len(sizes) - 1)
        assert sizes[0] == (count % batch_size or batch_size)


def test_a_batch_is_a_function_of_its_step() -> None:
    pairs = random_pairs(500)
    batches, others = PairBatches(pairs, 8, seed=3), PairBatches(pairs, 8, seed=3)
    steps = [0, 200, 1, 199, 0, 62, 63, 125, 126]
    first = {step: batches.batch(step) for step in steps}
    for step in reversed(steps):
        assert same(others.batch(step), first[step])
        assert same(batches.batch(step), first[step])


def test_the_order_is_another_in_each_epoch_and_for_each_seed() -> None:
    pairs = random_pairs(500)
    batches = PairBatches(pairs, 50, seed=3)

    def epoch(number: int, drawn: PairBatches) -> list[frozenset[int]]:
        steps = range(10 * number, 10 * number + 10)
        return [frozenset(drawn.rows(step).tolist()) for step in steps]

    orders = [epoch(0, batches), epoch(1, batches), epoch(0, PairBatches(pairs, 50, seed=4))]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not set(orders[one]) & set(orders[other])


def test_pairs_of_a_batch_have_about_one_length() -> None:
    pairs = random_pairs(6400)
    batches = PairBatches(pairs, 64, seed=0)
    steps = range(batches.steps_per_epoch)
    sources = [np.ptp(pairs.source.lengths[batches.rows(step)]) for step in steps]
    assert max(sources) <= 3  # 29 lengths of about 55 pairs in a window, batches of 64
    assert np.mean(sources) < 1.5
    small = PairBatches(pairs, 8, seed=0)
    targets = [np.ptp(pairs.target.lengths[small.rows(step)]) for step in range(800)]
    assert np.mean(targets) < 15  # about 22 where the target's length plays no part
    lengths = [pairs.source.lengths[batches.rows(step)].mean() for step in steps]
    assert np.abs(np.diff(lengths)).mean() > 5  # a long batch may follow a short one


def test_the_same_pairs_do_not_always_meet() -> None:
    pairs = random_pairs(800, longest=4)
    batches = PairBatches(pairs, 32, seed=0)
    together = [
        {frozenset((one, other)) for one in rows for other in rows if one < other}
        for rows in (batches.rows(25 * epoch).tolist() for epoch in range(20))
    ]
    met = [len(one & other) / len(one) for one, other in pairwise(together)]
    assert np.mean(met) < 0.2


def test_pairs_of_one_length_are_shuffled() -> None:
    pairs = pairs_of([([1], [1])] * 1000)
    rows = PairBatches(pairs, 10, seed=0).rows(0)
    assert np.ptp(rows) > 300


def test_no_pairs_make_no_batches() -> None:
    with pytest.raises(CharseqError, match="there are no training pairs"):
        PairBatches(pairs_of([]), 4, seed=0)

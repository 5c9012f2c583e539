"""Strings are drawn as often as the models say, for each source alone."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from known_models import (
    SOURCES,
    UNKNOWN,
    Table,
    assert_same,
    draw,
    exhaustive,
    looks,
    next_of,
    random_table,
    search,
)
from numpy.typing import NDArray

from charseq.lstm.drawing import Drawing
from charseq.text.pair_vocab import END


def test_strings_are_drawn_as_often_as_the_models_say() -> None:
    models = [random_table(3, seed, scale=1.0) for seed in (1, 2)]
    next_log_p = next_of(models, (2,))
    every = exhaustive(next_log_p, 3, 3)
    for ids, log_p, _ in every[:]:
        if len(ids) == 3:  # cut off, when no END follows
            every.append((ids, log_p - next_log_p(ids)[END], False))
    drawn = draw(models, [(2,)], draws=4000, max_length=3)[0]
    counts = {(ids, end): 0 for ids, _, end in every}
    for one in drawn:
        counts[one.ids, one.finished] += 1
    for ids, log_p, end in every:
        p = math.exp(log_p) * (1.0 if end else 1.0 - math.exp(next_log_p(ids)[END]))
        assert abs(counts[ids, end] - 4000 * p) < 4.5 * math.sqrt(4000 * p * (1 - p)) + 1
    scores = {(ids, end): log_p for ids, log_p, end in every}
    for one in drawn[:50]:
        assert one.log_probability == pytest.approx(scores[one.ids, one.finished], rel=1e-9)
        assert one.score == one.log_probability


@settings(max_examples=30)
@given(
    sources=st.permutations(range(5)),
    draws=st.integers(1, 3),
    seed=st.integers(0, 2**70),
    temperature=st.sampled_from([0.0, 0.5, 3.0]),
)
def test_a_source_draws_the_same_in_any_batch(
    sources: list[int], draws: int, seed: int, temperature: float
) -> None:
    table = random_table(4, seed=3)
    options: dict[str, Any] = {"seed": seed, "drawing": Drawing(temperature)}
    batch = draw([table], [SOURCES[i] for i in sources], numbers=sources, draws=draws, **options)
    for i, found in zip(sources, batch, strict=True):
        alone = draw([table], [SOURCES[i]], numbers=[i], draws=3, **options)[0]
        assert len(found) == draws
        assert_same(found, [(one.ids, one.score, one.finished) for one in alone[:draws]])


def test_other_seeds_numbers_and_draws_give_other_strings() -> None:
    table = random_table(6, seed=3, scale=0.3)
    table.logits = lambda source, prefix: [-2.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    one, other = draw([table], [(1,), (1,)], draws=2, max_length=20)
    again = draw([table], [(1,)], seed=1, draws=2, max_length=20)[0]
    assert len({h.ids for h in one + other + again}) == 6


def test_without_temperature_the_likeliest_is_drawn() -> None:
    table = random_table(5, seed=8)
    greedy = search([table], SOURCES, max_length=8)
    for drawing in (Drawing(0.0), Drawing(top_k=1), Drawing(top_p=1e-6)):
        for found, expected in zip(draw([table], SOURCES, drawing), greedy, strict=True):
            assert_same(found, [(h.ids, h.log_probability, h.finished) for h in expected])


def test_a_draw_knows_its_attention() -> None:
    found = draw([random_table(4, 1)], SOURCES, draws=3, with_attention=True)
    for source, hypotheses in zip(SOURCES, found, strict=True):
        for one in hypotheses:
            steps = len(one.ids) + one.finished
            expected = torch.stack([looks(source, one.ids[:i]) for i in range(steps)])
            np.testing.assert_array_equal(one.attention, expected)


def test_what_has_no_probability_is_not_drawn_even_by_the_smallest_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Zeros:
        def random(self, count: int) -> NDArray[np.float64]:
            return np.zeros(count)

    monkeypatch.setattr(np.random, "default_rng", lambda seed: Zeros())
    table = Table(3, lambda source, prefix: [0.0, 1.0, 5.0])
    assert draw([table], [(1,)], Drawing(top_k=2), max_length=3, never=UNKNOWN)[0][0].ids == ()
    ((likeliest,),) = draw([table], [(1,)], Drawing(top_k=1), max_length=3, never=UNKNOWN)
    assert likeliest.ids == (2, 2, 2)

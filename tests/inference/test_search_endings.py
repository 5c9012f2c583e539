"""How hypotheses end, what they may not hold, and the attention that comes with them."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from known_models import (
    END,
    SOURCES,
    UNKNOWN,
    Prefix,
    Source,
    Table,
    assert_same,
    exhaustive,
    looks,
    next_of,
    padded,
    random_model,
    random_table,
    search,
)

from charseq.inference.search import sample
from charseq.lstm.drawing import Drawing


def test_what_was_cut_off_comes_after_what_finished() -> None:
    def logits(source: Source, prefix: Prefix) -> list[float]:
        return [-3.0, 3.0, 0.0]  # END is unlikely everywhere

    found = search([Table(3, logits)], [(1,)], beam=27, n_best=6, max_length=3)[0]
    assert_same(found, exhaustive(next_of([Table(3, logits)], (1,)), 3, 3)[:6])
    one = search([Table(3, logits)], [(1,)], beam=1, max_length=3)[0]
    assert [(h.ids, h.finished) for h in one] == [((1, 1, 1), False)]
    assert one[0].score == pytest.approx(
        3 * math.log(math.exp(3) / (math.exp(3) + 1 + math.exp(-3)))
    )
    two = search([Table(3, logits)], [(1,)], beam=2, n_best=2, max_length=3)[0]
    assert [(h.ids, h.finished) for h in two] == [((1, 1, 1), False), ((1, 1, 2), False)]


def test_fewer_strings_than_asked_for() -> None:
    only_end = Table(2, lambda source, prefix: [0.0, -math.inf])
    assert [h.ids for h in search([only_end], [(1,)], beam=3, n_best=3)[0]] == [()]
    nothing_else = Table(1, lambda source, prefix: [1.0])
    assert [h.ids for h in search([nothing_else], [(1,)], beam=3, n_best=3, never=1)[0]] == [()]


def test_the_unknown_symbol_is_not_written_unless_there_is_no_other() -> None:
    def logits(source: Source, prefix: Prefix) -> list[float]:
        if source == (1,) and not prefix:
            return [-math.inf, 0.0, -math.inf]
        return [1.0, 9.0, 2.0]

    table = Table(3, logits)
    for beam in (1, 3):
        stuck, free = search([table], [(1,), (2,)], beam=beam, never=UNKNOWN)
        assert stuck[0].ids[:1] == (UNKNOWN,)
        assert UNKNOWN not in stuck[0].ids[1:] + free[0].ids
    sources = padded([(1,), (2,)])
    draws = sample(
        [table.as_model()],
        *sources,
        numbers=[0, 1],
        seed=1,
        draws=20,
        drawing=Drawing(),
        max_length=5,
    )
    assert all(one.ids[:1] == (UNKNOWN,) and UNKNOWN not in one.ids[1:] for one in draws[0])
    assert not any(UNKNOWN in one.ids for one in draws[1])
    # Its probability is not shared out among the others: what is told is what the model says.
    assert (free[0].ids, free[0].finished) == ((), True)
    assert free[0].log_probability == pytest.approx(next_of([table], (2,))(())[END])


def test_none_is_shorter_than_the_least_unless_it_can_only_end() -> None:
    table = random_table(3, 5)
    for least in (0, 1, 3):
        every = exhaustive(next_of([table], (1,)), 3, 4)
        found = search([table], [(1,)], beam=81, n_best=5, max_length=4, min_length=least)[0]
        assert_same(found, [one for one in every if len(one[0]) >= least][:5])
    ends_at_once = Table(3, lambda source, prefix: [5.0, 0.0, 1.0])
    options: dict[str, Any] = {"max_length": 4, "min_length": 2}
    for beam, ids in ((1, (2, 2)), (2, (2, 2))):
        assert search([ends_at_once], [(1,)], beam=beam, **options)[0][0].ids == ids
    sources = padded([(1,), (2,)])
    options |= {"numbers": [0, 1], "seed": 1, "draws": 20, "drawing": Drawing()}
    draws = sample([ends_at_once.as_model()], *sources, **options)
    assert min(len(one.ids) for some in draws for one in some) == 2
    only_end = Table(3, lambda source, prefix: [0.0, -math.inf, -math.inf])
    assert search([only_end], [(1,)], beam=2, min_length=2)[0][0].ids == ()


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("ensemble", [1, 2])
def test_the_attention_kept_is_that_of_the_path(beam: int, ensemble: int) -> None:
    models = [random_table(4, seed) for seed in range(ensemble)]
    for i, model in enumerate(models):
        model.focus = 1.0 + i
    found = search(models, SOURCES, beam=beam, n_best=beam, max_length=5, with_attention=True)
    lengths = []
    for source, hypotheses in zip(SOURCES, found, strict=True):
        for one in hypotheses:
            steps = len(one.ids) + one.finished
            expected = torch.stack([looks(source, one.ids[:i]) for i in range(steps)])
            np.testing.assert_array_equal(one.attention, expected * (1.0 + ensemble) / 2)
            lengths.append(steps)
    assert max(lengths) >= 3  # else the path could not go wrong
    assert search(models, SOURCES, beam=beam)[0][0].attention is None


def test_a_real_attention_is_a_distribution_over_the_source() -> None:
    model = random_model(5, attention="additive")
    for hypotheses in search([model], SOURCES, beam=2, with_attention=True, max_length=9):
        weights = hypotheses[0].attention
        assert weights is not None
        np.testing.assert_allclose(weights.sum(1), 1.0, rtol=1e-6)


def test_models_in_training_mode_decode_without_dropout_and_stay_in_it() -> None:
    expected = search([random_model(5, dropout=0.0)], SOURCES, beam=3)
    model = random_model(5, dropout=0.5, input_dropout=0.5).train()
    state = torch.get_rng_state()
    for found, other in zip(search([model], SOURCES, beam=3), expected, strict=True):
        assert_same(found, [(one.ids, one.score, one.finished) for one in other])
    assert model.training
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state)

"""A source gets what it gets alone, and what is done leaves the batch."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_models import (
    KINDS,
    SOURCES,
    Prefix,
    Source,
    Table,
    assert_same,
    padded,
    random_model,
    random_table,
    search,
    sources_strategy,
)

from charseq.inference.search import beam_search
from charseq.models.seq2seq import Seq2Seq


@settings(max_examples=25)
@given(
    sources=sources_strategy,
    shuffle=st.randoms(use_true_random=False),
    kind=st.sampled_from(KINDS),
    beam=st.integers(1, 4),
    extra=st.integers(0, 4),
)
def test_a_source_gets_in_any_batch_what_it_gets_alone(
    sources: list[Source], shuffle: Any, kind: dict[str, Any], beam: int, extra: int
) -> None:
    models: list[Seq2Seq] = [random_model(4, seed, **kind) for seed in range(2)]
    options: dict[str, Any] = {"beam": beam, "n_best": beam, "length_penalty": 0.5}
    options |= {"max_length": 12, "with_attention": True}
    alone = [search(models, [source], **options)[0] for source in sources]
    order = list(range(len(sources)))
    shuffle.shuffle(order)
    ids, lengths = padded([sources[i] for i in order], extra)
    ids[lengths[None] <= np.arange(len(ids))[:, None]] = 5  # padding may be anything
    batch = beam_search(models, ids, lengths, **{**options, "never": None})
    for i, found in zip(order, batch, strict=True):
        assert_same(found, [(one.ids, one.score, one.finished) for one in alone[i]])
        for one, other in zip(found, alone[i], strict=True):
            assert one.log_probability == pytest.approx(other.log_probability, abs=1e-9)
            if one.attention is None or other.attention is None:
                assert one.attention is other.attention
            else:
                np.testing.assert_allclose(one.attention, other.attention, atol=1e-6)


def test_each_source_has_its_own_greatest_length() -> None:
    table = random_table(4, seed=5)
    most = np.array([1, 5, 3, 2, 4])
    for beam in (1, 3):
        together = search([table], SOURCES, beam=beam, n_best=beam, max_length=most)
        for source, length, found in zip(SOURCES, most, together, strict=True):
            alone = search([table], [source], beam=beam, n_best=beam, max_length=int(length))[0]
            assert_same(found, [(one.ids, one.score, one.finished) for one in alone])
            assert max(len(one.ids) for one in found) <= length


def one_straggler(source: Source, prefix: Prefix) -> list[float]:
    """Ends after three symbols; source (5,) after sixty."""
    return [9.0, 0.0, 0.0] if len(prefix) >= (60 if source == (5,) else 3) else [-9.0, 5.0, 0.0]


@pytest.mark.parametrize("beam", [1, 4])
def test_what_is_done_leaves_the_batch(beam: int) -> None:
    table = Table(3, one_straggler)
    sources: list[Source] = [*[(1,)] * 99, (5,)]
    found = search([table], sources, beam=beam, max_length=100)
    assert [len(hypotheses[0].ids) for hypotheses in found] == [3] * 99 + [60]
    assert len(table.stepped) == 61
    assert max(table.stepped[:4]) <= 100 * beam
    assert max(table.stepped[4:]) <= beam


def test_a_search_ends_as_soon_as_nothing_better_can_come() -> None:
    certain = Table(3, lambda source, prefix: [9.0, 0.0, 0.0] if prefix else [0.0, 9.0, 0.0])
    found = search([certain], [(1,)], beam=3, max_length=1000)
    assert found[0][0].ids == (1,)
    assert len(certain.stepped) == 2

"""What a search finds is what trying everything finds, or what its definition gives."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_models import (
    END,
    KINDS,
    SOURCES,
    Found,
    NextLogP,
    Prefix,
    Source,
    Table,
    assert_same,
    exhaustive,
    next_of,
    penalty,
    random_model,
    random_table,
    search,
    sources_strategy,
)

from charseq.models.seq2seq import Seq2Seq


def plain_beam(
    log_p: NextLogP, beam: int, n_best: int, alpha: float, most: int, banned: int | None = None
) -> Found:
    """Beam search by its definition: one source, up to the greatest length, nothing given up."""
    live: list[tuple[Prefix, float]] = [((), 0.0)]
    finished: Found = []
    for step in range(1, most + 2):
        candidates = []
        for rank, (prefix, total) in enumerate(live):
            for i, gained in enumerate(log_p(prefix)):
                if i != banned and total + gained > -math.inf:
                    candidates.append((-(total + gained), rank, i, prefix))
        candidates.sort()
        finished += [
            (prefix, -cost / penalty(step, alpha), True)
            for cost, _, i, prefix in candidates[:beam]
            if i == END
        ]
        if step > most:
            ended = [prefix for _, _, i, prefix in candidates[:beam] if i == END]
            live = [(prefix, total) for prefix, total in live if prefix not in ended]
            break
        live = [((*prefix, i), -cost) for cost, _, i, prefix in candidates if i != END][:beam]
    finished.sort(key=lambda one: -one[1])  # stable: of equal ones the earlier
    cut = [(prefix, total / penalty(most, alpha), False) for prefix, total in live]
    return (finished + cut)[:n_best]


@pytest.mark.parametrize("alpha", [0.0, 0.6, 3.0])
@pytest.mark.parametrize("ensemble", [1, 3])
def test_a_beam_of_full_width_finds_what_trying_everything_finds(
    alpha: float, ensemble: int
) -> None:
    size, most = 4, 4
    models = [random_table(size, seed) for seed in range(ensemble)]
    expected = [exhaustive(next_of(models, source), size, most, alpha) for source in SOURCES]
    count = sum(3**n for n in range(most + 1))
    for n_best in (1, 5, count):
        results = search(
            models,
            SOURCES,
            beam=size ** (most + 1),
            n_best=n_best,
            length_penalty=alpha,
            max_length=most,
        )
        for every, found in zip(expected, results, strict=True):
            assert len(every) == count
            assert_same(found, every[:n_best])


@pytest.mark.parametrize("kind", KINDS)
def test_a_beam_of_full_width_is_exact_for_real_models_and_ensembles(kind: dict[str, Any]) -> None:
    size, most = (4, 3) if "copy_table" in kind else (3, 4)
    models: list[Table | Seq2Seq] = [random_model(size, seed, **kind) for seed in range(2)]
    for members in (models[:1], models):
        results = search(
            members, SOURCES, beam=size ** (most + 1), n_best=9, length_penalty=0.4, max_length=most
        )
        for source, found in zip(SOURCES, results, strict=True):
            assert_same(found, exhaustive(next_of(members, source), size, most, 0.4)[:9])


@settings(max_examples=60)
@given(
    sources=sources_strategy,
    seed=st.integers(0, 1000),
    size=st.integers(2, 5),
    beam=st.integers(2, 7),
    data=st.data(),
    alpha=st.sampled_from([0.0, 0.7, 2.0]),
    most=st.integers(1, 7),
    ensemble=st.integers(1, 2),
)
def test_a_narrow_beam_is_the_one_by_definition(
    sources: list[Source],
    seed: int,
    size: int,
    beam: int,
    data: st.DataObject,
    alpha: float,
    most: int,
    ensemble: int,
) -> None:
    n_best = data.draw(st.integers(1, beam))
    models = [random_table(size, seed + i) for i in range(ensemble)]
    results = search(
        models, sources, beam=beam, n_best=n_best, length_penalty=alpha, max_length=most
    )
    for source, found in zip(sources, results, strict=True):
        assert_same(found, plain_beam(next_of(models, source), beam, n_best, alpha, most))


@settings(max_examples=60)
@given(
    sources=sources_strategy,
    seed=st.integers(0, 1000),
    beam=st.integers(2, 6),
    most=st.integers(1, 5),
    banned=st.sampled_from([None, 1, 3]),
)
def test_equally_likely_hypotheses_come_in_a_fixed_order(
    sources: list[Source], seed: int, beam: int, most: int, banned: int | None
) -> None:
    table = random_table(4, seed, ties=True)  # logits of -1 and 1 alone
    results = search([table], sources, beam=beam, n_best=beam, max_length=most, never=banned)
    for source, found in zip(sources, results, strict=True):
        log_p = next_of([table], source)
        assert_same(found, plain_beam(log_p, beam, beam, 0.0, most, banned))


# ------------------------------------------------------------------ greedy


@settings(max_examples=40)
@given(
    sources=sources_strategy,
    seed=st.integers(0, 1000),
    most=st.integers(1, 6),
    alpha=st.sampled_from([0.0, 1.5]),
)
def test_a_beam_of_one_takes_the_likeliest_symbol_every_time(
    sources: list[Source], seed: int, most: int, alpha: float
) -> None:
    table = random_table(4, seed)
    found = search([table], sources, max_length=most, length_penalty=alpha)
    for source, hypotheses in zip(sources, found, strict=True):
        ids: Prefix = ()
        total = 0.0
        while END not in ids:
            row = next_of([table], source)(ids)
            if len(ids) == most and max(row) != row[END]:
                break
            total += max(row)
            ids = (*ids, row.index(max(row)))
        ended = ids[-1] == END
        expected = (ids[:-1] if ended else ids, total / penalty(len(ids), alpha), ended)
        assert_same(hypotheses, [expected])
        assert hypotheses[0].log_probability == pytest.approx(total, rel=1e-12)


def test_the_first_of_equally_likely_symbols_is_taken() -> None:
    equal = Table(4, lambda source, prefix: [0.0, 1.0, 1.0, 1.0] if not prefix else [1.0] * 4)
    assert search([equal], SOURCES[:2], max_length=9)[1][0].ids == (1,)

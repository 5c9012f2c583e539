"""Thousands of sources, in order, whatever stands beside them."""

from collections.abc import Iterator
from itertools import count, islice
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from charseq.errors import CharseqError
from charseq.inference import convert as converting
from charseq.inference.convert import convert
from charseq.inference.search import beam_search, sample
from charseq.inference.trace import Hypothesis
from charseq.lstm.drawing import Drawing
from charseq.models.seq2seq import Seq2Seq
from charseq.text.pair_vocab import PairVocab
from charseq.text.symbols import Symbols

VOCAB = PairVocab(Symbols("", tuple("abcd")), Symbols("", tuple("wxyz")))


def make_model(size: int = 6, scale: float = 1.0, **options: Any) -> Seq2Seq:
    """Far from indifferent: its weights are several times the usual."""
    generator = torch.Generator().manual_seed(0)
    model = Seq2Seq(VOCAB.source_size, VOCAB.target_size, size, **options).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return model


def random_sources(size: int, seed: int = 1, longest: int = 7) -> list[str]:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, longest + 1, size)
    return ["".join(generator.choice(list("abcd"), n)) for n in lengths]


def distinct(hypotheses: list[Hypothesis]) -> list[Hypothesis]:
    """The different ones, the likeliest first."""
    best: list[Hypothesis] = []
    for one in sorted(hypotheses, key=lambda one: one.log_probability, reverse=True):
        if all(one.ids != better.ids for better in best):
            best.append(one)
    return best


def encoded(sources: list[str]) -> list[NDArray[np.int64]]:
    return [VOCAB.encode_source(source) for source in sources]


@settings(max_examples=12)
@given(
    size=st.integers(0, 40),
    batch_size=st.integers(1, 12),
    window=st.integers(1, 20),
    beam=st.integers(1, 3),
    draws=st.booleans(),
)
def test_every_source_gets_what_it_gets_alone_and_in_order(
    size: int, batch_size: int, window: int, beam: int, draws: bool
) -> None:
    model = make_model().double()
    sources = encoded(random_sources(size))
    options: dict[str, Any] = (
        {"drawing": Drawing(0.7), "seed": 5} if draws else {"length_penalty": 0.5}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(converting, "WINDOW", window)
        patch.setattr(converting, "TYPICAL_LENGTH", 2)  # several batches of fewer sources
        results = list(
            convert(
                [model],
                iter(sources),
                beam=beam,
                n_best=beam,
                max_target_length=6,
                batch_size=batch_size,
                with_attention=True,
                **options,
            )
        )
    assert [number for number, _ in results] == list(range(size))
    for (number, found), source in zip(results, sources, strict=True):
        alone = source[:, None], np.array([len(source)])
        given = options | {"max_length": 6, "min_length": 1}
        if draws:
            drawn = sample([model], *alone, numbers=[number], draws=beam, **given)
            expected = distinct(drawn[0])
        else:
            expected = beam_search([model], *alone, beam=beam, n_best=beam, **given)[0]
        assert [one.ids for one in found] == [one.ids for one in expected]
        assert [one.score for one in found] == pytest.approx([one.score for one in expected])
        assert all(one.attention is not None for one in found)
        assert all(
            one.attention.shape[1] == len(source) for one in found if one.attention is not None
        )


def test_draws_are_given_once_each_and_the_likeliest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their scores are."""
    drawn = [((2, 3), -3.0), ((4,), -1.5), ((2, 3), -3.0), ((5,), -1.5), ((), -2.0), ((4,), -1.5)]
    hypotheses = [Hypothesis(ids, log_p, -log_p, True) for ids, log_p in drawn]
    monkeypatch.setattr(converting, "sample", lambda *_, draws, **__: [hypotheses[:draws]])
    ((_, found),) = convert([make_model()], encoded(["a"]), drawing=Drawing(), n_best=6)
    assert [one.ids for one in found] == [(4,), (5,), (), (2, 3)]
    ((_, found),) = convert([make_model()], encoded(["a"]), drawing=Drawing())
    assert [one.ids for one in found] == [(2, 3)]


def test_a_draw_that_ended_is_not_given_up_for_one_cut_off_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They have the same symbols; only the first has its end, and a probability with it."""
    cut, ended = Hypothesis((2, 3), -1.0, -1.0, False), Hypothesis((2, 3), -1.5, -1.5, True)
    for drawn in ([ended, cut], [cut, ended]):
        monkeypatch.setattr(converting, "sample", lambda *_, drawn=drawn, **__: [drawn])
        ((_, found),) = convert([make_model()], encoded(["a"]), drawing=Drawing(), n_best=2)
        assert found == [ended]


def test_what_is_drawn_follows_from_the_number_of_the_source() -> None:
    options: dict[str, Any] = {"drawing": Drawing(), "max_target_length": 20}
    model = make_model()
    together = dict(convert([model], encoded(["ab"] * 4), **options))
    assert len({found[0].ids for found in together.values()}) > 1
    for number, found in together.items():
        ((same, alone),) = convert([model], encoded(["ab"]), first=number, **options)
        assert (same, alone[0].ids) == (number, found[0].ids)


def test_results_come_while_sources_are_still_read() -> None:
    read = 0

    def endless() -> Iterator[NDArray[np.int64]]:
        nonlocal read
        for number in count():
            read += 1
            yield VOCAB.encode_source("abcd"[: 1 + number % 4])

    results = convert([make_model()], endless(), batch_size=8, max_target_length=4)
    assert next(results)[0] == 0
    assert read == 8
    assert [number for number, _ in islice(results, 200)] == list(range(1, 201))
    assert read <= 8 * (1 + 2 + 4 + 8 + 16)


def test_the_first_result_does_not_wait_for_the_batches_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches = 0

    def counted(*args: Any, **options: Any) -> list[list[Hypothesis]]:
        nonlocal batches
        batches += 1
        return beam_search(*args, **options)

    monkeypatch.setattr(converting, "beam_search", counted)
    monkeypatch.setattr(converting, "TYPICAL_LENGTH", 2)
    sources = encoded(["a", "abcdabcd", "abcdab", "abcd", "b", "c"])
    results = convert([make_model()], sources, batch_size=6, max_target_length=4)
    assert next(results)[0] == 0
    assert batches == 1
    assert len(list(results)) == 5
    assert batches > 2


def test_batches_hold_sources_of_similar_length_and_no_more_than_fit() -> None:
    lengths = np.array([3, 900, 1, 3, 2, 64, 64, 5, 65, 1])
    batches = converting.batches(lengths, 4)
    assert sorted(place for batch in batches for place in batch) == list(range(10))
    taken = [[int(lengths[place]) for place in batch] for batch in batches]
    assert taken == [[900], [65, 64, 64], [5, 3, 3, 2], [1, 1]]


def test_wrong_sizes_are_refused() -> None:
    for wrong in ({"batch_size": 0}, {"max_target_length": 0}):
        with pytest.raises(CharseqError, match="must be at least 1"):
            next(convert([make_model()], encoded(["a"]), **wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize("attention", ["none", "general", "additive"])
def test_in_single_precision_the_texts_are_the_same_in_any_batch(attention: str) -> None:
    model = make_model(16, 2.0, attention=attention)
    sources = encoded(random_sources(50, longest=12))
    for beam in (1, 4):
        alone, some, many = (
            [
                [VOCAB.decode_target(one.ids) for one in found]
                for _, found in convert(
                    [model],
                    sources,
                    beam=beam,
                    n_best=beam,
                    batch_size=size,
                    max_target_length=20,
                )
            ]
            for size in (1, 7, 256)
        )
        assert alone == some == many
        assert len({text for texts in alone for text in texts}) > 15, "the outputs are to differ"


@pytest.mark.parametrize(
    "options", [{"beam": 1}, {"beam": 3, "n_best": 3}, {"drawing": Drawing(9.0)}]
)
def test_no_target_is_longer_than_the_greatest_length_ended_or_not(options: dict[str, Any]) -> None:
    endless = make_model()
    with torch.no_grad():
        endless.decoder.output.bias[0] = -1000.0
    for most in (1, 2, 5):
        for model in (make_model(), endless):
            found = [
                one
                for _, hypotheses in convert(
                    [model], encoded(random_sources(60)), max_target_length=most, **options
                )
                for one in hypotheses
            ]
            ended = {len(one.ids) for one in found if one.finished}
            assert {len(one.ids) for one in found if not one.finished} == {most}
            assert max(ended, default=0) <= most
            if "drawing" in options and model is not endless:
                assert most in ended, "END is a step of its own"

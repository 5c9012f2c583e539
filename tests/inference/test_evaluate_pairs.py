"""Thousands of sources in order, and every rate by its definition."""

import math
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
from charseq.inference import pairs as pairing
from charseq.inference.pairs import Group, Judged, breakdown, convert, evaluate_pairs, judge
from charseq.inference.search import Hypothesis, beam_search, sample
from charseq.models.seq2seq import Seq2Seq
from charseq.text.pairs import Example, Pairs
from charseq.text.ragged import Ragged
from charseq.text.symbols import PairVocab, Symbols

VOCAB = PairVocab(
    source=Symbols("", tuple("abcd")),
    target=Symbols(" ", ("k", "o", "t͡ʃ", "u")),
    features=("PL", "SG"),
)


def make_model(seed: int = 0, scale: float = 1.0, **options: Any) -> Seq2Seq:
    """In float64, and far from indifferent: its weights are several times the usual."""
    generator = torch.Generator().manual_seed(seed)
    model = Seq2Seq(VOCAB.source_size, VOCAB.target_size, 6, **options).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator).double() * scale)
    return model


def make_pairs(examples: list[Example]) -> Pairs:
    rows = [(i, one, target) for i, one in enumerate(examples) for target in one.targets]
    return Pairs(
        examples,
        Ragged.from_rows([VOCAB.encode_source(one.source, one.features) for _, one, _ in rows]),
        Ragged.from_rows([VOCAB.encode_target(target) for _, _, target in rows]),
        np.array([i for i, _, _ in rows], dtype=np.int64),
    )


def random_sources(size: int, seed: int = 1, longest: int = 7) -> list[str]:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, longest + 1, size)
    return ["".join(generator.choice(list("abcd"), n)) for n in lengths]


def encoded(sources: list[str]) -> list[NDArray[np.int64]]:
    return [VOCAB.encode_source(source) for source in sources]


def greedy(models: list[Seq2Seq], source: str, features: tuple[str, ...] = ()) -> Hypothesis:
    ids = VOCAB.encode_source(source, features)
    return beam_search(models, ids[:, None], np.array([len(ids)]), max_length=13)[0][0]


# ------------------------------------------------------------------ many sources


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
    model = make_model()
    sources = encoded(random_sources(size))
    options: dict[str, Any] = {"temperature": 0.7, "seed": 5} if draws else {"length_penalty": 0.5}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairing, "WINDOW", window)
        patch.setattr(pairing, "TYPICAL_LENGTH", 2)  # several batches of fewer sources
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
        if draws:
            expected = sample(
                [model], *alone, numbers=[number], draws=beam, max_length=7, **options
            )[0]
        else:
            expected = beam_search(
                [model], *alone, beam=beam, n_best=beam, max_length=7, **options
            )[0]
        assert [one.ids for one in found] == [one.ids for one in expected]
        assert [one.score for one in found] == pytest.approx([one.score for one in expected])
        assert all(one.attention is not None for one in found)
        assert all(
            one.attention.shape[1] == len(source) for one in found if one.attention is not None
        )


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

    monkeypatch.setattr(pairing, "beam_search", counted)
    monkeypatch.setattr(pairing, "TYPICAL_LENGTH", 2)
    sources = encoded(["a", "abcdabcd", "abcdab", "abcd", "b", "c"])
    results = convert([make_model()], sources, batch_size=6, max_target_length=4)
    assert next(results)[0] == 0
    assert batches == 1
    assert len(list(results)) == 5
    assert batches > 2


def test_batches_hold_sources_of_similar_length_and_no_more_than_fit() -> None:
    lengths = np.array([3, 900, 1, 3, 2, 64, 64, 5, 65, 1])
    batches = pairing._batches(lengths, 4)
    assert sorted(place for batch in batches for place in batch) == list(range(10))
    taken = [[int(lengths[place]) for place in batch] for batch in batches]
    assert taken == [[900], [65, 64, 64], [5, 3, 3, 2], [1, 1]]


def test_wrong_sizes_are_refused() -> None:
    for wrong in ({"batch_size": 0}, {"max_target_length": 0}):
        with pytest.raises(CharseqError, match="must be at least 1"):
            next(convert([make_model()], encoded(["a"]), **wrong))  # type: ignore[arg-type]


# ------------------------------------------------------------------ scores


def naive_nats(models: list[Seq2Seq], example: Example) -> list[float]:
    """-log p of every target symbol of every answer, a step at a time, one pair at a time."""
    nats = []
    ids = torch.from_numpy(VOCAB.encode_source(example.source, example.features))[:, None]
    for target in example.targets:
        states = [model.begin(ids, torch.tensor([len(ids)])) for model in models]
        for symbol in [*VOCAB.encode_target(target), 0]:
            total = 0.0
            for i, model in enumerate(models):
                logits, state = model.step(*states[i])
                total += float(logits[0].softmax(0)[int(symbol)])
                states[i] = torch.tensor([int(symbol)]), state
            nats.append(-math.log(total / len(models)))
    return nats


def judged_by_hand() -> tuple[Pairs, list[Seq2Seq], list[tuple[int, int, bool]]]:
    """Pairs whose answers are made from what the models write; edits and reference lengths."""
    models = [make_model(0), make_model(1)]
    examples, expected = [], []
    sources = dict.fromkeys(s for s in random_sources(36, seed=4))
    for i, source in enumerate(sources):
        features = ((), ("PL",), ("PL", "SG"))[i % 3]
        symbols = VOCAB.target_symbols(greedy(models, source, features).ids)
        match i % 4 if symbols else 3:
            case 0:  # right, beside an answer that is far away
                targets = [["t͡ʃ"] * 20, symbols]
                expected.append((0, len(symbols), True))
            case 1:  # a symbol that training lacked replaces the last one
                targets = [[*symbols[:-1], "ŋ"]]
                expected.append((1, len(symbols), False))
            case 2:  # two are missing at the end; another answer is as close, and longer
                targets = [[*symbols, "ŋ", "ŋ"], [*symbols[:-1], "ŋ", "ŋ", "k"][: len(symbols) + 1]]
                expected.append((2, len(symbols) + 1, False))
            case _:
                targets = [[*symbols, "ŋ"]]
                expected.append((1, len(symbols) + 1, False))
        answers = tuple(VOCAB.target.join(target) for target in targets)
        examples.append(Example(source, features, answers))
    assert {len(one.targets) for one in examples} == {1, 2}
    return make_pairs(examples), models, expected


def test_all_rates_are_those_by_definition() -> None:
    pairs, models, expected = judged_by_hand()
    seen: list[tuple[int, int]] = []
    score, judged = evaluate_pairs(
        models,
        VOCAB,
        pairs,
        max_target_length=12,
        batch_size=7,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert [(one.edits, len(one.reference), one.right) for one in judged] == expected
    assert [one.example for one in judged] == pairs.examples
    assert [one.source_length for one in judged] == [len(one.source) for one in pairs.examples]
    count = len(pairs.examples)
    assert score.pairs == count
    assert score.accuracy == pytest.approx(sum(right for _, _, right in expected) / count)
    assert score.ser == pytest.approx(
        sum(edits for edits, _, _ in expected) / sum(length for _, length, _ in expected)
    )
    with torch.no_grad():
        nats = [nat for one in pairs.examples for nat in naive_nats(models, one)]
    assert score.symbols == len(nats)
    assert score.nats == pytest.approx(np.mean(nats), rel=1e-9)
    assert seen == [(done, count) for done in range(1, count + 1)]
    for one in judged:
        hypothesis = greedy(models, one.example.source, one.example.features)
        assert one.symbols == tuple(VOCAB.target_symbols(hypothesis.ids))
        assert one.prediction == " ".join(one.symbols)
        assert one.log_probability == pytest.approx(hypothesis.log_probability)


def test_a_wider_beam_judges_its_best_output() -> None:
    pairs, models, _ = judged_by_hand()
    _, judged = evaluate_pairs(
        models, VOCAB, pairs, beam=4, length_penalty=1.0, max_target_length=12
    )
    for one in judged[:10]:
        ids = VOCAB.encode_source(one.example.source, one.example.features)[:, None]
        best = beam_search(
            models, ids, np.array([len(ids)]), beam=4, length_penalty=1.0, max_length=13
        )[0][0]
        assert one.symbols == tuple(VOCAB.target_symbols(best.ids))


def test_a_limit_judges_the_same_examples_every_time_and_fewer_of_them() -> None:
    pairs, models, _ = judged_by_hand()
    size = len(pairs.examples)
    few, more = (
        evaluate_pairs(models[:1], VOCAB, pairs, limit=limit, max_target_length=5)
        for limit in (7, 20)
    )
    names = [one.example.source for one in more[1]]
    assert few[0].pairs == 7
    assert more[0].pairs == 20 == len(set(names))
    assert {one.example.source for one in few[1]} < set(names)
    assert names != [one.source for one in pairs.examples[:20]]
    assert names == [one.source for one in pairs.examples if one.source in names]
    with torch.no_grad():
        nats = [nat for one in few[1] for nat in naive_nats(models[:1], one.example)]
    assert few[0].symbols == len(nats)
    assert few[0].nats == pytest.approx(np.mean(nats), rel=1e-9)
    for enough in (None, size, size + 1):
        score, _ = evaluate_pairs(models[:1], VOCAB, pairs, limit=enough, max_target_length=5)
        assert score.pairs == size
    with pytest.raises(CharseqError, match="limit: must be at least 1, not 0"):
        evaluate_pairs(models, VOCAB, pairs, limit=0)


def test_the_rows_of_an_example_need_not_stand_together() -> None:
    examples = [Example("ab", (), ("k o", "u")), Example("cd", (), ("o",))]
    together = make_pairs(examples)
    order = [1, 2, 0]
    apart = Pairs(
        examples,
        Ragged.from_rows([together.source[row] for row in order]),
        Ragged.from_rows([together.target[row] for row in order]),
        together.example_of[order],
    )
    model = [make_model()]
    score, judged = evaluate_pairs(model, VOCAB, apart)
    expected, as_judged = evaluate_pairs(model, VOCAB, together)
    assert judged == as_judged
    assert score.nats == pytest.approx(expected.nats, rel=1e-12)


def test_dropout_is_off_and_the_random_numbers_are_left_alone() -> None:
    pairs, _, _ = judged_by_hand()
    model = make_model(dropout=0.5).train()
    before = torch.get_rng_state()
    score, _ = evaluate_pairs([model], VOCAB, pairs, max_target_length=5)
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)
    expected, _ = evaluate_pairs([make_model()], VOCAB, pairs, max_target_length=5)
    assert score == expected


def test_a_model_that_never_ends_is_cut_off() -> None:
    model = make_model()
    with torch.no_grad():
        model.decoder.output.bias[0] = -1000.0  # END
    pairs = make_pairs([Example("a", (), ("k",)), Example("b", (), ("k", "o u k"))])
    for most, written in ((200, 2 * 3 + 10), (12, 12)):
        score, judged = evaluate_pairs([model], VOCAB, pairs, max_target_length=most)
        assert {len(one.symbols) for one in judged} == {written + 1}  # END would have been the last
        assert score.accuracy == 0.0


def test_a_diverged_model_is_named_as_such_and_no_pairs_are_refused() -> None:
    model = make_model()
    with torch.no_grad():
        model.decoder.output.bias[3] = math.nan
    pairs = make_pairs([Example("a", (), ("k",))])
    with pytest.raises(CharseqError, match="its training diverged"):
        evaluate_pairs([model], VOCAB, pairs)
    with pytest.raises(CharseqError, match="there are no pairs to judge"):
        evaluate_pairs([model], VOCAB, make_pairs([]))


def test_an_answer_counts_by_its_symbols() -> None:
    hypothesis = Hypothesis((4, 3), -1.5, -1.5, True)  # t͡ʃ o
    one = judge(VOCAB, Example("ab", ("PL",), ("k", " t͡ʃ  o")), hypothesis)
    assert one.prediction == "t͡ʃ o"
    assert one.right
    assert (one.edits, one.source_length, one.log_probability) == (0, 2, -1.5)


# ------------------------------------------------------------------ breakdowns


def one(length: int, tags: tuple[str, ...], edits: int, reference: int) -> Judged:
    example = Example("a" * length, tags, ("x",))
    return Judged(example, length, "", (), edits, ("x",) * reference, edits == 0, -1.0)


def test_error_rates_by_length() -> None:
    judged = [one(1, (), 0, 4), one(3, (), 2, 4), one(3, (), 0, 4), one(12, (), 1, 2)]
    assert breakdown(judged, "length") == [
        Group("1", 1, 1.0, 0.0),
        Group("3", 2, 0.5, 0.25),
        Group("12", 1, 0.0, 0.5),
    ]
    judged = [one(13, (), 1, 2), one(2, (), 0, 1), one(1, (), 1, 1), one(14, (), 0, 2)]
    assert breakdown(judged) == [Group("1–2", 2, 0.5, 0.5), Group("13–14", 2, 0.5, 0.25)]
    for longest in (25, 61, 999):
        groups = breakdown([one(n, (), 0, 1) for n in range(1, longest + 1)])
        assert len(groups) <= 12
        assert sum(group.count for group in groups) == longest
    assert breakdown([]) == []


def test_error_rates_by_tag() -> None:
    judged = [
        one(1, ("V", "PL"), 0, 4),
        one(1, ("V",), 2, 4),
        one(1, (), 1, 1),
        one(2, ("N",), 0, 1),
    ]
    assert breakdown(judged, "tag") == [
        Group("V", 2, 0.5, 0.25),
        Group("(none)", 1, 0.0, 1.0),
        Group("N", 1, 1.0, 0.0),
        Group("PL", 1, 1.0, 0.0),
    ]

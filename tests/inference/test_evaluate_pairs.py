"""Every rate by its definition."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from charseq.errors import CharseqError
from charseq.inference.pairs import Group, Judged, breakdown, evaluate_pairs, judge
from charseq.inference.search import beam_search
from charseq.inference.trace import Hypothesis
from charseq.models.seq2seq import Seq2Seq
from charseq.text.pair_vocab import PairVocab
from charseq.text.pairs import Example, Pairs
from charseq.text.ragged import Ragged
from charseq.text.symbols import Symbols

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


def greedy(models: list[Seq2Seq], source: str, features: tuple[str, ...] = ()) -> Hypothesis:
    ids = VOCAB.encode_source(source, features)
    return beam_search(models, ids[:, None], np.array([len(ids)]), max_length=12, min_length=1)[0][
        0
    ]


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
        bounds: dict[str, Any] = {"max_length": 12, "min_length": 1}
        best = beam_search(models, ids, np.array([len(ids)]), beam=4, length_penalty=1.0, **bounds)[
            0
        ][0]
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


def test_a_model_that_never_ends_is_cut_off_where_conversion_is_whatever_the_answers() -> None:
    model = make_model()
    with torch.no_grad():
        model.decoder.output.bias[0] = -1000.0  # END
    pairs = make_pairs([Example("a", (), ("k",)), Example("b", (), ("k", "o u k"))])
    for most in (60, 12):
        score, judged = evaluate_pairs([model], VOCAB, pairs, max_target_length=most)
        assert {len(one.symbols) for one in judged} == {most}
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
    assert breakdown([*judged, one(3, ("V", "PL"), 1, 4)], "bundle") == [
        Group("V;PL", 2, 0.5, 0.125),
        Group("(none)", 1, 0.0, 1.0),
        Group("N", 1, 1.0, 0.0),
        Group("V", 1, 0.0, 0.5),
    ]

"""A score in the units that people compare."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import CharseqError
from charseq.inference.metrics import PairScore, Score, edits

symbols = st.lists(st.sampled_from(["a", "b", "t͡ʃ", "é"]), max_size=7).map(tuple)


def distance(left: Sequence[str], right: Sequence[str]) -> int:
    """The edit distance by its recurrence (Wagner and Fischer 1974)."""
    before = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b)))
        before = row
    return before[-1]


def test_one_nat_is_one_point_four_bits() -> None:
    score = Score(nats=1.5, accuracy=0.5, characters=10)
    assert score.bpc == pytest.approx(2.1640425613)
    assert score.perplexity == pytest.approx(4.4816890703)
    assert score.to_json() == {
        "nats": 1.5,
        "bpc": score.bpc,
        "perplexity": score.perplexity,
        "accuracy": 0.5,
        "characters": 10,
    }


def test_guessing_among_65_symbols_has_perplexity_65() -> None:
    assert Score(math.log(65), 1 / 65, 1000).perplexity == pytest.approx(65)


@pytest.mark.parametrize(("nats", "perplexity"), [(1e6, math.inf), (math.inf, math.inf)])
def test_a_diverged_model_has_an_endless_perplexity(nats: float, perplexity: float) -> None:
    score = Score(nats, 0.0, 10)
    assert score.perplexity == perplexity
    assert score.to_json()["perplexity"] is None  # JSON has no infinity


def test_what_is_not_a_number_is_null_in_json() -> None:
    assert Score(math.nan, 0.0, 10).to_json()["nats"] is None


def test_a_pair_score_says_the_same_in_json() -> None:
    score = PairScore(nats=0.5, symbols=90, accuracy=0.875, ser=0.0625, pairs=8)
    assert score.wer == 0.125
    assert score.perplexity == pytest.approx(1.6487212707)
    assert score.to_json() == {
        "nats": 0.5,
        "perplexity": score.perplexity,
        "accuracy": 0.875,
        "wer": 0.125,
        "ser": 0.0625,
        "symbols": 90,
        "pairs": 8,
    }
    assert PairScore(math.nan, 1, 0.0, 1.0, 1).to_json()["nats"] is None
    assert PairScore(1e9, 1, 0.0, 1.0, 1).to_json()["perplexity"] is None


def test_what_is_monitored_falls_while_the_model_gets_better() -> None:
    worse, better = PairScore(1.0, 9, 0.5, 0.2, 4), PairScore(0.5, 9, 0.75, 0.1, 4)
    for name, value in (("loss", 0.5), ("accuracy", -0.75), ("ser", 0.1)):
        assert better.monitored(name) == (value, better.nats) < worse.monitored(name)
    text = Score(nats=1.5, accuracy=0.25, characters=10)
    assert (text.monitored("loss"), text.monitored("accuracy")) == ((1.5, 1.5), (-0.25, 1.5))
    with pytest.raises(CharseqError, match="a text cannot be measured by 'ser'; take loss or acc"):
        text.monitored("ser")
    with pytest.raises(CharseqError, match="pairs cannot be measured by 'bleu'"):
        better.monitored("bleu")


@given(prediction=symbols, references=st.lists(symbols, min_size=1, max_size=4))
def test_edits_are_those_to_the_closest_answer(
    prediction: tuple[str, ...], references: list[tuple[str, ...]]
) -> None:
    every = [distance(prediction, reference) for reference in references]
    least, closest = edits(prediction, references)
    assert least == min(every) == every[closest]
    same = [i for i, found in enumerate(every) if found == least]
    assert len(references[closest]) == min(len(references[i]) for i in same)
    assert closest == min(i for i in same if len(references[i]) == len(references[closest]))


def test_edits_count_symbols_and_not_characters() -> None:
    assert edits(["t͡ʃ", "a"], [["k", "a"]]) == (1, 0)
    assert edits("kitten", ["sitting", "kit"]) == (3, 1)  # as close, and shorter
    with pytest.raises(CharseqError, match="there is no right answer"):
        edits("a", [])

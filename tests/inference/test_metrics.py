"""A score in the units that people compare."""

import math

import pytest

from charseq.inference.metrics import Score


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

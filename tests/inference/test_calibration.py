"""Confidences against what was right: by hand, by another implementation, and of real models."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_evaluate import make_model, make_text

from charseq.errors import CharseqError
from charseq.inference.calibration import Bin, Confidences, calibration
from charseq.inference.evaluate import evaluate

# Sixtieths fall on the bounds of many bins.
ANSWERS = st.lists(
    st.tuples(st.integers(0, 60).map(lambda n: n / 60) | st.floats(0, 1), st.booleans()),
    min_size=1,
    max_size=60,
)


def test_an_error_computed_by_hand() -> None:
    """Two bins: 0.2, 0.4 (one of two is right) and 0.6, 0.9, 0.9 (two of three are).

    Gaps: 0.5 - 0.3 = 0.2, and 2/3 - 0.8 = -2/15. ECE = 2/5 · 0.2 + 3/5 · 2/15 = 0.16.
    """
    found = calibration([0.9, 0.2, 0.6, 0.4, 0.9], [True, False, False, True, True], bins=2)
    low, high = found.bins
    assert (low.count, high.count) == (2, 3)
    assert [low.confidence, low.accuracy] == pytest.approx([0.3, 0.5])
    assert [high.confidence, high.accuracy] == pytest.approx([0.8, 2 / 3])
    assert found.ece == pytest.approx(0.16)
    assert found.largest_gap == pytest.approx(0.2)
    assert high.gap == pytest.approx(-2 / 15)
    assert [found.count, found.confidence, found.accuracy] == pytest.approx([5, 0.6, 0.6])
    assert found.binning == "2 bins of equal width"


@given(answers=ANSWERS, bins=st.integers(1, 20))
def test_bins_of_equal_width_as_another_implementation_has_them(
    answers: list[tuple[float, bool]], bins: int
) -> None:
    """One answer after the other goes to the first bin that reaches up to it."""
    members: dict[int, list[tuple[float, bool]]] = {}
    for sure, right in answers:
        number = next(m for m in range(1, bins + 1) if sure <= m / bins)
        members.setdefault(number, []).append((sure, right))
    expected = sum(
        abs(sum(right - sure for sure, right in inside)) / len(answers)
        for inside in members.values()
    )
    found = calibration(*zip(*answers, strict=True), bins=bins)
    assert found.ece == pytest.approx(expected, abs=1e-12)
    assert [one.count for one in found.bins] == [len(members[m]) for m in sorted(members)]
    lows = [(m - 1) / bins for m in sorted(members)]
    assert [one.low for one in found.bins] == pytest.approx(lows)


@given(answers=ANSWERS, bins=st.integers(1, 20))
def test_bins_of_equal_mass_hold_every_answer_once_and_equal_ones_together(
    answers: list[tuple[float, bool]], bins: int
) -> None:
    found = calibration(*zip(*answers, strict=True), bins=bins, equal_mass=True)
    assert len(found.bins) <= bins
    assert all(before.high == after.low for before, after in pairwise(found.bins))
    error = 0.0
    for one in found.bins:
        is_first = one is found.bins[0]
        inside = [a for a in answers if one.low < a[0] <= one.high or (is_first and a[0] == 0)]
        assert len(inside) == one.count
        assert one.confidence == pytest.approx(sum(sure for sure, _ in inside) / one.count)
        error += abs(sum(right - sure for sure, right in inside)) / len(answers)
    assert sum(one.count for one in found.bins) == len(answers)
    assert found.ece == pytest.approx(error, abs=1e-12)


def test_bins_of_equal_mass_are_equally_full_where_confidences_differ() -> None:
    sure = np.random.default_rng(0).permutation(np.linspace(0.9, 1.0, 100))
    found = calibration(sure, sure > 0.95, bins=5, equal_mass=True)
    assert [one.count for one in found.bins] == [20] * 5
    assert [one.accuracy for one in found.bins] == [0, 0, 0.5, 1, 1]
    # 11 / 20 is a little more than what it says
    twenty = calibration(sure, sure > 0.95, bins=20, equal_mass=True)
    assert [one.count for one in twenty.bins] == [5] * 20


def test_what_is_calibrated_has_no_error_and_what_boasts_has_one() -> None:
    generator = np.random.default_rng(0)
    sure = generator.random(100_000)
    drawn = generator.random(100_000)
    assert calibration(sure, drawn < sure).ece < 0.01
    boasting = calibration(sure, drawn < sure / 2)
    assert boasting.ece == pytest.approx(0.25, abs=0.01)  # the mean of sure / 2
    assert boasting.confidence > boasting.accuracy


def test_a_bound_belongs_to_the_bin_below_it() -> None:
    found = calibration([0.0, 0.2, 0.2000001, 1.0], [True] * 4, bins=5)
    assert [(one.high, one.count) for one in found.bins] == [(0.2, 2), (0.4, 1), (1.0, 1)]
    assert isinstance(found.bins[0], Bin)


@pytest.mark.parametrize("wrong", [math.nan, -0.1, 1.1])
def test_what_is_no_probability_is_refused(wrong: float) -> None:
    with pytest.raises(CharseqError, match="no number from 0 to 1"):
        calibration([0.5, wrong], [True, False])
    with pytest.raises(CharseqError, match="at least one answer"):
        calibration([], [])


@pytest.mark.parametrize("window", [None, 7])
def test_of_a_text_each_character_counts_with_its_likeliest_symbol(window: int | None) -> None:
    model, ids = make_model(1), make_text(60)
    sure, right = [], []
    state = model.lstm.zero_state(1)
    with torch.no_grad():
        for at, (read, came) in enumerate(pairwise(ids.tolist())):
            if window is not None and at % window == 0:
                state = model.lstm.zero_state(1)
            logits, state = model.step(torch.tensor([read]), state)
            p = np.exp(logits[0].numpy())
            sure.append(p.max() / p.sum())
            right.append(p.argmax() == came)
    seen = Confidences()
    evaluate(model, ids, window=window, observe=seen.add)
    expected = calibration(sure, right)
    found = seen.calibration()
    assert found.count == 59
    assert found.ece == pytest.approx(expected.ece, abs=1e-6)
    assert [one.count for one in found.bins] == [one.count for one in expected.bins]
    assert found.accuracy == np.mean(right)

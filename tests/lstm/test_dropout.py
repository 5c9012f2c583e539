"""Masks of dropout: how many units they drop, what they do to the rest, and to gradients."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charseq.lstm.dropout import drop, dropout


@pytest.mark.parametrize("probability", [0.001, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_as_many_are_dropped_as_asked_and_the_mean_stays(
    probability: float, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    count = 400_000
    found = dropout(torch.ones(400, 1000, dtype=dtype), probability)
    error = math.sqrt(probability * (1 - probability) / count)  # of a binomial share
    assert (found == 0).double().mean().item() == pytest.approx(probability, abs=4 * error)
    assert found.dtype == dtype
    rest = found[found != 0]
    assert rest.min() == rest.max()
    assert rest[0].item() == pytest.approx(1 / (1 - probability), rel=2e-4)


def test_units_that_share_a_draw_are_independent() -> None:
    torch.manual_seed(0)
    kept = (dropout(torch.ones(100_000, 4), 0.5) != 0).double()
    together = torch.corrcoef(kept.t()) - torch.eye(4)
    assert together.abs().max() < 4 / math.sqrt(100_000)


@given(st.lists(st.integers(0, 7), max_size=3), st.floats(0.0, 0.9999999))
def test_any_shape_and_probability_gives_zeros_and_scaled_units(
    shape: list[int], probability: float
) -> None:
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    found = dropout(x, probability)
    assert found.shape == x.shape
    levels = min(round(probability * 65536), 65535)
    scale = 65536 / (65536 - levels)
    kept = found != 0
    assert torch.equal(found[kept], x[kept] * scale)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert torch.equal(gradient, kept.double() * scale)


def test_the_seed_decides() -> None:
    x = torch.ones(50, 50)
    torch.manual_seed(3)
    first, other = dropout(x, 0.3), dropout(x, 0.3)
    torch.manual_seed(3)
    assert torch.equal(dropout(x, 0.3), first)
    assert not torch.equal(first, other)


def test_nothing_is_drawn_where_nothing_is_dropped() -> None:
    x = torch.ones(5, 4, 3)
    before = torch.get_rng_state()
    assert drop(x, 0.5, training=False, locked=False) is x
    assert drop(x, 0.0, training=True, locked=True) is x
    assert torch.equal(torch.get_rng_state(), before)

"""The transformer that the quick recipe is measured against is one, and of the size it says."""

import importlib
import math
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def small_gpt(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("small_gpt")


def test_it_sees_the_past_and_not_the_future(small_gpt: ModuleType) -> None:
    torch.manual_seed(0)
    model = small_gpt.SmallGPT(65)
    ids = torch.randint(65, (2, 64))
    others = ids.clone()
    others[:, 40] = (others[:, 40] + 1) % 65
    before, after = model(ids), model(others)
    assert torch.equal(before[:, :40], after[:, :40])
    assert all((before[:, t] != after[:, t]).any() for t in range(40, 64))


def test_it_has_the_size_of_nanogpt_and_begins_by_guessing(small_gpt: ModuleType) -> None:
    torch.manual_seed(0)
    model = small_gpt.SmallGPT(65)
    # A layer: 12 · 128² weights and two norms. Then symbols, places, and the last norm.
    weights = 4 * (12 * 128**2 + 2 * 128) + (65 + 64 + 1) * 128
    assert sum(weight.numel() for weight in model.parameters()) == weights == 804_096
    loss = model.loss(torch.randint(65, (8, 65))).item()
    assert loss == pytest.approx(math.log(65), abs=0.1)


def test_its_learning_rate_rises_then_falls_to_a_tenth(small_gpt: ModuleType) -> None:
    rates = [small_gpt.learning_rate(step) for step in (0, 99, 100, 1050, 2000)]
    assert rates == pytest.approx([1e-3 / 101, 1e-1 / 101, 1e-3, 5.5e-4, 1e-4])

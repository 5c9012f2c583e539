"""Schedules, averaging and the settings of the process, against their definitions."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from charseq.config.schema.lm import LMTrainConfig
from charseq.training import speed
from charseq.training.optim import (
    Average,
    add_noise,
    learning_rate,
    load_optimizer_tensors,
    make_optimizer,
    optimizer_tensors,
)


def config(**changes: Any) -> LMTrainConfig:
    return LMTrainConfig(**{"learning_rate": 0.1, "warmup_steps": 10, **changes})


def test_warm_up_rises_linearly_and_never_starts_at_zero() -> None:
    rates = [learning_rate(step, config(), 0.0) for step in range(11)]
    assert rates == pytest.approx([0.1 * (step + 1) / 11 for step in range(11)])


@given(step=st.integers(10, 300), lowest=st.floats(0.0, 0.1))
def test_cosine_is_that_of_torch(step: int, lowest: float) -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=190, eta_min=lowest)
    for _ in range(min(step - 10, 190)):
        optimizer.step()
        schedule.step()
    wanted = optimizer.param_groups[0]["lr"]
    found = learning_rate(step, config(final_learning_rate=lowest), (step - 10) / 190)
    assert found == pytest.approx(wanted, abs=1e-12)


def test_step_and_plateau_fall_by_their_factor_to_their_floor() -> None:
    falling = config(schedule="step", decay=0.5, decay_every=20, final_learning_rate=0.02)
    rates = [learning_rate(10 + 20 * k + 19, falling, 0.5) for k in range(4)]
    assert rates == pytest.approx([0.1, 0.05, 0.025, 0.02])
    assert learning_rate(50, config(schedule="plateau"), 0.5, 0.25) == pytest.approx(0.025)
    assert learning_rate(10**6, config(schedule="constant"), 0.9) == 0.1


def test_only_matrices_decay() -> None:
    model = torch.nn.Linear(3, 2)
    torch.nn.init.ones_(model.weight)
    torch.nn.init.ones_(model.bias)
    optimizer = make_optimizer(model, config(weight_decay=0.5))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    torch.testing.assert_close(model.weight.detach(), torch.full((2, 3), 1 - 0.1 * 0.5))
    assert model.bias.tolist() == [1.0, 1.0]


def test_the_average_is_the_weighted_sum_of_the_weights_it_saw() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    average = Average(model, 0.6)
    wanted = model.weight.item()
    for step, value in enumerate([1.0, 5.0, -2.0, 4.0, 9.0, 3.0]):
        with torch.no_grad():
            model.weight.fill_(value)
        average.update(model, step)
        decay = min(0.6, (1 + step) / (10 + step))
        wanted = decay * wanted + (1 - decay) * value
    with average.applied(model):
        assert model.weight.item() == pytest.approx(wanted)
    assert model.weight.item() == 3.0


def test_the_optimizer_goes_on_from_its_tensors() -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimizer = make_optimizer(model, config())

    def update(model: torch.nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()

    for seed in range(3):
        update(model, optimizer, seed)
    copied = copy.deepcopy(model)
    other = make_optimizer(copied, config())
    tensors = optimizer_tensors(optimizer, model)
    load_optimizer_tensors(other, copied, {name: t.clone() for name, t in tensors.items()})
    for seed in range(3, 6):
        update(model, optimizer, seed)
        update(copied, other, seed)
    assert torch.equal(model.weight, copied.weight)
    assert torch.equal(model.bias, copied.bias)


def test_fast_products_are_not_taken_where_they_round_to_bfloat16(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = torch.Tensor.__matmul__

    def rounded(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        if a.dtype == torch.float64:
            return real(a, b)
        return real(a.bfloat16(), b.bfloat16()).float()

    monkeypatch.setattr(torch.Tensor, "__matmul__", rounded)
    assert not speed.has_fast_products(torch.device("cpu"))
    assert speed.has_fast_products(torch.device("cpu"), tolerance=1.0)


def test_malloc_is_left_alone_where_there_is_no_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    class Musl:
        def __getattr__(self, name: str) -> Any:
            raise AttributeError(name)

    monkeypatch.setattr("ctypes.CDLL", lambda _: Musl())
    assert speed.keep_freed_memory() is False
    monkeypatch.setattr("sys.platform", "darwin")
    assert speed.keep_freed_memory() is False


@pytest.mark.parametrize(("variance", "step"), [(0.3, 0), (1.0, 99)])
def test_gradient_noise_has_the_variance_of_the_paper(variance: float, step: int) -> None:
    torch.manual_seed(0)
    weight, unused = nn.Parameter(torch.zeros(400, 400)), nn.Parameter(torch.zeros(2))
    weight.grad = torch.full_like(weight, 5.0)
    add_noise([weight, unused], variance, step)
    found = weight.grad - 5.0
    assert found.mean().item() == pytest.approx(0.0, abs=0.01)
    assert found.var().item() == pytest.approx(variance / (1 + step) ** 0.55, rel=0.02)
    assert unused.grad is None

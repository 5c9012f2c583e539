"""Rung 6 of the ladder: a check that cannot fail is none, so every mistake must be caught."""

import dataclasses
import importlib.util
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from charseq.errors import CharseqError
from charseq.lstm import gradcheck, manual
from charseq.lstm.gradcheck import Report, check, check_fault
from charseq.lstm.layer import BACKENDS

OUTPUT = {"weight_out", "bias_out"}


def names(report: Report, *, passed: bool) -> set[str]:
    return {
        row.parameter + (f".{row.gate}" if row.gate else "")
        for row in report.rows
        if row.passed is passed
    }


def gates(*parameters: str, of: str = "ifgo") -> set[str]:
    return {f"{parameter}.{gate}" for parameter in parameters for gate in of}


EVERY = [pytest.param(name, marks=[pytest.mark.kernel] * (name == "fused")) for name in BACKENDS]


@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_every_gradient_of_every_backend_is_right(backend: str, dtype: torch.dtype) -> None:
    report = check(backend, dtype)
    assert report.passed
    assert names(report, passed=True) == OUTPUT | {"h_0", "c_0", "x"} | gates(
        *(f"{kind}_l{layer}" for kind in ("weight_ih", "weight_hh", "bias_ih") for layer in (0, 1))
    )
    for row in report.rows:
        assert row.size > 0.1
        assert row.error < (1e-14 if dtype == torch.float64 else 1e-6)
        if dtype == torch.float64:
            assert row.numeric_error is not None
            assert 1e-13 < row.numeric_error < 1e-7  # never exact: it is not autograd again


@pytest.mark.parametrize("size", [(1, 1, 2), (3, 1, 1), (5, 2, 9)])
def test_a_right_backend_passes_at_any_size(size: tuple[int, int, int]) -> None:
    hidden_size, batch_size, seq_len = size
    for seed in range(3):
        for run in (check, partial(check_fault, None)):
            assert run(
                hidden_size=hidden_size, batch_size=batch_size, seq_len=seq_len, seed=seed
            ).passed


# What theory says. The output layer stands behind everything but the softmax. A wrong c_{-1}
# reaches only the forget gate, a wrong h_{-1} every row of W_hh, and both h_0.
STILL_RIGHT = {
    "softmax-derivative": set(),
    "tanh-of-raw-cell": OUTPUT,
    "ones-initial-state": OUTPUT | {"c_0"} | gates("weight_ih_l0", "bias_ih_l0", of="igo"),
    "no-hidden-gradient": OUTPUT,
}


@pytest.mark.parametrize("fault", list(STILL_RIGHT))
@pytest.mark.parametrize("seed", [0, 1])
def test_every_fault_is_caught_and_located(fault: str, seed: int) -> None:
    report = check_fault(fault, seed=seed)
    assert not report.passed
    assert report.fault is not None
    assert report.fault.name == fault
    assert names(report, passed=True) == STILL_RIGHT[fault]
    assert len(report.rows) == 16
    for row in report.wrong:  # each of the two witnesses sees it, and by no small margin
        assert row.error > 1e-3
        assert row.numeric_error is not None
        assert row.numeric_error > 1e-3


def test_without_a_fault_the_listing_passes_the_very_same_check() -> None:
    report = check_fault(None)
    assert report.passed
    assert report.fault is None
    assert len(report.rows) == 16


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Put manual.py with one line changed in the place of the manual backend."""

    def replace(old: str, new: str) -> None:
        source = Path(manual.__file__).read_text(encoding="utf-8")
        assert source.count(old) == 1, f"manual.py has no single {old!r} any more"
        file = tmp_path / "broken.py"
        file.write_text(source.replace(old, new), encoding="utf-8")
        spec = importlib.util.spec_from_file_location("broken", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setitem(BACKENDS, "manual", module.lstm)

    return replace


WEIGHTS = "weight_ih_l0", "weight_hh_l0", "bias_ih_l0"


@pytest.mark.parametrize(
    ("old", "new", "gate"),
    [
        ("for_i.mul_(g)", "for_i.mul_(i)", "i"),
        ("for_f.mul_(c[:-1])", "for_f.mul_(c[1:])", "f"),
        ("torch.addcmul(i, i * g, g", "torch.addcmul(i, g, g", "g"),
        ("for_o.mul_(tanh_c)", "for_o.mul_(c[1:])", "o"),
    ],
)
def test_a_broken_gate_is_named(
    old: str, new: str, gate: str, broken: Callable[[str, str], None]
) -> None:
    """At one time step alone the gate itself; over several its error flows back into all."""
    broken(old, new)
    one_step = check("manual", num_layers=1, seq_len=1)
    assert names(one_step, passed=False) == gates(*WEIGHTS, of=gate) | {"h_0", "x"}
    assert names(check("manual", num_layers=1), passed=True) == OUTPUT


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("h[:-1].view(-1, hidden)", "h[1:].view(-1, hidden)", gates("weight_hh_l0")),
        ("d_z_flat.sum(0)", "d_z_flat.mean(0)", gates("bias_ih_l0")),
        ("d_x = (d_z @ weight_ih)", "d_x = (-d_z @ weight_ih)", {"x"}),
        ("x.reshape(-1), weight_ih", "x.flip(0).reshape(-1), weight_ih", gates("weight_ih_l0")),
        ("x.reshape(d_z", "x.flip(0).reshape(d_z", gates("weight_ih_l0")),
    ],
)
def test_a_broken_sum_over_time_is_named(
    old: str, new: str, wrong: set[str], broken: Callable[[str, str], None]
) -> None:
    broken(old, new)
    assert names(check("manual", num_layers=1), passed=False) == wrong


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("d_c.mul_(f_t)", "pass"),
        ("d_c.addcmul_(d_h, h_to_c_t)", "pass"),
        ("d_h.add_(d_output_t)", "d_h.copy_(d_output_t)"),
    ],
)
def test_a_break_in_the_way_back_through_time_is_caught(
    old: str, new: str, broken: Callable[[str, str], None]
) -> None:
    broken(old, new)
    assert names(check("manual", num_layers=1), passed=True) == OUTPUT


def test_gradients_that_are_less_precise_than_float32_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def half(x: Tensor, state: Any, weight_ih: Tensor, *weights: Tensor) -> Any:
        return manual.lstm(x, state, weight_ih.bfloat16().to(weight_ih.dtype), *weights)

    monkeypatch.setitem(BACKENDS, "manual", half)
    assert not check("manual", torch.float32).passed


def test_a_gradient_of_zero_fails_though_it_equals_its_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw = gradcheck.draw_problem

    def deaf(*sizes: int) -> Any:
        """Nothing behind the LSTM listens to it."""
        problem = draw(*sizes)
        problem.leaves["weight_out"].zero_()
        zeros = (torch.zeros_like(problem.d_final[0]), torch.zeros_like(problem.d_final[1]))
        return dataclasses.replace(problem, d_final=zeros)

    monkeypatch.setattr(gradcheck, "draw_problem", deaf)
    report = check()
    assert names(report, passed=True) == OUTPUT
    rows = json.loads(json.dumps(report.to_json(), allow_nan=False))["rows"]
    assert rows[0]["size"] == 0
    assert rows[0]["error"] is None  # 0 / 0


def test_a_gradient_that_is_not_a_number_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def nan(*arguments: Any) -> Any:
        return tuple(part * float("nan") for part in manual.lstm(*arguments))

    monkeypatch.setitem(BACKENDS, "manual", nan)
    assert len(check("manual").wrong) == len(check("reference").rows)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: check("cudnn"),
            "no backend 'cudnn'; choose one of fused, manual, reference, torch",
        ),
        (lambda: check(dtype=torch.float16), "float64 or float32, not torch.float16"),
        (lambda: check(seq_len=0), "seq_len must be at least 1, not 0"),
        (lambda: check_fault("typo"), "no fault 'typo'; choose one of softmax-derivative, tanh"),
        (lambda: check_fault(None, hidden_size=-1), "hidden_size must be at least 1"),
    ],
)
def test_a_wrong_argument_is_named(call: Callable[[], Report], words: str) -> None:
    with pytest.raises(CharseqError, match=words):
        call()

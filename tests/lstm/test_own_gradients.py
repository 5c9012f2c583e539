"""The gradients of somebody else's LSTM: what is wrong is found, and named where it is known."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from charseq.errors import CharseqError
from charseq.lstm.faults import FAULTS
from charseq.lstm.gradient_files import read_gradients, write_problem
from charseq.lstm.own_gradients import check_own, own_problem, right_answer

SIZES = {"hidden_size": 5, "vocab_size": 7, "seq_len": 4, "batch_size": 3, "seed": 1}


def of_torch(path: Path, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """The gradients of nn.LSTM and nn.Linear for a problem in a file."""
    given = read_gradients(path)
    vocab_size, hidden_size = given["weight_out"].shape
    lstm: Any = nn.LSTM(vocab_size, hidden_size, dtype=dtype)
    output: Any = nn.Linear(hidden_size, vocab_size, dtype=dtype)
    parameters: dict[str, Any] = {
        "weight_ih_l0": lstm.weight_ih_l0,
        "weight_hh_l0": lstm.weight_hh_l0,
        "bias_ih_l0": lstm.bias_ih_l0,
        "weight_out": output.weight,
        "bias_out": output.bias,
    }
    with torch.no_grad():
        lstm.bias_hh_l0.zero_()
        for name, parameter in parameters.items():
            parameter.copy_(given[name])
    h, _ = lstm(one_hot(given["ids"], vocab_size).to(dtype))
    logits = output(h).flatten(0, 1)
    loss = cross_entropy(logits, given["targets"].flatten(), reduction="sum")
    gradients = torch.autograd.grad(loss, list(parameters.values()))
    return {**dict(zip(parameters, gradients, strict=True)), "loss": loss.detach()}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_right_gradients_pass(suffix: str, dtype: torch.dtype, tmp_path: Path) -> None:
    path = tmp_path / f"problem.{suffix}"
    write_problem(path, own_problem(**SIZES))
    mine = of_torch(path, dtype)
    if suffix == "npz":
        arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in mine.items()}
        np.savez(path, **arrays)
    else:
        save_file({name: tensor.contiguous() for name, tensor in mine.items()}, path)
    report, hint = check_own(read_gradients(path), own_problem(**SIZES))
    assert (report.passed, hint, len(report.rows)) == (True, "", 3 * 4 + 2)
    assert max(row.error for row in report.rows) > 0.0
    assert report.dtype == str(dtype).removeprefix("torch.")


@pytest.mark.parametrize(
    "names", [some for count in (1, 2) for some in combinations(FAULTS, count)], ids=" and ".join
)
def test_a_known_mistake_is_named(names: tuple[str, ...]) -> None:
    problem = own_problem(**SIZES)
    report, hint = check_own(right_answer(problem, frozenset(names))[1], problem)
    assert not report.passed
    assert {line.partition(":")[0] for line in hint.splitlines()} == set(names)
    assert all(FAULTS[name].mend in hint for name in names)


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (1 / 12, "1/12 of what is right: a mean over all characters"),
        (1 / 4, "1/4 of what is right: a mean over the steps"),
        (1 / 3, "1/3 of what is right: a mean over the sequences"),
        (-1.0, "all are -1 times what is right"),
    ],
)
def test_another_scale_is_named(factor: float, said: str) -> None:
    problem = own_problem(**SIZES)
    _, right = right_answer(problem)
    report, hint = check_own({name: factor * one for name, one in right.items()}, problem)
    assert not report.passed
    assert said in hint


def test_another_order_of_the_gates_is_named() -> None:
    problem = own_problem(**SIZES)
    _, mine = right_answer(problem)
    del mine["d_z"], mine["h_0"], mine["c_0"]
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        i, f, g, o = mine[name].chunk(4)
        mine[name] = torch.cat([o, i, f, g])
    _, hint = check_own(mine, problem)
    assert hint == "the gates stand in the order o, i, f, g; write them as i, f, g, o"


def test_gates_read_in_another_order_are_named() -> None:
    """Whoever does so has another forward pass, and the right gradients of that."""
    problem = own_problem(**SIZES)
    leaves = dict(problem.leaves)
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"):
        i, f, o, g = problem.leaves[name].chunk(4)  # the reader's names for the four
        leaves[name] = torch.cat([i, f, g, o])
    loss, mine = right_answer(replace(problem, leaves=leaves))
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        i, f, g, o = mine[name].chunk(4)
        mine[name] = torch.cat([i, f, o, g])
    mine["d_z"] = torch.cat([mine["d_z"].chunk(4, -1)[k] for k in (0, 1, 3, 2)], -1)
    bare = {name: one for name, one in mine.items() if name not in ("h_0", "c_0", "d_z")}
    for told in (mine, mine | {"loss": loss}, bare, bare | {"loss": loss}):
        _, hint = check_own(told, problem)
        assert hint == "the gates are read in the order i, f, o, g; they stand as i, f, g, o"


def test_another_loss_is_told_beside_right_gradients_and_first_beside_wrong_ones() -> None:
    problem = own_problem(**SIZES)
    loss, mine = right_answer(problem)
    report, hint = check_own({**mine, "loss": loss / 3}, problem)
    assert report.passed
    assert hint.startswith("the gradients are right, but not the loss: it is ")
    assert hint.endswith("1/3 of what is right: a mean over the sequences, not the sum")
    _, hint = check_own({**mine, "loss": loss * torch.nan}, problem)
    assert hint.startswith("the gradients are right, but not the loss: it is nan")
    mine["weight_hh_l0"] = mine["weight_hh_l0"] + 1
    report, hint = check_own({**mine, "loss": 1.01 * loss}, problem)
    assert not report.passed
    assert hint.startswith("the forward pass is another one: its loss is ")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("weight_out", "bias_out is right, so p - y is: look at the h_t"),
        ("bias_out", "weight_out is right, so p - y is: look at its sum"),
        ("weight_ih_l0", "so d_z is: look at the x_t"),
        ("weight_hh_l0", "so d_z is: look at the h_{t-1}"),
        ("bias_ih_l0", "so d_z is: look at its sum over steps and sequences in 1'"),
        ("h_0", "look at what is left at the first step in 1'"),
        ("c_0", "look at what is left at the first step in 3'"),
    ],
)
def test_a_gradient_that_is_wrong_alone_says_where(name: str, said: str) -> None:
    problem = own_problem(**SIZES)
    _, right = right_answer(problem)
    _, hint = check_own({**right, name: right[name] + 1}, problem)
    assert said in hint
    _, hint = check_own({**right, name: right[name] / 3}, problem)
    assert hint == f"{name}: 1/3 of what is right: a mean over the sequences, not the sum"
    _, hint = check_own({**right, name: torch.zeros_like(right[name])}, problem)
    assert hint == f"{name}: zero everywhere: never filled, or nothing added"


def test_where_it_begins_shows_in_the_last_step_that_is_wrong() -> None:
    problem = own_problem(**SIZES)
    _, right = right_answer(problem)

    def hint_with(**changes: Tensor) -> str:
        return check_own({**right, **changes}, problem)[1]

    output = {name: right[name] + 1 for name in ("bias_out", "weight_out")}
    assert "look at 6' (p - y) and 5' first; or the forward pass is" in hint_with(**output)
    loss, _ = right_answer(problem)
    assert hint_with(**output, loss=loss).endswith("look at 6' (p - y) and 5' first")
    products = {name: right[name] + 1 for name in ("weight_ih_l0", "bias_ih_l0")}
    assert hint_with(**products).startswith("d_z is right: look at")
    later = {name: right[name] + 1 for name in ("weight_out", "weight_ih_l0")}
    assert hint_with(**later).startswith("weight_out is wrong, bias_out is not: look at h_t")
    last = len(right["d_z"]) - 1
    for gates, at, said in (
        ("o", 2, "Look at d_o in 4' and at the slope of o in 2'"),
        ("f", 2, "The gate i is right, so d_c is: look at d_f in 3', and at the slope of f in 2'"),
        ("ig", 2, "The gate f is right, so d_c is: look at d_i and d_g in 3', and at the slope of"),
        ("ifo", last, "The gate g is right, so d_c is: look at d_i and d_f in 3', d_o in 4', and"),
        (
            "ifg",
            2,
            "The gate o is right, so d_h is, and the steps behind are: look at the d_c that",
        ),
        ("ifg", last, "The gate o is right, so d_h is: look at what 4' adds to d_c, and at 3'"),
        ("ifgo", 2, "The steps behind are right: look at the d_h that 1' of the step after it"),
        ("ifgo", last, "Look at the d_h that comes from 5', and at 4' and 2'"),
    ):
        wrong = right["d_z"].clone()
        for gate in gates:
            k = "ifgo".index(gate)
            wrong[at, :, 5 * k : 5 * k + 5] *= 1.5
        wrong[:at] += 1.0
        hint = hint_with(d_z=wrong, bias_ih_l0=wrong.sum((0, 1)))
        assert f"is right after step {at}, and wrong there: gates {', '.join(gates)}. " in hint
        assert said in hint
    i, f, g, o = right["d_z"][2].chunk(4, -1)
    joined = right["d_z"].clone()
    joined[2] = torch.cat([i, f, o, g], -1)
    joined[:2] += 1.0
    hint = hint_with(d_z=joined, bias_ih_l0=joined.sum((0, 1)))
    assert hint.endswith("They stand in the order i, f, o, g: look at how 2' joins the four")
    first = right["d_z"].clone()
    first[0, :, :5] *= 1.5  # of f nothing comes back from a state of zeros, rightly
    hint = hint_with(d_z=first, bias_ih_l0=first.sum((0, 1)))
    assert "is right after step 0, and wrong there: gates i. " in hint
    bare = {name: one for name, one in right.items() if name != "d_z"}
    _, hint = check_own({**bare, **products}, problem)
    assert "Write d_z (T, B, 4H) into the file too" in hint


def test_a_gradient_that_is_not_a_number_is_wrong() -> None:
    problem = own_problem(**SIZES)
    _, mine = right_answer(problem)
    report, hint = check_own({**mine, "bias_out": mine["bias_out"] * torch.nan}, problem)
    assert [row.parameter for row in report.wrong] == ["bias_out"]
    assert hint == "bias_out: not finite: look for a division, an exp or a log first"


def test_the_second_bias_of_torch_has_the_gradient_of_the_first() -> None:
    problem = own_problem(**SIZES)
    _, mine = right_answer(problem)
    bare = {name: one for name, one in mine.items() if name != "bias_hh_l0"}
    assert check_own(bare, problem)[0].passed
    assert check_own(mine, problem)[0].passed
    report, _ = check_own({**mine, "bias_hh_l0": 2 * mine["bias_hh_l0"]}, problem)
    assert {row.parameter for row in report.wrong} == {"bias_hh_l0"}
    both = {name: mine[name] + 1 for name in ("bias_ih_l0", "bias_hh_l0")}
    bare = {name: one for name, one in {**mine, **both}.items() if name != "d_z"}
    assert "so d_z is: look at its sum over steps and sequences" in check_own(bare, problem)[1]


def test_where_nothing_comes_back_zero_is_right() -> None:
    problem = own_problem(hidden_size=2, vocab_size=3, seq_len=1, batch_size=1)
    report, _ = check_own(right_answer(problem)[1], problem)
    assert [row.error for row in report.rows] == [0.0] * len(report.rows)


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    problem = own_problem(**SIZES)
    _, mine = right_answer(problem)
    for changes, message in (
        ({"weight_ih": mine["weight_ih_l0"]}, "no weight 'weight_ih' .did you mean weight_ih_l0"),
        ({"weight_out": mine["weight_out"].t()}, r"weight_out is \(5, 7\), not \(7, 5\); turn it"),
        ({"bias_out": mine["bias_out"][:3]}, r"\(3,\), not \(7,\); the sizes and the seed"),
        ({"bias_out": mine["bias_out"].long()}, "bias_out is torch.int64, not float64 or float32"),
    ):
        with pytest.raises(CharseqError, match=message):
            check_own({**mine, **changes}, problem)
    with pytest.raises(CharseqError, match=r"the gradient of bias_out \(7,\) is missing"):
        check_own({name: one for name, one in mine.items() if name != "bias_out"}, problem)
    for name, data, message in (
        ("a.txt", b"", "name a file that ends in .npz or .safetensors"),
        ("none.npz", None, "there is no such file"),
        ("b.npz", b"PK nothing", "is no .npz file, as numpy.savez writes"),
        ("c.npz", b"", "is no .npz file"),
        ("d.safetensors", b"nothing", "cannot be read"),
    ):
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(CharseqError, match=message):
            read_gradients(tmp_path / name)
    with pytest.raises(CharseqError, match="cannot be written: No such file"):
        write_problem(tmp_path / "no" / "p.npz", problem)

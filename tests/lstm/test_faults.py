"""The listing done right is right, and each of its mistakes is the one its name says."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from charseq.lstm.faults import FAULTS, loss_and_gradients

Leaves = dict[str, Tensor]
VOCAB = 5


def draw(
    steps: int, batch: int, hidden: int
) -> tuple[Leaves, Tensor, Tensor, tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(steps + 10 * batch + 100 * hidden)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    leaves = {
        "weight_ih_l0": normal(4 * hidden, VOCAB),
        "weight_hh_l0": normal(4 * hidden, hidden),
        "bias_ih_l0": normal(4 * hidden),
        "weight_out": normal(VOCAB, hidden),
        "bias_out": normal(VOCAB),
        "h_0": normal(1, batch, hidden),
        "c_0": normal(1, batch, hidden),
    }
    text = torch.randint(VOCAB, (steps + 1, batch), generator=generator)
    return leaves, text[:-1], text[1:], (normal(1, batch, hidden), normal(1, batch, hidden))


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 3), st.integers(1, 4))
def test_without_a_fault_every_gradient_is_that_of_nn_lstm(
    steps: int, batch: int, hidden: int
) -> None:
    leaves, inputs, targets, d_final = draw(steps, batch, hidden)
    loss, found = loss_and_gradients(leaves, inputs, targets, d_final)

    for leaf in leaves.values():
        leaf.requires_grad_()
    lstm = torch.nn.LSTM(VOCAB, hidden, dtype=torch.float64)
    weights = {name: leaf for name, leaf in leaves.items() if name.endswith("_l0")}
    output, final = torch.func.functional_call(
        lstm,
        weights | {"bias_hh_l0": torch.zeros(4 * hidden, dtype=torch.float64)},
        (one_hot(inputs, VOCAB).double(), (leaves["h_0"], leaves["c_0"])),
    )
    logits = output @ leaves["weight_out"].t() + leaves["bias_out"]
    wanted_loss = cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")
    whole = wanted_loss + sum((d * part).sum() for d, part in zip(d_final, final, strict=True))
    wanted = torch.autograd.grad(whole, list(leaves.values()))

    torch.testing.assert_close(loss, wanted_loss.detach(), rtol=1e-13, atol=1e-13)
    d_z = found.pop("d_z")
    torch.testing.assert_close(d_z.sum((0, 1)), found["bias_ih_l0"])
    assert list(found) == list(leaves)
    for (name, gradient), exact in zip(found.items(), wanted, strict=True):
        torch.testing.assert_close(gradient, exact, rtol=1e-11, atol=1e-13, msg=name)


class RawTanh(torch.autograd.Function):
    """tanh whose derivative is taken of the argument, as if that were the result already."""

    @staticmethod
    def forward(ctx: Any, c: Tensor) -> Tensor:
        ctx.save_for_backward(c)
        return c.tanh()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (c,) = ctx.saved_tensors
        derivative: Tensor = 1 - c * c
        return grads[0] * derivative


class WeighedCrossEntropy(torch.autograd.Function):
    """Cross-entropy whose gradient is multiplied by p (1 - p) once more."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        ctx.save_for_backward(logits.softmax(-1), one_hot(targets, VOCAB))
        return cross_entropy(logits, targets, reduction="sum")

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        p, y = ctx.saved_tensors
        return grads[0] * (p - y) * p * (1 - p), None


def by_autograd(fault: str, leaves: Leaves, inputs: Tensor, targets: Tensor) -> list[Tensor]:
    """The network written with autograd, and the fault put into the network itself.

    The gradients of the leaves, and last that of the z of all steps.
    """
    for leaf in leaves.values():
        leaf.requires_grad_()
    tanh: Callable[[Tensor], Tensor] = torch.tanh
    if fault == "tanh-of-raw-cell":
        tanh = RawTanh.apply
    h, c = leaves["h_0"][0], leaves["c_0"][0]
    logits, of_steps = [], []
    for x in inputs:
        seen = h.detach() if fault == "no-hidden-gradient" else h
        z = leaves["weight_ih_l0"].t()[x] + seen @ leaves["weight_hh_l0"].t() + leaves["bias_ih_l0"]
        of_steps.append(z)
        i, f, g, o = z.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * tanh(c)
        logits.append(h @ leaves["weight_out"].t() + leaves["bias_out"])
    entropy: Callable[[Tensor, Tensor], Tensor] = partial(cross_entropy, reduction="sum")
    if fault == "softmax-derivative":
        entropy = WeighedCrossEntropy.apply
    loss = entropy(torch.cat(logits), targets.flatten())
    wanted = [*leaves.values(), *of_steps]
    gradients = torch.autograd.grad(loss, wanted, materialize_grads=True)
    return [*gradients[: len(leaves)], torch.stack(gradients[len(leaves) :])]


@pytest.mark.parametrize("fault", ["softmax-derivative", "tanh-of-raw-cell", "no-hidden-gradient"])
def test_a_fault_is_the_one_its_name_says(fault: str) -> None:
    leaves, inputs, targets, _ = draw(5, 2, 4)
    _, found = loss_and_gradients(leaves, inputs, targets, faults={fault})
    wanted = by_autograd(fault, leaves, inputs, targets)
    for (name, gradient), exact in zip(found.items(), wanted, strict=True):
        torch.testing.assert_close(gradient, exact, rtol=1e-11, atol=1e-13, msg=name)


def test_ones_are_the_right_initial_state_where_the_forward_pass_began_with_them() -> None:
    leaves, inputs, targets, d_final = draw(5, 2, 4)
    ones = {name: torch.ones_like(leaves[name]) for name in ("h_0", "c_0")}
    fault = {"ones-initial-state"}
    _, right = loss_and_gradients(leaves | ones, inputs, targets, d_final)
    _, same = loss_and_gradients(leaves | ones, inputs, targets, d_final, fault)
    for name, gradient in right.items():
        assert torch.equal(same[name], gradient), name

    zeros = {name: torch.zeros_like(leaves[name]) for name in ("h_0", "c_0")}
    _, right = loss_and_gradients(leaves | zeros, inputs, targets, d_final)
    _, wrong = loss_and_gradients(leaves | zeros, inputs, targets, d_final, fault)
    # A row of W_hh is multiplied by h; a 1 too many in every column is the same error in each.
    error = wrong["weight_hh_l0"] - right["weight_hh_l0"]
    assert error.abs().min() > 0
    torch.testing.assert_close(error[:, 1:], error[:, :1].expand(-1, 3), rtol=1e-9, atol=1e-12)


def test_every_fault_is_told_in_words() -> None:
    assert list(FAULTS) == [
        "softmax-derivative",
        "tanh-of-raw-cell",
        "ones-initial-state",
        "no-hidden-gradient",
    ]
    for name, fault in FAULTS.items():
        assert fault.name == name
        for sentence in (fault.listing, fault.right, fault.mend):
            assert sentence.endswith(".")
            assert len(sentence) < 100

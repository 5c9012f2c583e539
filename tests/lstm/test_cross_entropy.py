"""The compiled output layer with its cross-entropy, by each of its builds, against torch's."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from one_layer import BUILDS, build_for
from torch import Tensor, nn

from charseq.errors import CharseqError
from charseq.lstm.cross_entropy import linear_cross_entropy

pytestmark = pytest.mark.kernel
Results = tuple[Tensor, ...]  # the loss; the gradients of x, weight and bias


def draw(
    rows: int, inputs: int, symbols: int, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Outputs of an LSTM lie in ±1; weights, bias and targets, in float64."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(rows, inputs, generator=generator, dtype=torch.float64) * 2 - 1
    weight = torch.randn(symbols, inputs, generator=generator, dtype=torch.float64)
    bias = torch.randn(symbols, generator=generator, dtype=torch.float64)
    return x, weight, bias, torch.randint(symbols, (rows,), generator=generator)


def of_torch(x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    logits = nn.functional.linear(x, weight, bias)
    return nn.functional.cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing)


def results(
    run: Callable[..., Tensor], *tensors: Tensor, smoothing: float = 0.0, upstream: float = 1.0
) -> Results:
    *leaves, targets = tensors
    leaves = [leaf.detach().requires_grad_() for leaf in leaves]
    loss = run(*leaves, targets, smoothing)
    gradients = torch.autograd.grad(loss * upstream, leaves)
    return loss.detach(), *gradients


sizes = st.tuples(
    st.sampled_from([1, 2, 3, 7, 50]),  # rows
    st.sampled_from([1, 2, 7, 16, 33, 100]),  # inputs
    st.sampled_from([1, 2, 5, 16, 17, 64, 65, 130]),  # symbols
)


@pytest.mark.parametrize("instructions", BUILDS)
@given(
    size=sizes,
    smoothing=st.sampled_from([0.0, 0.1]),
    upstream=st.sampled_from([1.0, -0.3]),
    seed=st.integers(0, 99),
)
@example(size=(1100, 140, 65), smoothing=0.1, upstream=0.5, seed=0)  # sums are continued
@settings(max_examples=40)
def test_loss_and_every_gradient_in_float64_are_right(
    instructions: str, size: tuple[int, int, int], smoothing: float, upstream: float, seed: int
) -> None:
    tensors = draw(*size, seed=seed)
    options: dict[str, Any] = {"smoothing": smoothing, "upstream": upstream}
    with build_for(instructions):
        found = results(linear_cross_entropy, *tensors, **options)
    for name, ours, wanted in zip(
        ("loss", "d_x", "d_weight", "d_bias"),
        found,
        results(of_torch, *tensors, **options),
        strict=True,
    ):
        torch.testing.assert_close(ours, wanted, rtol=1e-10, atol=1e-11, msg=name)


def test_a_blind_guess_costs_ln_v() -> None:
    x, weight, bias, targets = draw(5, 7, 65)
    loss = linear_cross_entropy(x * 0, weight, bias * 0, targets)
    assert loss.item() == pytest.approx(5 * math.log(65), rel=1e-14)


def errors(run: Callable[..., Tensor], smoothing: float) -> list[float]:
    """Of float32, against float64: the root mean square over five problems."""
    found = []
    for seed in range(5):
        tensors = draw(700, 100, 65, seed)
        small = [part.float() if part.is_floating_point() else part for part in tensors]
        exact = results(
            of_torch, *(part.double() for part in small[:3]), tensors[3], smoothing=smoothing
        )
        mine = results(run, *small, smoothing=smoothing)
        found.append(
            [((a.double() - b).norm() / b.norm()).item() for a, b in zip(mine, exact, strict=True)]
        )
    return torch.tensor(found).square().mean(0).sqrt().tolist()


@pytest.mark.parametrize("instructions", BUILDS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_float32_is_at_most_twice_as_far_from_the_truth_as_torch(
    instructions: str, smoothing: float
) -> None:
    with build_for(instructions):
        ours = errors(linear_cross_entropy, smoothing)
    loss, *gradients = errors(of_torch, smoothing)
    # torch sums float32 losses; here the sum is in float64, so a loss may be exact
    assert ours[0] <= 2 * loss
    for mine, torchs in zip(ours[1:], gradients, strict=True):
        assert 0 < mine <= 2 * torchs


@pytest.mark.kernel("avx512_bf16")
def test_bfloat16_is_as_far_from_the_truth_as_rounded_factors_are() -> None:
    class Rounded(torch.autograd.Function):
        """a @ b.T of the nearest bfloat16 numbers, so in the backward pass; sums in float32."""

        @staticmethod
        def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
            ctx.save_for_backward(a, b)
            return a.bfloat16().float() @ b.bfloat16().float().t()

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
            a, b, d = (part.bfloat16().float() for part in (*ctx.saved_tensors, *grads))
            return d @ b, d.t() @ a

    def rounded(x: Tensor, w: Tensor, bias: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        product: Callable[[Tensor, Tensor], Tensor] = Rounded.apply
        return nn.functional.cross_entropy(
            product(x, w) + bias, targets, reduction="sum", label_smoothing=smoothing
        )

    ours = errors(partial(linear_cross_entropy, bfloat16=True), 0.1)
    for mine, wanted in zip(ours[1:], errors(rounded, 0.1)[1:], strict=True):
        assert 0.9 < mine / wanted < 1.1
    assert 0 < ours[0] < 1e-3


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("rows", [1, 2, 130])
def test_every_bit_is_the_same_on_any_number_of_threads(
    rows: int, threads: Callable[[int], None]
) -> None:
    x, weight, bias, targets = draw(rows, 35, 67)
    tensors = (x.float(), weight.float(), bias.float(), targets)
    alone = results(linear_cross_entropy, *tensors, smoothing=0.1)
    for count in (1, 2, 3):
        threads(count)
        for found, wanted in zip(
            results(linear_cross_entropy, *tensors, smoothing=0.1), alone, strict=True
        ):
            assert torch.equal(found, wanted)


def test_the_order_in_memory_does_not_matter() -> None:
    x, weight, bias, targets = draw(6, 5, 9)
    wanted = results(linear_cross_entropy, x, weight, bias, targets)
    apart = torch.stack([bias, bias * torch.nan], dim=1)[:, 0]
    turned = (x.t().contiguous().t(), weight.t().contiguous().t(), apart)
    targets = torch.stack([targets, targets], dim=1)[:, 1]
    for found, right in zip(results(linear_cross_entropy, *turned, targets), wanted, strict=True):
        assert torch.equal(found, right)


@pytest.mark.parametrize("only", [0, 1, 2])
def test_a_gradient_is_the_same_when_it_is_the_only_one_wanted(only: int) -> None:
    x, weight, bias, targets = tensors = draw(6, 5, 9)
    wanted = results(linear_cross_entropy, *tensors)[1 + only]
    tensors[only].requires_grad_()
    loss = linear_cross_entropy(x, weight, bias, targets)
    (found,) = torch.autograd.grad(loss, [tensors[only]])
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("instructions", BUILDS)
def test_logits_far_apart_overflow_nothing(instructions: str) -> None:
    """A sure model that is right costs nothing, one that is wrong what its logits are apart."""
    x = torch.tensor([[1.0], [1.0]])
    weight, bias = torch.tensor([[3e4], [-3e4], [0.0]]), torch.zeros(3)
    with build_for(instructions):
        loss, d_x, *_ = results(linear_cross_entropy, x, weight, bias, torch.tensor([0, 1]))
    assert loss.item() == 6e4
    assert d_x.flatten().tolist() == pytest.approx([0.0, 6e4], abs=1e-30)


@pytest.mark.parametrize("instructions", BUILDS)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_makes_the_loss_so(instructions: str, value: float) -> None:
    """Wherever it stands: in a row, or behind the first vector of symbols."""
    for symbol in (0, 1, 64):
        x, weight, bias, targets = draw(3, 4, 65)
        bias[symbol] = value
        with build_for(instructions):
            loss = linear_cross_entropy(x.float(), weight.float(), bias.float(), targets)
        assert loss.isnan()


def test_weights_that_changed_before_the_backward_pass_are_an_error() -> None:
    x, weight, bias, targets = draw(6, 5, 9)
    weight.requires_grad_()
    loss = linear_cross_entropy(x, weight, bias, targets)
    with torch.no_grad():
        weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.backward(loss)


def test_a_backward_pass_may_be_repeated_but_not_differentiated() -> None:
    x, weight, bias, targets = draw(6, 5, 9)
    x.requires_grad_()
    loss = linear_cross_entropy(x, weight, bias, targets)
    (first,) = torch.autograd.grad(loss, [x], retain_graph=True)
    (again,) = torch.autograd.grad(loss, [x], retain_graph=True)
    assert torch.equal(first, again)
    with pytest.raises(CharseqError, match="first derivative only"):
        torch.autograd.grad(loss, [x], create_graph=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(6, 4)}, r"x is torch.float32 \(6, 4\), not torch.float32 \(6, 5\)"),
        ({"x": torch.zeros(6, 5).double()}, r"x is torch.float64"),
        ({"bias": torch.zeros(8)}, r"bias is torch.float32 \(8,\)"),
        ({"targets": torch.zeros(5, dtype=torch.int64)}, r"targets is torch.int64 \(5,\)"),
        ({"targets": torch.zeros(6)}, "targets is torch.float32"),
        ({"targets": torch.full((6,), 9)}, "out of its range"),
        ({"targets": torch.full((6,), -1)}, "out of its range"),
        ({"weight": torch.zeros(9, 5).half()}, "float32 or float64 on a CPU"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Tensor], message: str) -> None:
    x, weight, bias, targets = draw(6, 5, 9)
    fit: dict[str, Any] = {"x": x.float(), "weight": weight.float(), "bias": bias.float()}
    fit["targets"] = targets
    with pytest.raises(CharseqError, match=message):
        linear_cross_entropy(**(fit | change))

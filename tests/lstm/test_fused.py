"""The compiled LSTM, by each of its builds, against the plain equations one sequence at a time."""

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from one_layer import (
    BUILD_KINDS,
    BUILDS,
    LEAVES,
    Problem,
    Results,
    Run,
    assert_same,
    build_for,
    draw,
    forward,
    relative_errors,
    results,
    truth,
)
from torch import Tensor

from charseq.errors import CharseqError
from charseq.lstm import fused, library
from charseq.lstm.cell import State
from charseq.lstm.layer import either_way

pytestmark = pytest.mark.kernel
BFLOAT16 = pytest.param("bfloat16", marks=pytest.mark.kernel("avx512_bf16"))
KINDS = ["float32", "float64", BFLOAT16]


def as_kind(kind: str, problem: Problem) -> tuple[Run, Problem]:
    """The backend for a kind of arithmetic, and the problem in the numbers that it takes."""
    if kind == "float64":
        return fused.lstm, problem
    return partial(fused.lstm, bfloat16=kind == "bfloat16"), problem.map(Tensor.float)


@st.composite
def problems(draw_from: st.DrawFn) -> Problem:
    """Sizes around those of vectors and tiles: 2 to 16 numbers, 3 or 6 rows."""
    steps = draw_from(st.integers(1, 8), label="T")
    batch = draw_from(st.sampled_from([1, 2, 3, 4, 6, 7, 13]), label="B")
    length = st.integers(1, steps)
    return draw(
        steps,
        batch,
        draw_from(st.sampled_from([1, 2, 7, 8, 16, 33, 100]), label="H"),
        draw_from(st.sampled_from([1, 5, 16, 70]), label="I"),
        ids=draw_from(st.booleans(), label="ids"),
        lengths=draw_from(
            st.none() | st.lists(length, min_size=batch, max_size=batch), label="lengths"
        ),
        reverse=draw_from(st.booleans(), label="reverse"),
        seed=draw_from(st.integers(0, 99), label="seed"),
        zoneout=draw_from(st.sampled_from([0.0, 0.0, 0.3]), label="zoneout"),
        training=draw_from(st.booleans(), label="training"),
    )


# More than 512 rows of T * B, 128 units and 48 rows: where sums are continued
LARGE = [37, 14, 140, 131]
RAGGED = [37, 1, 20, 3, 36, 37, 9, 8, 7, 6, 5, 4, 3, 2]


@pytest.mark.parametrize("instructions", BUILDS)
@given(problem=problems())
@example(problem=draw(*LARGE))
@example(problem=draw(*LARGE, ids=True, lengths=RAGGED, reverse=True))
@example(problem=draw(*LARGE, lengths=RAGGED))
@example(problem=draw(*LARGE, lengths=RAGGED, reverse=True, zoneout=0.5, training=True))
@settings(max_examples=40)
def test_every_result_and_gradient_in_float64_is_right(instructions: str, problem: Problem) -> None:
    with build_for(instructions):
        found = results(fused.lstm, problem)
    wanted = truth(problem)
    assert set(found) == set(wanted)
    for name, value in found.items():
        torch.testing.assert_close(value, wanted[name], rtol=1e-10, atol=1e-11, msg=name)


Size = tuple[int, int, int, int]


@functools.cache
def in_float32(
    size: Size, seed: int, *, scale: float = 1.0, ids: bool = False, reverse: bool = False
) -> tuple[Problem, Results]:
    """A problem in float32 and the truth about it."""
    problem = draw(*size, ids=ids, reverse=reverse, seed=seed)
    problem = problem.map(lambda part: (part * scale).float())
    return problem, truth(problem)


def mean_errors(run: Run, size: Size, **options: Any) -> dict[str, float]:
    """By name: the root mean square of the relative errors of three problems."""
    problems = (in_float32(size, seed, **options) for seed in range(3))
    errors = [relative_errors(results(run, problem), exact) for problem, exact in problems]
    return {
        name: torch.stack([each[name] for each in errors]).square().mean().sqrt().item()
        for name in errors[0]
    }


@pytest.mark.parametrize("instructions", BUILDS)
@pytest.mark.parametrize("size", [(20, 8, 24, 5), (60, 5, 96, 33)])
def test_float32_is_at_most_twice_as_far_from_the_truth_as_the_kernel_of_torch(
    instructions: str, size: Size
) -> None:
    torchs = mean_errors(either_way(library.lstm), size)
    with build_for(instructions):
        ours = mean_errors(fused.lstm, size)
    for name, error in ours.items():
        assert 0 < error <= 2 * torchs[name], name


@pytest.mark.parametrize("instructions", BUILDS)
def test_small_numbers_keep_their_digits(instructions: str) -> None:
    """Near 0 tanh is the number itself: as a difference of numbers near 1 it would be rounding."""
    with build_for(instructions):
        errors = mean_errors(fused.lstm, (20, 8, 24, 5), scale=0.001)
    assert max(errors.values()) < 1e-6, errors


class RoundedProduct(torch.autograd.Function):
    """a @ b.T of the nearest bfloat16 numbers, so in the backward pass; sums in float32."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return a.bfloat16().float() @ b.bfloat16().float().t()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        a, b, d = (part.bfloat16().float() for part in (*ctx.saved_tensors, *grads))
        return d @ b, d.t() @ a


def rounded_lstm(
    x: Tensor,
    state: State,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    lengths: Tensor | None = None,
    update: Tensor | float = 1.0,
    *,
    reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """The equations in plain torch, with such products; of ids nothing is multiplied."""
    product: Callable[[Tensor, Tensor], Tensor] = RoundedProduct.apply
    h, c = state
    outputs = []
    for x_t in x.flip(0) if reverse else x:
        told = product(x_t, weight_ih) if x.is_floating_point() else weight_ih.t()[x_t]
        z_i, z_f, z_g, z_o = (told + bias_ih + product(h, weight_hh)).chunk(4, dim=1)
        c = z_f.sigmoid() * c + z_i.sigmoid() * z_g.tanh()
        h = z_o.sigmoid() * c.tanh()
        outputs.append(h)
    return torch.stack(outputs[::-1] if reverse else outputs), h, c


@pytest.mark.kernel("avx512_bf16")
@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("size", [(20, 8, 24, 7), (3, 1, 1, 1), (45, 13, 131, 33)])
def test_bfloat16_is_as_far_from_the_truth_as_products_of_bfloat16_are(
    size: Size, ids: bool, reverse: bool
) -> None:
    ours = mean_errors(partial(fused.lstm, bfloat16=True), size, ids=ids, reverse=reverse)
    for name, error in mean_errors(rounded_lstm, size, ids=ids, reverse=reverse).items():
        assert 0.9 < ours[name] / error < 1.1, name


# -- rows, threads, runs


def hard_problem(ids: bool = False, reverse: bool = False) -> Problem:
    """No size is a multiple of anything, and no two threads get equal parts."""
    lengths = [9, 1, 4, 9, 7, 2, 8, 3, 5, 6, 9, 1, 9]
    return draw(9, 13, 101, 35, ids=ids, lengths=lengths, reverse=reverse)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_every_bit_is_the_same_on_any_number_of_threads_and_in_every_run(
    kind: str, ids: bool, reverse: bool, threads: Callable[[int], None]
) -> None:
    """Rows never meet, and every gradient of a weight is summed by one thread."""
    run, problem = as_kind(kind, hard_problem(ids, reverse))
    alone = results(run, problem)
    for count in (1, 2, 3):
        threads(count)
        assert_same(results(run, problem), alone)


def test_more_threads_than_there_is_work_for_do_no_harm(threads: Callable[[int], None]) -> None:
    problem = draw(1, 1, 1, 1)
    alone = results(fused.lstm, problem)
    threads(3)
    assert_same(results(fused.lstm, problem), alone)


def test_threads_of_python_may_compute_at_once() -> None:
    """A call of the kernel lets go of the interpreter."""
    problems = [draw(20, 5, 40, 7, seed=seed) for seed in range(8)]
    alone = [results(fused.lstm, problem) for problem in problems]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(partial(results, fused.lstm), problems))
    for found, wanted in zip(together, alone, strict=True):
        assert_same(found, wanted)


@pytest.mark.parametrize(("instructions", "kind"), BUILD_KINDS)
@pytest.mark.parametrize("ids", [False, True])
def test_every_bit_of_a_row_is_the_same_alone_and_in_any_batch(
    kind: str, instructions: str, ids: bool
) -> None:
    run, problem = as_kind(kind, hard_problem(ids))
    assert problem.lengths is not None
    with build_for(instructions):
        together = results(run, problem)
        for row, steps in enumerate(problem.lengths.tolist()):
            alone = results(run, problem.row(row))
            for name in ("output", *([] if ids else ["d_x"])):
                assert torch.equal(together[name][:steps, row], alone[name][:, 0]), name
                assert (together[name][steps:, row] == 0).all(), name
            for name in ("h_n", "c_n", "d_h_0", "d_c_0"):
                assert torch.equal(together[name][row], alone[name][0]), name


@pytest.mark.parametrize(("instructions", "kind"), BUILD_KINDS)
@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_without_gradients_the_results_are_the_same_to_the_bit(
    kind: str, instructions: str, ids: bool, reverse: bool
) -> None:
    run, problem = as_kind(kind, hard_problem(ids, reverse))
    with build_for(instructions):
        wanted = results(run, problem)
        # nothing that asks for a gradient, then no gradient wanted
        for found in (forward(run, problem), without_gradient(run, problem)):
            assert not any(part.requires_grad for part in found)
            for name, value in zip(("output", "h_n", "c_n"), found, strict=True):
                assert torch.equal(value, wanted[name]), name


def without_gradient(run: Run, problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    with torch.no_grad():
        return forward(run, problem.map(lambda part: part.clone().requires_grad_()))


# -- tensors as callers have them


def turned_around(part: Tensor) -> Tensor:
    """The same numbers, the first dimension innermost in memory."""
    order = [*range(1, part.dim()), 0]
    back = [part.dim() - 1, *range(part.dim() - 1)]
    return part.permute(order).contiguous().permute(back)


def in_a_larger_one(part: Tensor) -> Tensor:
    """The same numbers, every other of a tensor that is NaN in between."""
    wide = torch.full((*part.shape, 2), float("nan"), dtype=part.dtype)
    wide[..., 1] = part
    return wide[..., 1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", [turned_around, in_a_larger_one])
@pytest.mark.parametrize("hidden", [16, 33])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_order_in_memory_does_not_matter(
    kind: str, change: Callable[[Tensor], Tensor], hidden: int, reverse: bool
) -> None:
    run, problem = as_kind(kind, draw(5, 4, hidden, 6, lengths=[5, 2, 4, 1], reverse=reverse))
    changed = problem.map(change)
    assert not changed.x.is_contiguous()
    wanted = results(run, problem)
    assert_same(results(run, changed), wanted)
    # ids and lengths too; a gradient of which one number is repeated, as sum() gives it
    ids = torch.randint(6, (5, 4))
    ones = tuple(torch.ones_like(grad) for grad in problem.grads)
    plain = results(run, problem.replace(x=ids, grads=ones))
    expanded = tuple(torch.ones((), dtype=grad.dtype).expand_as(grad) for grad in ones)
    assert problem.lengths is not None
    lengths = torch.stack([problem.lengths] * 2, dim=1)[:, 1]
    assert not lengths.is_contiguous()
    again = changed.replace(x=turned_around(ids), grads=expanded, lengths=lengths)
    assert_same(results(run, again), plain)


def test_lengths_may_be_of_any_integer_type() -> None:
    problem = draw(5, 4, 7, 6, lengths=[5, 2, 4, 1])
    assert problem.lengths is not None
    wanted = results(fused.lstm, problem)
    for dtype in (torch.int32, torch.uint8):
        narrow = problem.replace(lengths=problem.lengths.to(dtype))
        assert_same(results(fused.lstm, narrow), wanted)


@pytest.mark.parametrize("only", LEAVES)
@pytest.mark.parametrize("reverse", [False, True])
def test_a_gradient_is_the_same_when_it_is_the_only_one_wanted(only: str, reverse: bool) -> None:
    problem = draw(5, 4, 7, 6, lengths=[5, 2, 4, 1], reverse=reverse)
    wanted = results(fused.lstm, problem)[f"d_{only}"]
    leaf = getattr(problem, only).requires_grad_()
    found = forward(fused.lstm, problem)
    (gradient,) = torch.autograd.grad(found, [leaf], problem.grads)
    assert torch.equal(gradient, wanted)


@pytest.mark.parametrize("only", [0, 1, 2])
def test_a_result_that_nobody_reads_has_a_gradient_of_zero(only: int) -> None:
    problem = draw(5, 4, 7, 6, lengths=[5, 2, 4, 1])
    zeros = [torch.zeros_like(grad) for grad in problem.grads]
    zeros[only] = problem.grads[only]
    wanted = results(fused.lstm, problem.replace(grads=tuple(zeros)))
    leaves = {name: leaf.clone().requires_grad_() for name, leaf in problem.leaves().items()}
    found = forward(fused.lstm, problem.replace(**leaves))[only]
    gradients = torch.autograd.grad(found, list(leaves.values()), problem.grads[only])
    for name, gradient in zip(leaves, gradients, strict=True):
        assert torch.equal(gradient, wanted[f"d_{name}"]), name


# -- autograd


def kept_graph(problem: Problem) -> tuple[Callable[[], Results], dict[str, Tensor]]:
    """What takes the gradients, as often as one likes, and the tensors that they are of."""
    leaves = {name: leaf.clone().requires_grad_() for name, leaf in problem.leaves().items()}
    found = forward(fused.lstm, problem.replace(**leaves))

    def gradients() -> Results:
        values = torch.autograd.grad(found, list(leaves.values()), problem.grads, retain_graph=True)
        return dict(zip(leaves, values, strict=True))

    return gradients, leaves | {"output": found[0]}


def test_a_second_backward_pass_gives_the_same() -> None:
    gradients, _ = kept_graph(hard_problem())
    assert_same(gradients(), gradients())


@pytest.mark.parametrize("changed", ["x", "h_0", "c_0", "weight_ih", "weight_hh", "output"])
def test_what_has_changed_since_the_forward_pass_is_an_error(changed: str) -> None:
    """Never a wrong gradient."""
    gradients, tensors = kept_graph(draw(5, 4, 33, 6))
    gradients()
    with torch.no_grad():
        tensors[changed].add_(1.0)
    with pytest.raises(RuntimeError, match=r"modified (by an )?inplace"):
        gradients()


def test_the_bias_may_change_as_the_backward_pass_does_not_read_it() -> None:
    gradients, tensors = kept_graph(draw(5, 4, 7, 6))
    wanted = gradients()
    with torch.no_grad():
        tensors["bias_ih"].add_(1.0)
    assert_same(gradients(), wanted)


def test_a_second_derivative_is_refused_in_words() -> None:
    problem = draw(5, 4, 7, 6).map(lambda part: part.requires_grad_())
    output, _, _ = forward(fused.lstm, problem)
    with pytest.raises(CharseqError, match="backend='reference'"):
        torch.autograd.grad(output.sum(), problem.weight_hh, create_graph=True)


# -- what is no number, and what is large


def quiet_nan(payload: int) -> Tensor:
    return torch.tensor(0x7FC00000 + payload, dtype=torch.int32).view(torch.float32)


@pytest.mark.parametrize(("instructions", "kind"), BUILD_KINDS)
@pytest.mark.parametrize("leaf", LEAVES)
@pytest.mark.parametrize("payload", [0, 1])
def test_what_is_not_a_number_is_seen_where_it_can_be_and_nowhere_else(
    kind: str, instructions: str, leaf: str, payload: int
) -> None:
    """In every result and gradient at least where it is in the truth; in no other sequence."""
    run, problem = as_kind(kind, draw(5, 4, 7, 6))
    with build_for(instructions):
        clean = results(run, problem)
        spoiled = getattr(problem, leaf).clone()
        spoiled[(2, 1, 3) if leaf == "x" else (1, 3)[-spoiled.dim() :]] = quiet_nan(payload)
        broken = problem.replace(**{leaf: spoiled})
        found, wanted = results(run, broken), truth(broken)
    for name in ("output", "h_n", "c_n"):
        assert torch.equal(found[name].isnan(), wanted[name].isnan()), name
        assert found[name].isnan().any(), name
    for name, value in wanted.items():
        assert found[name].isnan()[value.isnan()].all(), name
    if leaf in ("x", "h_0", "c_0"):
        others = torch.tensor([0, 2, 3])
        for name in ("output", "d_x"):
            assert torch.equal(found[name][:, others], clean[name][:, others]), name
        for name in ("h_n", "c_n", "d_h_0", "d_c_0"):
            assert torch.equal(found[name][others], clean[name][others]), name


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("instructions", BUILDS)
@pytest.mark.parametrize("size", [1e4, 1e30, float("inf")])
def test_large_inputs_saturate_as_they_should(kind: str, instructions: str, size: float) -> None:
    """Every gate is driven as far as it goes, to one side or the other."""
    run, problem = as_kind(kind, draw(5, 4, 33, 1))
    weight = problem.weight_ih + problem.weight_ih.sign()
    problem = problem.replace(x=problem.x.sign() * size, weight_ih=weight)
    with build_for(instructions):
        found = results(run, problem)
    wanted = truth(problem)
    rtol, atol = (1e-5, 1e-6) if kind == "float32" else (1e-10, 1e-12)
    for name, value in wanted.items():
        if size != float("inf") or name in ("output", "h_n", "c_n"):  # else inf * 0
            assert value.isfinite().all()
            found_value = found[name].double()
            torch.testing.assert_close(found_value, value, rtol=rtol, atol=atol, msg=name)

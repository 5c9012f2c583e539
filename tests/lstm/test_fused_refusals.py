"""What the compiled LSTM refuses, in words: it sees addresses, and would read what is there."""

from typing import Any

import pytest
import torch
from one_layer import (
    BUILDS,
    LEAVES,
    build_for,
    draw,
    forward,
)
from torch import Tensor

from charseq.errors import CharseqError
from charseq.lstm import fused

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("instructions", BUILDS)
@pytest.mark.parametrize(
    "wrong",
    [
        {"lengths": torch.tensor([5, 0, 4])},
        {"lengths": torch.tensor([5, 6, 4])},
        {"lengths": torch.tensor([5, -(2**62), 4])},
        {"lengths": torch.tensor([5, 4])},
        {"x": torch.tensor([[0, 1, 6]] * 5)},
        {"x": torch.tensor([[0, -1, 5]] * 5)},
        {"x": torch.tensor([[0, 2**62, 5]] * 5)},
        {"x": torch.ones(5, 0, dtype=torch.int64)},
        {"x": torch.ones(0, 3, dtype=torch.int64)},
        {"x": torch.ones(5, 3, dtype=torch.int32)},
        {"x": torch.ones(5, 3, dtype=torch.bool)},
    ],
)
def test_ids_and_lengths_out_of_range_are_refused(instructions: str, wrong: dict[str, Any]) -> None:
    with (
        build_for(instructions),
        pytest.raises(CharseqError, match=r"out of its range|lengths is|int64|at least 1"),
    ):
        forward(fused.lstm, draw(5, 3, 7, 6).replace(**wrong))


@pytest.mark.parametrize("leaf", LEAVES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_argument_of_another_type_is_refused(leaf: str, dtype: torch.dtype) -> None:
    """The kernel sees addresses only: it would read numbers of another size, or write them."""
    other = torch.float64 if dtype == torch.float32 else torch.float32
    problem = draw(5, 3, 7, 6).map(lambda part: part.to(dtype))
    wrong = problem.replace(**{leaf: getattr(problem, leaf).to(other)})
    with pytest.raises(CharseqError, match=f"{other}"):
        forward(fused.lstm, wrong)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("x", (5, 3, 5)),
        ("h_0", (1, 7)),
        ("c_0", (3, 8)),
        ("weight_ih", (24, 6)),
        ("weight_hh", (24, 7)),
        ("bias_ih", (7,)),
    ],
)
def test_an_argument_of_another_shape_is_refused(name: str, shape: tuple[int, ...]) -> None:
    wrong = draw(5, 3, 7, 6).replace(**{name: torch.zeros(shape, dtype=torch.float64)})
    with pytest.raises(CharseqError, match=f"{name} is torch.float64"):
        forward(fused.lstm, wrong)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_half_the_size_are_refused(dtype: torch.dtype) -> None:
    problem = draw(5, 3, 7, 6).map(lambda part: part.to(dtype))
    with pytest.raises(CharseqError, match=f"float32 or float64 on a CPU, not {dtype} on cpu"):
        forward(fused.lstm, problem)


def test_weights_elsewhere_are_refused() -> None:
    problem = draw(5, 3, 7, 6).map(lambda part: part.to("meta"))
    with pytest.raises(CharseqError, match=r"on a CPU, not torch\.float64 on meta"):
        forward(fused.lstm, problem)


def test_bfloat16_products_need_float32_weights() -> None:
    with pytest.raises(CharseqError, match="need float32 weights"):
        forward(fused.lstm, draw(5, 3, 7, 6), bfloat16=True)


@pytest.mark.kernel("plain")
def test_bfloat16_products_need_a_processor_that_has_them() -> None:
    with build_for("plain"), pytest.raises(CharseqError, match="processor with AVX512-BF16"):
        forward(fused.lstm, draw(5, 3, 7, 6).map(Tensor.float), bfloat16=True)

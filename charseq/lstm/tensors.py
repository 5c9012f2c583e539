"""The kernel's functions, told of torch's tensors: what ``fused`` and ``cross_entropy`` share.

A *kind* of arithmetic is float32, float64, or bfloat16: float32 numbers, products of bfloat16.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor

from charseq.errors import CharseqError
from charseq.lstm import kernel

DTYPES = (torch.float32, torch.float64)


def kind_of(weight: Tensor, *, bfloat16: bool) -> str:
    """The kind of arithmetic for a weight.

    Raises:
        CharseqError: the kernel has none for it.
    """
    if weight.device.type != "cpu" or weight.dtype not in DTYPES:
        raise CharseqError(
            f"backend fused computes float32 or float64 on a CPU, not {weight.dtype} on"
            f" {weight.device}; choose another backend"
        )
    if not bfloat16:
        return "float64" if weight.dtype == torch.float64 else "float32"
    if weight.dtype != torch.float32 or "bfloat16" not in kernel.load().kinds:
        raise CharseqError(
            "bfloat16 products need float32 weights and a processor with AVX512-BF16"
        )
    return "bfloat16"


def call(
    kind: str, name: str, told: type[ctypes.Structure], *results: object, **fields: Any
) -> None:
    """A pass of ``csrc/lstm.cpp``, which is ``told`` numbers and the addresses of tensors.

    Whoever calls holds the tensors. ``results`` are where other results go.
    """
    addresses = {
        field: value.data_ptr() if isinstance(value, Tensor) else value
        for field, value in fields.items()
    }
    structure = told(threads=threads(), **addresses)
    kernel.load().call(name, kind, ctypes.byref(structure), *results)


def threads() -> int:
    """On how many threads the kernel is to compute: torch's."""
    return torch.get_num_threads() if kernel.load().threaded else 1


def lanes_of(tensor: Tensor) -> int:
    """Numbers in a vector of the kernel."""
    return kernel.load().vector_bytes // tensor.element_size()


def whole(count: int, lanes: int) -> int:
    """``count`` rounded up to whole vectors."""
    return -(-count // lanes) * lanes

"""Two switches of the training process that make every backend faster on a CPU."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from glibc's malloc.h


def keep_freed_memory() -> bool:
    """Let malloc keep the large blocks it frees, instead of giving them back at every step.

    The activations of a sequence are blocks of many megabytes. glibc maps each anew and unmaps it
    afterwards, and the page faults cost up to half of a step. True where it could be set: glibc.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))


def has_fast_products(device: torch.device, tolerance: float = 2e-6) -> bool:
    """Whether oneDNN multiplies float32 matrices here as exactly as float32 is.

    Where it rounds to bfloat16, the error of a product, which is tried against float64, is above
    ``tolerance``. False on a GPU.
    """
    if device.type != "cpu":
        return False
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(256, 256, generator=generator) for _ in range(2))
    exact = a.double() @ b.double()
    with fast_products():
        error = ((a @ b).double() - exact).norm() / exact.norm()
    return bool(error <= tolerance)


@contextmanager
def fast_products() -> Iterator[None]:
    """Inside, oneDNN multiplies float32 matrices: what torch's precision "medium" does on a CPU.

    On some processors it is more than twice as fast, and on some it rounds to bfloat16. Of torch's
    settings, old and new, this one alone is touched: a process may use either kind.
    """
    of_matrices = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = of_matrices.fp32_precision
    of_matrices.fp32_precision = "bf16"
    try:
        yield
    finally:
        of_matrices.fp32_precision = before

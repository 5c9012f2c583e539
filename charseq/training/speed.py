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


@contextmanager
def fast_products(device: torch.device, tolerance: float = 2e-6) -> Iterator[bool]:
    """Inside, oneDNN multiplies float32 matrices on a CPU, where it is exact to float32.

    That is what torch's precision "medium" does on a CPU; on some it is more than twice as fast,
    and on some it rounds to bfloat16. So one product is tried against float64, and the setting is
    taken back when its error is above ``tolerance``. Gives True where it stays; outside, and on a
    GPU, nothing changes.
    """
    before = torch.get_float32_matmul_precision()
    try:
        yield device.type == "cpu" and _switch(tolerance, before)
    finally:
        torch.set_float32_matmul_precision(before)


def _switch(tolerance: float, before: str) -> bool:
    torch.set_float32_matmul_precision("medium")
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(256, 256, generator=generator) for _ in range(2))
    exact = a.double() @ b.double()
    error = ((a @ b).double() - exact).norm() / exact.norm()
    if error.item() <= tolerance:
        return True
    torch.set_float32_matmul_precision(before)
    return False

"""Which backends run here, on what, and why another does not: the first half of ``charseq bench``.

The other half, speeds, is in ``bench_speed.py``.
"""

import os
import platform
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from charseq.lstm import compiler, kernel
from charseq.lstm.compiler import UnavailableError
from charseq.lstm.layer import BACKENDS

BFLOAT16 = "fused bf16"  # train.precision: bf16

_WHAT = {
    "fused": "the equations compiled, both passes",
    BFLOAT16: "the same with bfloat16 products: train.precision: bf16",
    "manual": "hand-derived backward pass, in torch",
    "reference": "autograd of the plain equations, to check the others",
    "torch": "the kernel of nn.LSTM; on a GPU cuDNN",
}
_INSTRUCTIONS = {
    "avx512_bf16": "AVX-512 with BF16",
    "avx512": "AVX-512",
    "avx2": "AVX2",
    "plain": "what every such processor has",
}


@dataclass(frozen=True)
class Backend:
    """What can be chosen, and why it cannot be used here; None where it can."""

    name: str
    what: str
    why_not: str | None


@dataclass(frozen=True)
class KernelFacts:
    """What the fused backend runs with."""

    instructions: str
    threads: int
    why_one_thread: str | None
    library: str
    compiler: str
    compiler_version: str | None

    def summary(self) -> str:
        """In a line."""
        threads = f"{self.threads} threads" if self.threads > 1 else "1 thread"
        why = f" ({self.why_one_thread})" if self.why_one_thread else ""
        return (
            f"compiled for {self.instructions} by {self.compiler_version or self.compiler}, on"
            f" {threads}{why}; {self.library}"
        )


@dataclass(frozen=True)
class Here:
    """This machine: its processor and versions, and what runs on it.

    ``kernel`` is None where there is none. ``auto``: what backend auto means on the CPU.
    """

    machine: dict[str, Any]
    kernel: KernelFacts | None
    backends: list[Backend]
    auto: str

    @property
    def missing(self) -> list[str]:
        """The names of what does not run."""
        return [backend.name for backend in self.backends if backend.why_not is not None]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def look(threads: int | None = None) -> Here:
    """See what runs on this machine; the kernel is built first if it was not yet.

    ``threads``: so many for torch from now on; as many as it takes by itself where it is None.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    auto = "manual" if kernel.why_not() else "fused"
    return Here(machine(), _kernel_facts(), backends(), auto)


def backends() -> list[Backend]:
    """Every backend, and the fused one in bfloat16."""
    why_not = {"fused": kernel.why_not(), BFLOAT16: kernel.why_not() or _why_no_bfloat16()}
    names = ["fused", BFLOAT16, *(name for name in BACKENDS if name != "fused")]
    return [Backend(name, _WHAT[name], why_not.get(name)) for name in names]


def _why_no_bfloat16() -> str | None:
    """A processor may have no such instructions, or the compiler may not know them."""
    if "bfloat16" in kernel.load().kinds:
        return None
    try:
        kernel.load("avx512_bf16")
    except UnavailableError as error:
        return f"{error}; train.precision: fp32 runs everywhere"
    return None


def _kernel_facts() -> KernelFacts | None:
    if kernel.why_not():
        return None
    loaded, command = kernel.load(), compiler.find_compiler()
    version = compiler.version(command).splitlines()
    return KernelFacts(
        instructions=_INSTRUCTIONS[loaded.instructions],
        threads=torch.get_num_threads() if loaded.threaded else 1,
        why_one_thread=None if loaded.threaded else "torch came without an OpenMP that it can use",
        library=str(loaded.path),
        compiler=shlex.join(command),
        compiler_version=version[0] if version else None,
    )


def machine() -> dict[str, Any]:
    """Processor, cores, threads and versions: without them a speed means little."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }

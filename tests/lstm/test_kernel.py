"""Where Python and C++ meet: a mistake there is a crash, or somebody else's number."""

import ctypes
import re
import sys
from itertools import takewhile
from pathlib import Path

import pytest
import torch
from one_layer import BUILDS

from charseq.lstm import kernel
from charseq.lstm.layer import LSTM

CSRC = Path(kernel.__file__).parent / "csrc"
SIZES = {"Size": ctypes.c_int64, "double": ctypes.c_double}


def fields(header: str, struct: str) -> list[tuple[str, object]]:
    """Name and type of each field of a struct of a header; of a struct in it, those of that."""
    source = re.sub(r"//.*", "", (CSRC / header).read_text(encoding="utf-8"))
    found = re.search(rf"struct {struct} \{{\n(.*?)\n\}};", source, re.DOTALL)
    assert found, f"{header} has no struct {struct}"
    named: list[tuple[str, object]] = []
    for line in takewhile(lambda line: "(" not in line, found[1].splitlines()):
        if not line.strip() or re.match(r"\s*(using|static)\b", line):
            continue
        match = re.fullmatch(r"\s*(?:const )?(\w+) ([\w\s*,]+);\s*", line)
        assert match, f"{header}: {line!r} is not understood"
        kind, declared = match.groups()
        if kind == "Draw":
            named += fields(header, kind)
        for each in declared.split(",") if kind != "Draw" else []:
            *_, name = re.split(r"[\s*]+", each)
            named.append((name, ctypes.c_void_p if "*" in each else SIZES[kind]))
    return named


@pytest.mark.parametrize(
    ("header", "struct", "count"),
    [
        ("layer.h", kernel.Layer, 31),
        ("stream.h", kernel.Stream, 19),
        ("cross_entropy.h", kernel.CrossEntropy, 14),
    ],
)
def test_a_struct_has_the_same_fields_in_c_as_in_python(
    header: str, struct: type[ctypes.Structure], count: int
) -> None:
    found = fields(header, struct.__name__)
    assert found == struct._fields_
    assert len(found) == count


def test_every_function_has_as_many_arguments_in_c_as_in_python() -> None:
    """And of the same kinds: pointers, numbers."""
    source = re.sub(r"\\\n\s*", "", (CSRC / "lstm.cpp").read_text(encoding="utf-8"))
    found = {
        name: [ctypes.c_void_p if "*" in part else ctypes.c_int64 for part in arguments.split(",")]
        for name, arguments in re.findall(r"Size charseq_(\w+)_##kind\((.*?)\)\s*\{", source)
    }
    assert found == {
        name: [
            argument if argument is ctypes.c_int64 else ctypes.c_void_p for argument in arguments
        ]
        for name, arguments in kernel._FUNCTIONS.items()
    }


@pytest.mark.parametrize("instructions", BUILDS)
def test_a_build_has_the_vectors_of_its_instructions(instructions: str) -> None:
    wide = {"avx512_bf16": 64, "avx512": 64, "avx2": 32, "plain": 16}
    build = kernel.load(instructions)
    assert build.instructions == instructions
    assert build.vector_bytes == wide[instructions]
    assert ("bfloat16" in build.kinds) == (instructions == "avx512_bf16")
    assert build is kernel.load(instructions)


@pytest.mark.kernel
def test_it_computes_on_the_threads_that_torch_has_brought() -> None:
    openmp = sys.platform == "linux" and "OpenMP" in torch.__config__.parallel_info()
    assert kernel.load().threaded == openmp


@pytest.mark.kernel
def test_auto_is_fused_on_a_cpu_for_the_types_that_it_computes() -> None:
    cpu, auto = torch.device("cpu"), LSTM(3, 4, backend="auto")
    assert auto.resolve_backend(cpu) == "fused"
    assert auto.double().resolve_backend(cpu) == "fused"
    assert auto.bfloat16().resolve_backend(cpu) == "manual"
    assert auto.resolve_backend(torch.device("cuda")) == "torch"
    assert auto.resolve_backend(torch.device("mps")) == "manual"

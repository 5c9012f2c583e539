"""Builds the kernel of ``csrc/`` on first use and keeps it in the user's cache.

Compiling here instead of in a wheel costs seconds once, and gives every processor its own
instructions. The name of a build holds the sources, the compiler and the instructions: a cache that
several machines share is safe. Nothing here imports torch.
"""

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from charseq.errors import CharseqError
from charseq.files import to_disk
from charseq.text.cache import cache_folder, locked

_SOURCES = Path(__file__).parent / "csrc"
_FLAGS = ["-std=c++17", "-O3", "-fPIC", "-shared", "-fno-exceptions", "-fno-rtti"]
_FLAGS += ["-fvisibility=hidden"]

# Best first: what a build uses, named as in /proc/cpuinfo.
_AVX512 = ["avx512f", "avx512bw", "avx512vl", "avx512dq", "fma"]
INSTRUCTIONS = {
    "avx512_bf16": [*_AVX512, "avx512_bf16"],
    "avx512": _AVX512,
    "avx2": ["avx2", "fma"],
    "plain": [],
}


class UnavailableError(CharseqError):
    """There can be no kernel here; the message says why, and what would help."""


def usable_instructions() -> list[str]:
    """The keys of ``INSTRUCTIONS`` that this processor has, best first."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    flags = next((set(line.split()[2:]) for line in lines if line.startswith("flags")), set())
    return [name for name, needs in INSTRUCTIONS.items() if flags.issuperset(needs)]


def build(instructions: str, *, anew: bool = False) -> Path:
    """The library for ``instructions``, compiled first where the cache has none, or ``anew``.

    ``$CXX`` names the compiler, ``$CXXFLAGS`` adds to its flags.

    Raises:
        UnavailableError: there is no compiler, it fails, or the cache cannot be written.
    """
    compiler = find_compiler()
    flags = ["-m" + name.replace("_", "") for name in INSTRUCTIONS[instructions]]
    command = [*compiler, *_FLAGS, *flags, *_words("CXXFLAGS")]
    digest = hashlib.sha256("\0".join([*command, version(compiler), platform.machine()]).encode())
    for source in sorted(_SOURCES.iterdir()):
        digest.update(source.name.encode() + source.read_bytes())
    library = cache_folder() / "kernels" / f"lstm-{digest.hexdigest()[:16]}.so"
    if library.exists() and not anew:
        return library
    try:
        with locked(library):
            # Another process may have built it while this one waited.
            if anew or not library.exists():
                _compile(command, library)
    except OSError as error:
        raise UnavailableError(
            f"{error.filename or library} cannot be written: {error.strerror};"
            " CHARSEQ_CACHE_DIR names another folder for the cache"
        ) from None
    return library


def find_compiler() -> list[str]:
    """The command of the C++ compiler: ``$CXX``, else what is installed.

    Raises:
        UnavailableError: there is none; the message says how to get one.
    """
    chosen = _words("CXX")
    for command in [chosen] if chosen else [["c++"], ["g++"], ["clang++"]]:
        if shutil.which(command[0]):
            return command
    missing = f"$CXX, {shlex.join(chosen)}," if chosen else "a C++ compiler"
    where = (
        "`xcode-select --install` gives one"
        if sys.platform == "darwin"
        else "for example `apt install g++`, `dnf install gcc-c++` or `conda install gxx` gives one"
    )
    raise UnavailableError(f"{missing} is not installed; {where}")


def _words(name: str) -> list[str]:
    """The words of an environment variable, as a shell would split it."""
    try:
        return shlex.split(os.environ.get(name, ""))
    except ValueError as error:
        raise UnavailableError(f"${name} cannot be read: {error}") from None


def version(compiler: Sequence[str]) -> str:
    """What a compiler says of itself."""
    told = subprocess.run(  # noqa: S603  the user has chosen it
        [*compiler, "--version"], capture_output=True, text=True, check=False
    )
    return told.stdout


def _compile(command: list[str], library: Path) -> None:
    temporary = library.with_suffix(".tmp")
    made = subprocess.run(  # noqa: S603  the user has chosen it
        [*command, str(_SOURCES / "lstm.cpp"), "-o", str(temporary)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        temporary.unlink(missing_ok=True)
        errors = [line for line in made.stderr.splitlines() if "error" in line] or [made.stderr]
        raise UnavailableError(
            f"{command[0]} failed: {errors[0].strip()}; $CXX names another compiler"
        )
    with temporary.open("rb+") as file:
        to_disk(file)  # after a power cut the name must not stand for half a library
    temporary.replace(library)

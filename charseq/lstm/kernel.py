"""The compiled LSTM, loaded by ctypes: a plain C interface, so no version of torch matters to it.

Nothing here imports torch, but the kernel computes on the threads of its OpenMP.
"""

import ctypes
import functools
import importlib.util
import os
from pathlib import Path

from charseq.errors import CharseqError
from charseq.lstm.compiler import UnavailableError, build, usable_instructions

_NUMBER, _POINTER = ctypes.c_int64, ctypes.c_void_p


class Layer(ctypes.Structure):
    """``Layer`` of ``csrc/layer.h``, field for field."""

    _fields_ = [
        ("steps", _NUMBER),
        ("batch", _NUMBER),
        ("units", _NUMBER),
        ("inputs", _NUMBER),
        ("reverse", _NUMBER),
        ("threads", _NUMBER),
        ("keep", _NUMBER),
        ("lengths", _POINTER),
        ("ids", _POINTER),
        ("x", _POINTER),
        ("weight_ih", _POINTER),
        ("weight_hh", _POINTER),
        ("bias", _POINTER),
        ("h_0", _POINTER),
        ("c_0", _POINTER),
        ("updates", _POINTER),
        ("update", ctypes.c_double),
        ("gates", _POINTER),
        ("c", _POINTER),
        ("h", _POINTER),
        ("h_n", _POINTER),
        ("c_n", _POINTER),
        ("d_output", _POINTER),
        ("d_h_n", _POINTER),
        ("d_c_n", _POINTER),
        ("d_x", _POINTER),
        ("d_h_0", _POINTER),
        ("d_c_0", _POINTER),
        ("d_weight_ih", _POINTER),
        ("d_weight_hh", _POINTER),
        ("d_bias", _POINTER),
    ]


class Stream(ctypes.Structure):
    """``Stream`` of ``csrc/stream.h``, field for field."""

    _fields_ = [
        ("layers", _NUMBER),
        ("units", _NUMBER),
        ("symbols", _NUMBER),
        ("threads", _NUMBER),
        ("batch", _NUMBER),
        ("table", _POINTER),
        ("biases", _POINTER),
        ("weight_ih", _POINTER),
        ("weight_hh", _POINTER),
        ("weight_out", _POINTER),
        ("bias_out", _POINTER),
        ("h", _POINTER),
        ("c", _POINTER),
        ("logits", _POINTER),
        ("update", ctypes.c_double),
        ("temperature", ctypes.c_double),
        ("top_p", ctypes.c_double),
        ("top_k", _NUMBER),
        ("never", _NUMBER),
    ]


class CrossEntropy(ctypes.Structure):
    """``CrossEntropy`` of ``csrc/cross_entropy.h``, field for field."""

    _fields_ = [
        ("rows", _NUMBER),
        ("inputs", _NUMBER),
        ("symbols", _NUMBER),
        ("threads", _NUMBER),
        ("x", _POINTER),
        ("weight", _POINTER),
        ("bias", _POINTER),
        ("targets", _POINTER),
        ("smoothing", ctypes.c_double),
        ("d_logits", _POINTER),
        ("d_loss", ctypes.c_double),
        ("d_x", _POINTER),
        ("d_weight", _POINTER),
        ("d_bias", _POINTER),
    ]


_FUNCTIONS: dict[str, list[object]] = {
    "forward": [ctypes.POINTER(Layer)],
    "backward": [ctypes.POINTER(Layer)],
    "cross_entropy": [ctypes.POINTER(CrossEntropy), ctypes.POINTER(ctypes.c_double)],
    "cross_entropy_backward": [ctypes.POINTER(CrossEntropy)],
    "pack_forward": [_POINTER, *[_NUMBER] * 4, _POINTER],
    "write": [ctypes.POINTER(Stream), _POINTER, _NUMBER, _POINTER, _POINTER],
}


class Kernel:
    """The functions of one build, for the ``instructions`` of that name."""

    def __init__(self, library: Path, instructions: str) -> None:
        self.path, self.instructions = library, instructions
        self._library = ctypes.CDLL(str(library))
        self.vector_bytes = int(self._library.charseq_vector_bytes())
        self.kinds = ["float32", "float64"]
        if instructions == "avx512_bf16":
            self.kinds.append("bfloat16")
        for kind in self.kinds:
            for name, arguments in _FUNCTIONS.items():
                function = getattr(self._library, f"charseq_{name}_{kind}")
                function.argtypes, function.restype = arguments, _NUMBER
        self._looked = self._threaded = False

    def call(self, name: str, kind: str, *arguments: object) -> None:
        """Call a function of ``csrc/lstm.cpp`` for a kind of arithmetic, one of ``kinds``.

        Raises:
            CharseqError: an id or a length is out of its range.
            MemoryError: there was none left.
        """
        failure = getattr(self._library, f"charseq_{name}_{kind}")(*arguments)
        if failure == 1:
            raise MemoryError("the LSTM's kernel found no memory")
        if failure:
            raise CharseqError("LSTM: an id, a target or a length is out of its range")

    def write(self, kind: str, *arguments: object) -> int:
        """``Stream.write`` of ``csrc/stream.h``: how many symbols of each text were written.

        Raises:
            MemoryError: there was none left.
        """
        written = int(getattr(self._library, f"charseq_write_{kind}")(*arguments))
        if written < 0:
            raise MemoryError("the LSTM's kernel found no memory")
        return written

    @property
    def threaded(self) -> bool:
        """Whether it computes on several threads: those of torch's OpenMP."""
        if not self._looked:
            self._looked = True
            for path in _loaded_libraries("libgomp", "libiomp5", "libomp") or _beside_torch():
                runtime = ctypes.CDLL(path)
                names = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
                if all(hasattr(runtime, name) for name in names):
                    self._library.charseq_use_openmp(*(getattr(runtime, name) for name in names))
                    self._threaded = True
                    break
        return self._threaded


def load(instructions: str | None = None) -> Kernel:
    """The kernel for this processor, built if need be; or for lesser ``instructions``, to compare.

    ``CHARSEQ_KERNEL=off`` does without it.

    Raises:
        UnavailableError: it cannot be had here; the message says why.
    """
    found = look_for(instructions)
    if isinstance(found, str):
        raise UnavailableError(found)
    return found


def why_not() -> str | None:
    """Why there is no kernel here; None where there is one."""
    found = look_for(None)
    return found if isinstance(found, str) else None


@functools.cache
def look_for(instructions: str | None) -> Kernel | str:
    """The kernel, or why there is none: once a process, as to compile in vain takes long too."""
    if os.environ.get("CHARSEQ_KERNEL") == "off":
        return "CHARSEQ_KERNEL=off is set in the environment; unset it"
    usable = usable_instructions()
    if instructions is not None and instructions not in usable:
        return f"this processor has no {instructions}, only {', '.join(usable)}"
    reasons = []
    for name in usable if instructions is None else [instructions]:
        try:
            return _open(name)
        except (UnavailableError, OSError) as error:  # a compiler may be older than the processor
            reasons.append(str(error))
    return "; ".join(dict.fromkeys(reasons))


def _open(instructions: str) -> Kernel:
    library = build(instructions)
    try:
        return Kernel(library, instructions)
    except OSError:
        if library.stat().st_size > 0:
            raise
        return Kernel(build(instructions, anew=True), instructions)  # a power cut left its name


def _loaded_libraries(*names: str) -> list[str]:
    """The files of these libraries that this process has already loaded."""
    try:
        maps = Path("/proc/self/maps").read_text().splitlines()
    except OSError:  # not Linux
        return []
    paths = {parts[5] for line in maps if len(parts := line.split(maxsplit=5)) == 6}
    return sorted(path for path in paths if Path(path).name.startswith(names))


def _beside_torch() -> list[str]:
    """The OpenMP that torch will load when it is imported: a second one would be in its way."""
    found = importlib.util.find_spec("torch")  # which does not import it
    folder = Path(found.origin).parent / "lib" if found and found.origin else None
    if folder is None:
        return []
    return sorted(
        str(path) for kind in ("so*", "dylib") for path in folder.glob("lib*omp*." + kind)
    )

"""The file of a checkpoint, read and verified as numpy arrays: no torch in here.

One safetensors file holds a model and, to resume it, its training. The tensors stand under their
names; the metadata of the file has one entry, ``charseq``, a JSON object with ``format_version``,
``config``, ``vocab`` and whatever else the writer adds; and a second, ``sha256``, over that text
and every tensor's name, type, shape and bytes. It is checked at every load, because safetensors
itself loads a flipped bit in silence. The format is described in ``docs/checkpoint.md``. Nothing is
ever unpickled.
"""

import hashlib
import json
import math
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from charseq.config import Config, config_from_json
from charseq.config.schema import LMConfig
from charseq.errors import CharseqError, ConfigError
from charseq.models.run_files import BEST, LAST, NEWEST
from charseq.text.characters import escape
from charseq.text.pair_vocab import PairVocab
from charseq.text.vocab import Vocab

AnyVocab = Vocab | PairVocab
Arrays = dict[str, NDArray[Any]]

FORMAT_VERSION = 1
WEIGHTS = "model."  # the prefix of the weights; other tensors are the training's
AVERAGE = "average."  # that of the averaged weights, beside those still in training
MOST_RUNS = 8  # that a message lists


class CheckpointError(CharseqError):
    """A file is not a checkpoint that can be trusted; the text says which file and why."""


@dataclass(frozen=True)
class CheckpointFile:
    """What a file holds. ``extra`` is the JSON beside config and vocabulary: the training's.
    ``sha256`` is over all of it."""

    config: Config
    vocab: AnyVocab
    arrays: Arrays
    extra: dict[str, Any]
    sha256: str

    def averaged(self) -> Self:
        """With the averaged weights in place of those in training, where there are any."""
        averages = {WEIGHTS + name: array for name, array in self.under(AVERAGE).items()}
        return replace(self, arrays=self.arrays | averages)

    def under(self, prefix: str) -> Arrays:
        """The arrays whose names begin so, by the rest of their names."""
        return {
            name.removeprefix(prefix): array
            for name, array in self.arrays.items()
            if name.startswith(prefix)
        }


def read_file(path: Path) -> CheckpointFile:
    """Read and verify a checkpoint.

    Raises:
        CheckpointError: the file is missing, no checkpoint, newer than this charseq, or damaged.
    """
    name = escape(str(path))
    with _opened(path, name) as file:
        metadata = file.metadata() or {}
        arrays: Arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if "charseq" not in metadata or "sha256" not in metadata:
        raise CheckpointError(f"{name}: a safetensors file, but not a checkpoint of charseq")
    header = _header(name, metadata["charseq"])
    if digest(metadata["charseq"], arrays) != metadata["sha256"]:
        raise CheckpointError(f"{name}: damaged: its bytes do not match their sha256")
    try:
        config = config_from_json(header.pop("config"), where=name)
        kind = Vocab if isinstance(config, LMConfig) else PairVocab
        vocab = kind.from_json(header.pop("vocab"))
    except ConfigError as error:  # says where already
        raise CheckpointError(str(error)) from None
    except CharseqError as error:
        raise CheckpointError(f"{name}: {error}") from None
    return CheckpointFile(config, vocab, arrays, header, metadata["sha256"])


@dataclass(frozen=True)
class Header:
    """What stands in front of the tensors: quickly read, and not verified."""

    extra: dict[str, Any]  # the JSON beside config and vocabulary
    shapes: dict[str, tuple[int, ...]]  # of the tensors

    @property
    def parameters(self) -> int:
        """The number of weights of the model."""
        return sum(
            math.prod(shape) for name, shape in self.shapes.items() if name.startswith(WEIGHTS)
        )


def read_header(path: Path) -> Header:
    """Read the counters and the shapes of a checkpoint, whose tensors stay on the disk.

    Raises:
        CheckpointError: the file is missing, no checkpoint, or newer than this charseq.
    """
    name = escape(str(path))
    with _opened(path, name) as file:
        metadata = file.metadata() or {}
        shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    if "charseq" not in metadata:
        raise CheckpointError(f"{name}: a safetensors file, but not a checkpoint of charseq")
    return Header(_header(name, metadata["charseq"]), shapes)


def find_checkpoint(path: Path) -> Path:
    """The checkpoint that a run folder or a file stands for: in a folder the best, else the last.

    Raises:
        CheckpointError: there is none.
    """
    if not path.is_dir():
        return path
    for name in (BEST, *NEWEST):
        file = path / name
        if file.exists():
            return file
    # Runs beside each other, and those of a sweep; no deeper, as the folder may be anybody's home
    depths = (f"*/{LAST}", f"*/*/{LAST}")
    if below := sorted(str(file.parent) for depth in depths for file in path.glob(depth)):
        raise CheckpointError(f"{escape(str(path))}: is not one run; it holds {_some(below)}")
    raise CheckpointError(f"{path}: holds no checkpoint ({BEST} or {LAST}); is it a run folder?")


def step_of(extra: Mapping[str, Any]) -> int | None:
    """The updates that a checkpoint's weights have seen, where what its training noted says so."""
    progress = extra.get("progress")
    step = progress.get("step") if isinstance(progress, dict) else None
    return step if type(step) is int else None


def digest(text: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    """The sha256 of a checkpoint's JSON and arrays; types are named as torch names them."""
    sha256 = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        sha256.update(f"\n{name} torch.{array.dtype} {array.shape}\n".encode())
        sha256.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return sha256.hexdigest()


@contextmanager
def _opened(path: Path, name: str) -> Iterator[Any]:
    """A safetensors file; what goes wrong inside, too, is a CheckpointError."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to read a pipe would wait for a writer
            raise CheckpointError(f"{name}: not a checkpoint of charseq (not a regular file)")
        with safe_open(path, framework="np") as file:
            yield file
    except FileNotFoundError:
        raise CheckpointError(f"{name}: there is no such checkpoint{_similar(path)}") from None
    except (OSError, SafetensorError, ValueError, TypeError, AttributeError) as error:
        if path.suffix in (".yaml", ".yml"):
            raise CheckpointError(f"{name}: is a configuration; name the folder of a run") from None
        # The last two: numpy does not have the type of a tensor, bfloat16 for example.
        raise CheckpointError(f"{name}: not a checkpoint of charseq ({error})") from None


def _similar(path: Path) -> str:
    """What may have been meant by a path where nothing is: one like it, or any run beside it."""
    in_runs = Path("runs") / path
    if not path.is_absolute() and in_runs.exists():
        return f" (did you mean '{escape(str(in_runs))}'?)"
    if not path.parent.exists():
        above = [one.name for one in path.parent.parent.glob("*") if one.is_dir()]
        near = get_close_matches(path.parent.name, above, 1)
        meant = path.parent.with_name(near[0]) / path.name if near else None
        return f" (did you mean '{escape(str(meant))}'?)" if meant and meant.exists() else ""
    runs = sorted(file.parent.name for file in path.parent.glob(f"*/{LAST}"))
    files = [file.name for file in path.parent.glob("*.safetensors")]
    if near := get_close_matches(path.name, runs + files, 1):
        return f" (did you mean '{escape(str(path.with_name(near[0])))}'?)"
    return f"; {escape(str(path.parent))} holds {_some(runs)}" if runs else ""


def _some(names: Sequence[str]) -> str:
    listed = ", ".join(map(escape, names[:MOST_RUNS]))
    more = f" and {len(names) - MOST_RUNS:,} more" if len(names) > MOST_RUNS else ""
    return listed + more


def _header(name: str, text: str) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise CheckpointError(f"{name}: damaged: its metadata is not JSON") from None
    version = header.get("format_version") if isinstance(header, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise CheckpointError(
            f"{name}: written by a newer charseq (format {version}, this one reads up to"
            f" {FORMAT_VERSION}); update charseq"
        )
    if version != FORMAT_VERSION or not {"config", "vocab"} <= header.keys():
        raise CheckpointError(f"{name}: damaged: its metadata is incomplete")
    return dict(header)

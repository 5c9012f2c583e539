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
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from charseq.config import Config, config_from_json
from charseq.config.schema import LMConfig
from charseq.errors import CharseqError
from charseq.text.pair_vocab import PairVocab
from charseq.text.vocab import Vocab

AnyVocab = Vocab | PairVocab
Arrays = dict[str, NDArray[Any]]

FORMAT_VERSION = 1
WEIGHTS = "model."  # the prefix of the weights; other tensors are the training's
AVERAGE = "average."  # that of the averaged weights, beside those still in training


class CheckpointError(CharseqError):
    """A file is not a checkpoint that can be trusted; the text says which file and why."""


@dataclass(frozen=True)
class CheckpointFile:
    """What a file holds. ``extra`` is the JSON beside config and vocabulary: the training's."""

    config: Config
    vocab: AnyVocab
    arrays: Arrays
    extra: dict[str, Any]

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
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            arrays: Arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such checkpoint") from None
    except (OSError, SafetensorError, ValueError, TypeError, AttributeError) as error:
        # The last two: numpy does not have the type of a tensor, bfloat16 for example.
        raise CheckpointError(f"{path}: not a checkpoint of charseq ({error})") from None
    if "charseq" not in metadata or "sha256" not in metadata:
        raise CheckpointError(f"{path}: a safetensors file, but not a checkpoint of charseq")
    header = _header(path, metadata["charseq"])
    if digest(metadata["charseq"], arrays) != metadata["sha256"]:
        raise CheckpointError(f"{path}: damaged: its bytes do not match their sha256")
    config = config_from_json(header.pop("config"), where=str(path))
    kind = Vocab if isinstance(config, LMConfig) else PairVocab
    try:
        vocab = kind.from_json(header.pop("vocab"))
    except CharseqError as error:
        raise CheckpointError(f"{path}: {error}") from None
    return CheckpointFile(config, vocab, arrays, header)


def find_checkpoint(path: Path) -> Path:
    """The checkpoint that a run folder or a file stands for: in a folder the best, else the last.

    Raises:
        CheckpointError: there is none.
    """
    if not path.is_dir():
        return path
    for name in ("best", "last", "previous"):
        file = path / f"{name}.safetensors"
        if file.exists():
            return file
    raise CheckpointError(
        f"{path}: holds no checkpoint (best.safetensors or last.safetensors); is it a run folder?"
    )


def digest(text: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    """The sha256 of a checkpoint's JSON and arrays; types are named as torch names them."""
    sha256 = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        sha256.update(f"\n{name} torch.{array.dtype} {array.shape}\n".encode())
        sha256.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return sha256.hexdigest()


def _header(path: Path, text: str) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise CheckpointError(f"{path}: damaged: its metadata is not JSON") from None
    version = header.get("format_version") if isinstance(header, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: written by a newer charseq (format {version}, this one reads up to"
            f" {FORMAT_VERSION}); update charseq"
        )
    if version != FORMAT_VERSION or not {"config", "vocab"} <= header.keys():
        raise CheckpointError(f"{path}: damaged: its metadata is incomplete")
    return dict(header)

"""A checkpoint: one safetensors file that holds a model and, to resume it, its training.

The tensors stand under their names; the metadata of the file has one entry, ``charseq``, a JSON
object with ``format_version``, ``config``, ``vocab`` and whatever else the writer adds; and a
second, ``sha256``, over that text and every tensor's name, type, shape and bytes. It is checked at
every load, because safetensors itself loads a flipped bit in silence. The format is described in
``docs/checkpoint.md``. Nothing is ever unpickled.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from charseq.config import Config, config_from_json, config_to_json
from charseq.errors import CharseqError
from charseq.models.build import AnyVocab, Model, build_model, vocab_from_json

FORMAT_VERSION = 1
WEIGHTS = "model."  # the prefix of the weights; other tensors are the training's


class CheckpointError(CharseqError):
    """A file is not a checkpoint that can be trusted; the text says which file and why."""


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds. ``extra`` is the JSON beside config and vocabulary: the training's."""

    config: Config
    vocab: AnyVocab
    tensors: dict[str, Tensor]
    extra: dict[str, Any]

    def model(self) -> Model:
        """The model, with its weights, on the CPU, in evaluation mode."""
        model = build_model(self.config, self.vocab)
        weights = {
            name.removeprefix(WEIGHTS): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(WEIGHTS)
        }
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise CheckpointError(f"the weights do not fit the configuration: {error}") from None
        return model.eval()


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the file whole or not at all: temporary file, fsync, rename, fsync of the folder."""
    header = {
        "format_version": FORMAT_VERSION,
        "config": config_to_json(checkpoint.config),
        "vocab": checkpoint.vocab.to_json(),
        **checkpoint.extra,
    }
    text = json.dumps(header, ensure_ascii=True, allow_nan=False, sort_keys=True)
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()
    }
    metadata = {"charseq": text, "sha256": _digest(text, tensors)}
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(save(tensors, metadata))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CharseqError(f"{path}: the checkpoint cannot be written: {error.strerror}") from error


def read_checkpoint(path: Path, *, only_weights: bool = False) -> Checkpoint:
    """Read and verify a checkpoint, onto the CPU.

    ``only_weights`` keeps the model's tensors and drops the optimizer's (all are verified).

    Raises:
        CheckpointError: the file is missing, no checkpoint, newer than this charseq, or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such checkpoint") from None
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path}: not a checkpoint of charseq ({error})") from None
    if "charseq" not in metadata or "sha256" not in metadata:
        raise CheckpointError(f"{path}: a safetensors file, but not a checkpoint of charseq")
    header = _header(path, metadata["charseq"])
    if _digest(metadata["charseq"], tensors) != metadata["sha256"]:
        raise CheckpointError(f"{path}: damaged: its bytes do not match their sha256")
    config = config_from_json(header.pop("config"), where=str(path))
    try:
        vocab = vocab_from_json(config, header.pop("vocab"))
    except CharseqError as error:
        raise CheckpointError(f"{path}: {error}") from None
    if only_weights:
        tensors = {name: t for name, t in tensors.items() if name.startswith(WEIGHTS)}
    return Checkpoint(config, vocab, tensors, header)


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


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()

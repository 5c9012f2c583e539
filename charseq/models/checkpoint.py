"""A checkpoint as torch has it: a model and its training, written to a file and read back."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import save
from torch import Tensor

from charseq.config import Config, config_to_json
from charseq.errors import CharseqError
from charseq.models.build import Model, build_model
from charseq.models.checkpoint_file import FORMAT_VERSION as FORMAT_VERSION
from charseq.models.checkpoint_file import WEIGHTS as WEIGHTS
from charseq.models.checkpoint_file import AnyVocab, CheckpointFile, digest, read_file
from charseq.models.checkpoint_file import CheckpointError as CheckpointError
from charseq.models.checkpoint_file import find_checkpoint as find_checkpoint


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds. ``extra`` is the JSON beside config and vocabulary: the training's."""

    config: Config
    vocab: AnyVocab
    tensors: dict[str, Tensor]
    extra: dict[str, Any]

    @classmethod
    def of(cls, file: CheckpointFile) -> Self:
        """A file that has been read; the tensors, on the CPU, share its memory."""
        tensors = {name: torch.from_numpy(array) for name, array in file.arrays.items()}
        return cls(file.config, file.vocab, tensors, file.extra)

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
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    metadata = {"charseq": text, "sha256": digest(text, arrays)}
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


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and verify a checkpoint, onto the CPU.

    Raises:
        CheckpointError: the file is missing, no checkpoint, newer than this charseq, or damaged.
    """
    return Checkpoint.of(read_file(path))

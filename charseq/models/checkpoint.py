"""A checkpoint as torch has it: a model and its training, written to a file and read back."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.numpy import save
from torch import Tensor

from charseq.config import Config, config_to_json
from charseq.errors import SaveError
from charseq.files import replacing, sync_folder
from charseq.models.build import Model, build_model
from charseq.models.checkpoint_file import (
    FORMAT_VERSION,
    WEIGHTS,
    AnyVocab,
    CheckpointError,
    CheckpointFile,
    digest,
    read_file,
)
from charseq.text.characters import escape


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

    def model(self, where: str = "the checkpoint") -> Model:
        """The model, with its weights, on the CPU, in evaluation mode; ``where`` names the file.

        Raises:
            CheckpointError: the weights do not fit the configuration.
        """
        weights = self.weights(where)  # first: no memory is taken for what does not fit
        model = build_model(self.config, self.vocab)
        model.load_state_dict(weights)
        return model.eval()

    def weights(self, where: str = "the checkpoint") -> dict[str, Tensor]:
        """The weights by their names in the model. Raises as ``model``."""
        weights = {
            name.removeprefix(WEIGHTS): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(WEIGHTS)
        }
        # First without memory: a configuration may ask for more than any machine has.
        with torch.device("meta"):
            wanted = build_model(self.config, self.vocab).state_dict()
        found, shapes = (
            {name: tuple(tensor.shape) for name, tensor in tensors.items()}
            for tensors in (weights, wanted)
        )
        for name in sorted(found.keys() | shapes.keys()):
            if found.get(name) != shapes.get(name):
                wrong = f"is {found[name]}" if name in found else "is missing"
                right = f"not {shapes[name]}" if name in shapes else "and there is no such weight"
                raise CheckpointError(
                    f"{escape(where)}: the weights do not fit the configuration: {escape(name)}"
                    f" {wrong}, {right}"
                )
        return weights


def write_checkpoint(path: Path, checkpoint: Checkpoint, called: Path | None = None) -> None:
    """Write the file whole or not at all: temporary file, fsync, rename, fsync of the folder.

    Raises:
        SaveError: it cannot be written; the file is ``called`` something else where it is to get
            another name.
    """
    header = {
        "format_version": FORMAT_VERSION,
        "config": config_to_json(checkpoint.config),
        "vocab": checkpoint.vocab.to_json(),
        **checkpoint.extra,
    }
    text = json.dumps(header, ensure_ascii=True, allow_nan=False, sort_keys=True)
    # numpy's: the one for torch leaves two objects a tensor to the search for cycles, at each save.
    arrays = {
        name: tensor.detach().cpu().contiguous().numpy()
        for name, tensor in checkpoint.tensors.items()
    }
    metadata = {"charseq": text, "sha256": digest(text, arrays)}
    try:
        with replacing(path) as file:
            file.write(save(arrays, metadata))
        sync_folder(path.parent)
    except OSError as error:
        name = escape(str(called or path))
        raise SaveError(f"{name}: the checkpoint cannot be written: {error.strerror}") from error


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and verify a checkpoint, onto the CPU.

    Raises:
        CheckpointError: the file is missing, no checkpoint, newer than this charseq, or damaged.
    """
    return Checkpoint.of(read_file(path))

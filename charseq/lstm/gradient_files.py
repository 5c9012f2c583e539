"""A problem for somebody else's LSTM as a file, and the gradients that come back."""

from pathlib import Path
from typing import Any
from zipfile import BadZipFile, is_zipfile

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from charseq.errors import CharseqError
from charseq.lstm.gradcheck import Problem
from charseq.lstm.own_gradients import OPTIONAL, right_answer
from charseq.text.characters import escape

SUFFIXES = (".npz", ".safetensors")


def write_problem(path: Path, problem: Problem) -> None:
    """Weights, ids and targets, and the loss that is right.

    Raises:
        CharseqError: its name ends otherwise, or it cannot be written.
    """
    _check_suffix(path)
    loss, _ = right_answer(problem)
    leaves = {name: leaf for name, leaf in problem.leaves.items() if name not in OPTIONAL}
    tensors = {"ids": problem.ids, "targets": problem.targets, **leaves, "loss": loss}
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}  # memory of their own
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in tensors.items()}
    try:
        if path.suffix == ".npz":
            np.savez(path, **arrays)
        else:
            save_file(tensors, path)
    except (OSError, SafetensorError) as error:
        raise CharseqError(f"{path}: cannot be written: {_why(error)}") from None


def read_gradients(path: Path) -> dict[str, Tensor]:
    """The tensors of such a file.

    Raises:
        CharseqError: it is not there, or is no such file.
    """
    _check_suffix(path)
    if not path.is_file():
        raise CharseqError(f"{path}: there is no such file")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        if not is_zipfile(path):
            raise CharseqError(f"{path}: is no .npz file, as numpy.savez writes")
        with np.load(path, allow_pickle=False) as file:
            return {name: torch.from_numpy(np.asarray(file[name])) for name in file.files}
    except (OSError, EOFError, ValueError, TypeError, BadZipFile, SafetensorError) as error:
        raise CharseqError(f"{path}: cannot be read: {_why(error)}") from None


def _check_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise CharseqError(f"{path}: name a file that ends in {' or '.join(SUFFIXES)}")


def _why(error: Exception) -> str:
    return escape(str(getattr(error, "strerror", None) or error))

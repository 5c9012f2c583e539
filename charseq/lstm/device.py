"""Where tensors live: the device that a name stands for, or a clear error."""

import re

import torch

from charseq.errors import CharseqError


def resolve_device(name: str) -> torch.device:
    """The device that ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` stands for on this machine.

    ``auto`` is the current CUDA device where there is one, else the CPU.

    Raises:
        CharseqError: there is no such name, no CUDA, or no CUDA device of that number.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    match = re.fullmatch(r"cuda(?::(\d{1,3}))?", name, re.ASCII)
    if match is None:
        raise CharseqError(f"device: {name!r} is none of auto, cpu, cuda and cuda:N")
    if not torch.cuda.is_available():
        raise CharseqError(f"device: {name} cannot be used: {_why_no_cuda()}; use cpu or auto")
    count = torch.cuda.device_count()
    if match[1] is not None and int(match[1]) >= count:
        devices = (
            "is 1 CUDA device, cuda:0" if count == 1 else f"are {count}, up to cuda:{count - 1}"
        )
        raise CharseqError(f"device: there is no {name}: there {devices}")
    return torch.device(name)


def _why_no_cuda() -> str:
    build = f"torch {torch.__version__}"
    if torch.version.cuda is None and torch.version.hip is None:
        return f"{build} was built without CUDA"
    return f"{build} was built with CUDA but finds no usable GPU or driver"

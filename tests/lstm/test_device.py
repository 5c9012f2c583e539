"""The name of a device means what is there, or says why it cannot."""

import pytest
import torch

from charseq.errors import CharseqError
from charseq.lstm.device import resolve_device


def pretend(monkeypatch: pytest.MonkeyPatch, devices: int, cuda: str | None = "12.8") -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: devices > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.version, "hip", None)


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 1)
    assert resolve_device("auto") == torch.device("cuda")
    pretend(monkeypatch, 0)
    assert resolve_device("auto") == torch.device("cpu")
    assert resolve_device("cpu") == torch.device("cpu")


def test_a_gpu_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 2)
    assert resolve_device("cuda") == torch.device("cuda")
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(CharseqError, match="no cuda:7: there are 2, up to cuda:1"):
        resolve_device("cuda:7")
    pretend(monkeypatch, 1)
    with pytest.raises(CharseqError, match="no cuda:1: there is 1 CUDA device, cuda:0"):
        resolve_device("cuda:1")


def test_without_cuda_it_says_which_torch_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 0, cuda=None)
    with pytest.raises(CharseqError, match=r"torch \S+ was built without CUDA; use cpu or auto"):
        resolve_device("cuda")
    pretend(monkeypatch, 0)
    with pytest.raises(CharseqError, match="finds no usable GPU or driver"):
        resolve_device("cuda:0")


@pytest.mark.parametrize(
    "name", ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CUDA", "cuda:0 ", "mps"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(CharseqError, match="is none of auto, cpu, cuda and cuda:N"):
        resolve_device(name)

"""A checkpoint comes back as it was written, and a damaged one does not come back at all."""

import json
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from charseq.config import config_from_json
from charseq.errors import CharseqError
from charseq.models.build import build_model
from charseq.models.checkpoint import (
    Checkpoint,
    CheckpointError,
    find_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from charseq.text.vocab import Vocab


@pytest.fixture
def checkpoint() -> Checkpoint:
    config = config_from_json({"data": {"text": "a.txt"}, "model": {"hidden_size": 3}}, "the test")
    vocab = Vocab("char", ("\n", "a", "é"))
    torch.manual_seed(0)
    model = build_model(config, vocab)
    tensors = {f"model.{name}": p.detach() for name, p in model.named_parameters()}
    tensors["random.cpu"] = torch.get_rng_state()
    tensors["optimizer.step.output.bias"] = torch.tensor(7.0)
    return Checkpoint(config, vocab, tensors, {"progress": {"step": 7}})


def test_it_comes_back_as_it_was_written(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    write_checkpoint(path, checkpoint)
    found = read_checkpoint(path)
    assert (found.config, found.vocab) == (checkpoint.config, checkpoint.vocab)
    assert found.extra["progress"] == {"step": 7}
    assert found.tensors.keys() == checkpoint.tensors.keys()
    assert all(torch.equal(found.tensors[name], t) for name, t in checkpoint.tensors.items())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["last.safetensors"]
    weights = read_checkpoint(path, only_weights=True)
    assert all(name.startswith("model.") for name in weights.tensors)
    ids = torch.tensor([[0], [1], [2]])
    logits, _ = weights.model()(ids)
    wanted, _ = checkpoint.model()(ids)
    assert torch.equal(logits, wanted)


def test_every_flipped_bit_and_every_truncation_is_refused(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "last.safetensors"
    write_checkpoint(path, checkpoint)
    good = path.read_bytes()
    rng = random.Random(0)
    flips = [(rng.randrange(len(good)), 1 << rng.randrange(8)) for _ in range(400)]
    for place, bit in flips:
        bad = bytearray(good)
        bad[place] ^= bit
        path.write_bytes(bad)
        with pytest.raises(CharseqError, match=r"last\.safetensors"):
            read_checkpoint(path)
    for length in [0, 1, 7, 8, 9, *(rng.randrange(len(good)) for _ in range(50))]:
        path.write_bytes(good[:length])
        with pytest.raises(CheckpointError):
            read_checkpoint(path)
    path.write_bytes(good)
    read_checkpoint(path)


def test_other_files_are_named_for_what_they_are(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(CheckpointError, match="there is no such checkpoint"):
        read_checkpoint(path)
    path.write_text("a text")
    with pytest.raises(CheckpointError, match="not a checkpoint of charseq"):
        read_checkpoint(path)
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="a safetensors file, but not a checkpoint"):
        read_checkpoint(path)
    newer = {"format_version": 99, "config": {}, "vocab": {}}
    save_file({"a": torch.zeros(2)}, path, {"charseq": json.dumps(newer), "sha256": "0"})
    with pytest.raises(CheckpointError, match="written by a newer charseq"):
        read_checkpoint(path)
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        find_checkpoint(tmp_path)
    for name in ("previous", "last", "best"):
        write_checkpoint(tmp_path / f"{name}.safetensors", checkpoint)
        assert find_checkpoint(tmp_path).name == f"{name}.safetensors"


def test_a_folder_that_cannot_be_written(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(CharseqError, match="cannot be written"):
        write_checkpoint(tmp_path / "missing" / "last.safetensors", checkpoint)

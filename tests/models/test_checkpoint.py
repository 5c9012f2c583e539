"""A checkpoint comes back as it was written, and a damaged one does not come back at all."""

import hashlib
import io
import json
import os
import pickle
import random
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from charseq.config import config_from_json
from charseq.errors import CharseqError
from charseq.models.build import build_model
from charseq.models.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from charseq.models.checkpoint_file import CheckpointError, find_checkpoint, read_file
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
    ids = torch.tensor([[0], [1], [2]])
    logits, _ = found.model()(ids)
    wanted, _ = checkpoint.model()(ids)
    assert torch.equal(logits, wanted)


def test_the_digest_is_the_one_that_the_docs_describe(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    kinds = (torch.float32, torch.float64, torch.float16, torch.int64, torch.uint8, torch.bool)
    tensors = {f"a.{kind}": torch.tensor([[0, 1, 1], [1, 0, 1]]).to(kind) for kind in kinds}
    tensors |= {"a.number": torch.tensor(7.0), "a.empty": torch.zeros(0, 3)}
    tensors["a.turned"] = torch.arange(6.0).view(2, 3).t()
    path = tmp_path / "last.safetensors"
    write_checkpoint(path, replace(checkpoint, tensors=tensors))
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    sha256 = hashlib.sha256(metadata["charseq"].encode())
    for name, tensor in sorted(tensors.items()):
        sha256.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha256.update(tensor.contiguous().numpy().tobytes())
    assert metadata["sha256"] == sha256.hexdigest()
    arrays = read_file(path).arrays
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(arrays[name], tensor.numpy())
        assert f"torch.{arrays[name].dtype}" == str(tensor.dtype)


def test_a_file_is_read_without_torch(checkpoint: Checkpoint, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "last.safetensors", checkpoint)
    program = (
        "import sys; from pathlib import Path\n"
        "from charseq.models.checkpoint_file import find_checkpoint, read_file\n"
        "file = read_file(find_checkpoint(Path(sys.argv[1])))\n"
        "print(file.vocab.size, sorted(file.under('model.'))[-1], 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, check=True, text=True
    )
    assert done.stdout == "3 output.weight False\n"


def test_averaged_weights_take_the_place_of_those_in_training(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "last.safetensors"
    averages = {"average.output.bias": torch.tensor([1.0, 2.0, 3.0])}
    write_checkpoint(path, replace(checkpoint, tensors=checkpoint.tensors | averages))
    file = read_file(path)
    assert file.under("model.")["output.bias"].tolist() == [0.0, 0.0, 0.0]
    weights = file.averaged().under("model.")
    assert weights["output.bias"].tolist() == [1.0, 2.0, 3.0]
    np.testing.assert_array_equal(
        weights["output.weight"], checkpoint.tensors["model.output.weight"].numpy()
    )


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


def test_a_path_where_nothing_is_says_what_may_have_been_meant(tmp_path: Path) -> None:
    def missing(path: Path) -> str:
        with pytest.raises(CheckpointError) as caught:
            read_checkpoint(path)
        return str(caught.value).replace(f"{tmp_path}/", "")

    nothing = "there is no such checkpoint"
    assert missing(tmp_path / "dates") == f"dates: {nothing}"
    for number in range(9):
        (tmp_path / f"sums-{number}").mkdir()
        (tmp_path / f"sums-{number}" / "last.safetensors").touch()
    listed = ", ".join(f"sums-{number}" for number in range(8))
    assert missing(tmp_path / "dates") == f"dates: {nothing}; {tmp_path} holds {listed} and 1 more"
    assert missing(tmp_path / "sum-4") == f"sum-4: {nothing} (did you mean 'sums-4'?)"
    last = "sum-4/last.safetensors"
    meant = "(did you mean 'sums-4/last.safetensors'?)"
    assert missing(tmp_path / last) == f"{last}: {nothing} {meant}"
    assert missing(tmp_path / "sum-4" / "x") == f"sum-4/x: {nothing}"
    near = "sums-4/lost.safetensors"
    assert missing(tmp_path / near) == f"{near}: {nothing} {meant}"
    with pytest.raises(CheckpointError, match=r"is not one run; it holds .*sums-7 and 1 more"):
        find_checkpoint(tmp_path)
    (tmp_path / "a.yaml").write_text("task: lm")
    assert missing(tmp_path / "a.yaml") == "a.yaml: is a configuration; name the folder of a run"


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
    save_file({"a": torch.zeros(2, dtype=torch.bfloat16)}, path)  # numpy has no such numbers
    with pytest.raises(CheckpointError, match="not a checkpoint of charseq"):
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


def test_a_pickle_in_disguise_is_not_run_and_a_bomb_not_unpacked(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(50_000_000))
    disguised = pickle.dumps(Touch(marker))
    torch_file = io.BytesIO()
    torch.save(Touch(marker), torch_file)
    path = tmp_path / "last.safetensors"
    for data in (disguised, torch_file.getvalue(), bomb.getvalue()):
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match="not a checkpoint of charseq"):
            read_checkpoint(path)
    assert not marker.exists()
    pickle.loads(disguised)  # noqa: S301  it would have
    assert marker.exists()


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.marker,)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "last.safetensors")
    with pytest.raises(CheckpointError, match="not a regular file"):
        read_checkpoint(tmp_path / "last.safetensors")

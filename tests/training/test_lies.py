"""Checkpoints and run folders that lie: a checksum is right, as whoever makes one can have it."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from small_runs import run, settings

from charseq.errors import CharseqError
from charseq.models.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from charseq.models.checkpoint_file import CheckpointError

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model.output.bias": torch.zeros(3)}, r"model.output.bias is float32 \(3,\)"),
        ({"optimizer.exp_avg.output.bias": torch.zeros(1)}, r"bias is float32 \(1,\), not float"),
        ({"optimizer.exp_avg.lies": torch.zeros(1)}, r"exp_avg.lies is float32 \(1,\), not None"),
        ({"optimizer.step.output.bias": torch.zeros(5)}, r"\(5,\), not float32 \(\)"),
        ({"optimizer.step.output.bias": torch.tensor(5)}, r"int64 \(\), not float32 \(\)"),
        ({"state.h": torch.zeros(2, 5, 12)}, r"state.h is float32 \(2, 5, 12\), not float"),
        ({"state.c": torch.zeros(2, 4, 12).double()}, r"state.c is float64 \(2, 4, 12\), not fl"),
        ({"random.cpu": torch.zeros(8, dtype=torch.uint8)}, r"random.cpu is uint8 \(8,\)"),
        ({"random.cpu": torch.get_rng_state().float()}, r"random.cpu is float32"),
        ({"random.cpu": torch.full_like(torch.get_rng_state(), 255)}, "its random generator is no"),
        ({"random.cuda": torch.zeros(3)}, None),  # of another device: it is not read
    ],
)
def test_only_what_fits_goes_into_a_training(
    tmp_path: Path, change: dict[str, torch.Tensor], message: str | None
) -> None:
    run(settings(tmp_path, max_steps=5), tmp_path / "run")
    last = tmp_path / "run" / "last.safetensors"
    good = read_checkpoint(last)
    write_checkpoint(last, Checkpoint(good.config, good.vocab, good.tensors | change, good.extra))
    refused = pytest.raises(CheckpointError, match=message) if message else nullcontext()
    with refused:
        run(settings(tmp_path), tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    "name", [".pid", ".lock", ".new.tmp", ".config.yaml.tmp", "metrics.jsonl", "last.safetensors"]
)
def test_a_link_in_a_run_folder_leads_nowhere(tmp_path: Path, name: str) -> None:
    """A folder from a stranger: what a file of it points to is not written to."""
    run(settings(tmp_path, max_steps=5), tmp_path / "run")
    file, precious = tmp_path / "run" / name, tmp_path / "precious"
    precious.write_bytes(file.read_bytes() if file.exists() else b"mine")
    before = precious.read_bytes()
    file.unlink(missing_ok=True)
    file.symlink_to(precious)
    refused = pytest.raises(CharseqError, match="cannot be written") if name == ".lock" else None
    with refused or nullcontext():
        run(settings(tmp_path), tmp_path / "run", resume=True)
    assert precious.read_bytes() == before


@pytest.mark.parametrize("progress", [None, [], {"step": "many"}, {"lies": 1}, {"best_value": 3}])
def test_counters_that_are_none_are_refused(tmp_path: Path, progress: object) -> None:
    run(settings(tmp_path, max_steps=5), tmp_path / "run")
    last = tmp_path / "run" / "last.safetensors"
    good = read_checkpoint(last)
    extra = {**good.extra, "progress": progress}
    write_checkpoint(last, Checkpoint(good.config, good.vocab, good.tensors, extra))
    with pytest.raises(CheckpointError, match="its counters cannot be read"):
        run(settings(tmp_path), tmp_path / "run", resume=True)

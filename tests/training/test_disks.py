"""Disks that are full, with a limit to the size of files in the place of one."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from small_runs import log_of, run, settings

from charseq.errors import SaveError
from charseq.models.checkpoint import read_checkpoint
from charseq.training.events import (
    Event,
    Saved,
    SaveFailed,
    Started,
    Step,
    Stopped,
)
from charseq.training.loop import train

pytestmark = pytest.mark.usefixtures("own_cache")


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Inside, no file can grow beyond ``size`` bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_full_disk_ends_the_training_and_leaves_every_checkpoint(tmp_path: Path) -> None:
    run(settings(tmp_path, max_steps=20), tmp_path / "run")
    before = contents(tmp_path / "run")
    size = len(before["last.safetensors"])
    with no_file_above(size - 100), pytest.raises(SaveError) as caught:
        run(settings(tmp_path), tmp_path / "run", resume=True)
    assert caught.value.exit_code == 2
    assert str(caught.value) == (
        f"{tmp_path}/run/last.safetensors: the checkpoint cannot be written: File too large;"
        f" the checkpoints there are whole: make room, then `charseq train {tmp_path}/run --resume`"
    )
    after = contents(tmp_path / "run")
    for name in ("last.safetensors", "previous.safetensors", "best.safetensors"):
        assert after[name] == before[name]
    assert not [name for name in after if name.endswith(".tmp")]
    end = run(settings(tmp_path), tmp_path / "run", resume=True)[-1]
    assert isinstance(end, Stopped)
    assert end.finished


def test_a_training_may_go_on_and_saves_once_there_is_room(tmp_path: Path) -> None:
    run(settings(tmp_path), tmp_path / "whole")
    config = settings(tmp_path, on_save_error="continue")
    run(settings(tmp_path, max_steps=5), tmp_path / "run")
    size = (tmp_path / "run" / "last.safetensors").stat().st_size
    limit = no_file_above(size - 100)
    events: list[Event] = []
    for event in train(config, run=tmp_path / "run", resume=True, device="cpu"):
        if isinstance(event, Started):
            limit.__enter__()
        if isinstance(event, Step) and event.step == 25:
            limit.__exit__(None, None, None)
        events.append(event)
    failed = [event for event in events if isinstance(event, SaveFailed)]
    assert [event.step for event in failed] == [10, 20]  # best of 20 is small enough
    assert failed[0].why.endswith(
        "/last.safetensors: the checkpoint cannot be written: File too large"
    )
    assert [event.step for event in events if isinstance(event, Saved)] == [30, 40]
    whole, found = (
        read_checkpoint(tmp_path / name / "last.safetensors").tensors for name in ("whole", "run")
    )
    assert all(torch.equal(found[name], tensor) for name, tensor in whole.items())


def test_the_log_is_never_torn_and_what_did_not_fit_comes_later(tmp_path: Path) -> None:
    config = settings(tmp_path, on_save_error="continue", log_every=1, max_steps=30)
    limit = no_file_above(1500)
    for event in train(config, run=tmp_path / "run", device="cpu"):
        if isinstance(event, Step) and event.step == 2:
            limit.__enter__()
        if isinstance(event, SaveFailed) and event.step == 18:
            assert (tmp_path / "run" / "metrics.jsonl").read_bytes().endswith(b"}\n")
            limit.__exit__(None, None, None)
    steps = [line["step"] for line in log_of(tmp_path / "run") if line["event"] == "step"]
    assert steps == list(range(1, 31))


def test_the_last_chance_to_save_is_an_error_even_then(tmp_path: Path) -> None:
    run(settings(tmp_path, max_steps=5), tmp_path / "run")
    size = (tmp_path / "run" / "last.safetensors").stat().st_size
    config = settings(tmp_path, on_save_error="continue", max_steps=12)
    with no_file_above(size - 100), pytest.raises(SaveError):
        run(config, tmp_path / "run", resume=True)


def test_a_best_checkpoint_that_could_not_be_written_is_not_the_best(tmp_path: Path) -> None:
    config = settings(tmp_path, on_save_error="continue", eval_every=10)
    limit = no_file_above(3000)
    for event in train(config, run=tmp_path / "run", device="cpu"):
        if isinstance(event, Started):
            limit.__enter__()
        if isinstance(event, SaveFailed) and event.step == 20:
            limit.__exit__(None, None, None)
    progress = read_checkpoint(tmp_path / "run" / "last.safetensors").extra["progress"]
    best = read_checkpoint(tmp_path / "run" / "best.safetensors").extra["progress"]
    assert progress["best_step"] == best["best_step"] == best["step"] > 20


def test_a_best_that_could_not_be_written_is_still_no_reason_to_learn_more_slowly(
    tmp_path: Path,
) -> None:
    config = settings(tmp_path, on_save_error="continue", schedule="plateau", eval_every=10)
    rates = []
    limit = no_file_above(3000)
    for event in train(config, run=tmp_path / "run", device="cpu"):
        if isinstance(event, Started):
            limit.__enter__()
        if isinstance(event, Step):
            rates.append(event.learning_rate)
            if event.step == 15:
                limit.__exit__(None, None, None)
    assert rates[:4] == [0.01] * 4  # up to step 20: the first evaluation is the best there is

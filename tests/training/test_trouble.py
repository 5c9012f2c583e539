"""Training in trouble: numbers gone wrong, disks that are full, processes that were killed."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from charseq.config import config_from_json
from charseq.config.schema import LMConfig
from charseq.errors import NotFiniteError, SaveError
from charseq.models.checkpoint import Checkpoint, CheckpointError, read_checkpoint, write_checkpoint
from charseq.models.language_model import LanguageModel
from charseq.text.cache import cache_folder
from charseq.training.events import (
    Event,
    RolledBack,
    Saved,
    SaveFailed,
    Spike,
    Started,
    Step,
    Stopped,
)
from charseq.training.loop import train
from charseq.training.spikes import FEWEST, Usual


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the kernel that is built already: processes are started here."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "kernels").symlink_to(cache_folder() / "kernels")
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))


def settings(folder: Path, **train_settings: Any) -> LMConfig:
    text = folder / "text.txt"
    if not text.exists():
        rng = random.Random(0)
        text.write_text("".join(rng.choice(["hot cold. ", "day night. "]) for _ in range(500)))
    data = {
        "data": {"text": str(text)},
        "model": {"hidden_size": 12, "num_layers": 2},
        "train": {
            "batch_size": 4,
            "seq_len": 9,
            "max_steps": 40,
            "warmup_steps": 0,
            "learning_rate": 0.01,
            "schedule": "constant",
            "eval_every": 20,
            "save_every": 10,
            "log_every": 5,
            **train_settings,
        },
    }
    config = config_from_json(data, where="the test")
    assert isinstance(config, LMConfig)
    return config


def run(config: LMConfig, folder: Path, **options: Any) -> list[Event]:
    return list(train(config, run=folder, device="cpu", **options))


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


# -- numbers gone wrong


Poison = Callable[[LanguageModel, torch.optim.Optimizer], None]


def break_weight(model: LanguageModel, _: torch.optim.Optimizer) -> None:
    model.lstm.get_parameter("weight_hh_l1").data[2 * 12 + 3, 2] = torch.nan


def break_embedding_of_the_output(model: LanguageModel, _: torch.optim.Optimizer) -> None:
    model.output.bias.data[1] = -torch.inf


def break_optimizer(model: LanguageModel, optimizer: torch.optim.Optimizer) -> None:
    optimizer.state[model.output.weight]["exp_avg"][1, 2] = torch.nan


def break_its_square(model: LanguageModel, optimizer: torch.optim.Optimizer) -> None:
    """Infinite: the weight never moves again, and no loss tells."""
    optimizer.state[model.lstm.get_parameter("bias_ih_l0")]["exp_avg_sq"][7] = torch.inf


@contextmanager
def poisoned(at: list[int], how: Poison) -> Iterator[list[float]]:
    """Inside, these updates (from 0, whatever the step) are followed by harm; gives the rates."""
    real, taken, rates = torch.optim.AdamW.step, iter(range(10**6)), []

    def step(self: torch.optim.AdamW, *rest: Any) -> Any:
        models = [o for o in living if isinstance(o, LanguageModel)]
        result = real(self, *rest)
        rates.append(self.param_groups[0]["lr"])
        if next(taken) in at:
            how(models[-1], self)
        return result

    living: list[Any] = []
    made = LanguageModel.__init__

    def remember(self: LanguageModel, *arguments: Any, **options: Any) -> None:
        made(self, *arguments, **options)
        living.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LanguageModel, "__init__", remember)
        patch.setattr(torch.optim.AdamW, "step", step)
        yield rates


@pytest.mark.parametrize(
    ("how", "found"),
    [
        (break_weight, "weights that are not finite: lstm.weight_hh_l1 (gates g)"),
        (break_embedding_of_the_output, "weights that are not finite: output.bias"),
        (break_optimizer, "weights that are not finite: output.weight"),
        (break_its_square, "the optimizer's exp_avg_sq.lstm.bias_ih_l0 is not finite"),
    ],
)
def test_what_is_not_finite_is_found_before_the_next_checkpoint(
    tmp_path: Path, how: Poison, found: str
) -> None:
    with poisoned([13], how), pytest.raises(NotFiniteError) as caught:
        run(settings(tmp_path), tmp_path / "run")
    message = str(caught.value)
    assert found in message
    assert int(message.split(":")[0].removeprefix("step ")) <= 21
    assert caught.value.exit_code == 3
    kept = read_checkpoint(tmp_path / "run" / "last.safetensors")
    assert kept.extra["progress"]["step"] == 10
    assert all(t.isfinite().all() for t in kept.tensors.values() if t.is_floating_point())


def test_a_rollback_goes_back_to_the_last_checkpoint_with_half_the_learning_rate(
    tmp_path: Path,
) -> None:
    config = settings(tmp_path, on_nan="rollback")
    with poisoned([13, 33], break_weight) as rates:
        events = run(config, tmp_path / "run")
    back = [event for event in events if isinstance(event, RolledBack)]
    assert [(one.step, one.learning_rate_factor, one.rollbacks) for one in back] == [
        (10, 0.5, 1),
        (20, 0.25, 2),
    ]
    assert "lstm.weight_hh_l1" in back[0].why
    assert isinstance(events[-1], Stopped)
    assert (events[-1].step, events[-1].finished) == (40, True)
    # 14 updates, back to 10; 20 more until the 34th, at step 30: back to what was saved there
    assert rates[:14] == [0.01] * 14
    assert set(rates[14:34]) == {0.005}
    assert set(rates[34:]) == {0.0025}
    steps = [line["step"] for line in log_of(tmp_path / "run") if line["event"] == "step"]
    assert steps == list(range(5, 41, 5))  # none lost, none twice
    told = [line for line in log_of(tmp_path / "run") if line["event"] == "rolled back"]
    assert [line["step"] for line in told] == [10, 20]


def test_rollbacks_are_bounded_also_over_a_resume(tmp_path: Path) -> None:
    config = settings(tmp_path, on_nan="rollback", max_rollbacks=2)
    with poisoned([12, 14], break_weight):
        list(
            train(
                config,
                run=tmp_path / "run",
                device="cpu",
                should_stop=iter([False] * 16 + [True] * 9).__next__,
            )
        )
    assert read_checkpoint(tmp_path / "run/last.safetensors").extra["progress"]["rollbacks"] == 2
    with poisoned([1], break_weight), pytest.raises(NotFiniteError):
        run(config, tmp_path / "run", resume=True)
    told = [line for line in log_of(tmp_path / "run") if line["event"] == "rolled back"]
    assert [line["rollbacks"] for line in told] == [1, 2]


def test_before_the_first_checkpoint_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    with poisoned([3], break_weight), pytest.raises(NotFiniteError, match="none was written yet"):
        run(settings(tmp_path, on_nan="rollback"), tmp_path / "run")


def test_a_spike_is_logged_once_and_does_not_become_usual() -> None:
    rng, usual = random.Random(0), Usual()
    losses = [2.0 + rng.gauss(0, 0.05) for _ in range(2000)]
    assert sum(usual.is_spike(loss) for loss in losses) == 0
    assert usual.loss == pytest.approx(2.0, abs=0.03)
    assert usual.deviation == pytest.approx(0.05 * (2 / 3.14159) ** 0.5, rel=0.3)
    assert [usual.is_spike(3.0) for _ in range(3)] == [True] * 3
    assert not usual.is_spike(2.05)
    sure = Usual()  # of a model that is nearly always right, a batch is ten times as hard as usual
    assert not any(sure.is_spike(loss) for loss in [0.001] * 100 + [0.015])
    early = Usual()
    assert not any(early.is_spike(loss) for loss in [1.0] * (FEWEST - 1) + [50.0])


def test_a_spike_in_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = LanguageModel.loss, iter(range(10**6))

    def jump(self: LanguageModel, *arguments: Any) -> Any:
        loss, count, state = real(self, *arguments)
        return (loss + 9.0 * count if next(calls) == 70 else loss), count, state

    monkeypatch.setattr(LanguageModel, "loss", jump)
    events = run(settings(tmp_path, max_steps=80), tmp_path / "run")
    (spike,) = (event for event in events if isinstance(event, Spike))
    assert spike.step == 71
    assert spike.loss - spike.usual == pytest.approx(9.0, abs=1.0)
    (line,) = (line for line in log_of(tmp_path / "run") if line["event"] == "spike")
    assert line == {"event": "spike", "step": 71, "loss": spike.loss, "usual": spike.usual}


# -- disks


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
    assert "the checkpoint cannot be written: File too large" in str(caught.value)
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
    failed = [event.step for event in events if isinstance(event, SaveFailed)]
    assert failed == [10, 20]  # best of 20 is small enough
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


# -- processes


def test_what_a_killed_process_left_is_swept_up(tmp_path: Path) -> None:
    run(settings(tmp_path, max_steps=5), tmp_path / "run")
    for name in (".new.tmp", "..new.tmp.tmp", ".best.safetensors.tmp", ".previous.tmp"):
        (tmp_path / "run" / name).write_bytes(b"half of something")
    with (tmp_path / "run" / "metrics.jsonl").open("ab") as file:
        file.write(b'{"event": "step", "st\xff')  # torn by a power cut
    run(settings(tmp_path, max_steps=10), tmp_path / "run", resume=True)
    left = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert left == [
        ".lock",
        "best.safetensors",
        "config.yaml",
        "last.safetensors",
        "metrics.jsonl",
        "previous.safetensors",
    ]
    steps = [line["step"] for line in log_of(tmp_path / "run") if line["event"] == "step"]
    assert steps == [5, 10]


def start(folder: Path, *arguments: str, seed: str = "random") -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "charseq", "train", *arguments, "--device", "cpu"]
    return subprocess.Popen(
        command,
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONHASHSEED": seed},
        preexec_fn=usual_signals,
    )


def usual_signals() -> None:
    """Whoever runs the tests may ignore a signal, as nohup does; a child would inherit that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def long_config(folder: Path) -> str:
    config = settings(folder, max_steps=10**6, log_every=1)
    path = folder / "long.yaml"
    path.write_text(json.dumps(config.model_dump()))
    return str(path)


def wait_for_a_step(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("step"):
            return
    raise AssertionError("it ended")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]
)
def test_told_to_stop_it_saves_and_says_how_to_go_on(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process = start(tmp_path, long_config(tmp_path))
    wait_for_a_step(process)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == code
    assert "stopping after this step" in said
    assert said.splitlines()[-1].endswith(" train runs/long --resume --device cpu")
    progress = read_checkpoint(tmp_path / "runs/long/last.safetensors").extra["progress"]
    assert log_of(tmp_path / "runs/long")[-1]["step"] == progress["step"] > 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_told_twice_it_leaves_at_once(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """In the middle of a save that takes forever: nothing of it is left, nor a traceback."""
    run(settings(tmp_path, max_steps=5), tmp_path / "runs" / "long")
    before = (tmp_path / "runs/long/last.safetensors").read_bytes()
    program = (
        "import os, sys, time\n"
        "def forever(number):\n"
        "    print('saving', flush=True)\n"
        "    time.sleep(100)\n"
        "import charseq.models.checkpoint as checkpoint\n"
        "checkpoint.os.fsync = forever\n"
        "checkpoint.sync_folder = lambda path: None\n"
        "import charseq.training.run as run\n"
        "run._replace = lambda path, text: path.write_text(text)\n"
        "run.RunFolder._write_log = lambda self, to_disk: None\n"
        "from charseq.cli.app import main\n"
        "sys.argv = ['charseq', 'train', 'runs/long', '--resume', '--set', 'train.max_steps=10']\n"
        "main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=usual_signals,
    ) as process:
        assert process.stdout is not None
        while "saving" not in process.stdout.readline():
            pass
        process.send_signal(number)
        while "stopping" not in process.stdout.readline():
            pass
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert (tmp_path / "runs/long/last.safetensors").read_bytes() == before
    assert not list((tmp_path / "runs/long").glob("*.tmp"))
    assert not list((tmp_path / "runs/long").glob(".*.tmp"))


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    first = start(tmp_path, long_config(tmp_path))
    wait_for_a_step(first)
    second = start(tmp_path, "runs/long", "--resume")
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 2
    assert f"runs/long: process {first.pid} trains in this folder" in said
    first.kill()
    first.communicate()
    third = start(tmp_path, "runs/long", "--resume", "--set", "train.max_steps=1")
    said, _ = third.communicate(timeout=60)
    assert third.returncode == 0, said


def test_whoever_reads_beside_a_training_reads_a_whole_checkpoint(tmp_path: Path) -> None:
    run(settings(tmp_path, max_steps=1), tmp_path / "runs" / "long")
    config = json.loads(Path(long_config(tmp_path)).read_text())
    config["train"] |= {"save_every": 1, "eval_every": 1}
    (tmp_path / "long.yaml").write_text(json.dumps(config))
    with start(tmp_path, "long.yaml", "--resume", "--quiet") as process:
        seen: set[tuple[str, int]] = set()
        while len(seen) < 100:
            for name in ("last", "previous", "best"):
                path = tmp_path / "runs" / "long" / f"{name}.safetensors"
                if path.exists():
                    seen.add((name, read_checkpoint(path).extra["progress"]["step"]))
        process.kill()
    assert len({step for name, step in seen if name == "last"}) > 10


def test_the_same_seed_gives_the_same_bits_in_every_process(tmp_path: Path) -> None:
    """Sets and dictionaries in another order make no difference."""
    config = tmp_path / "short.yaml"
    config.write_text(json.dumps(settings(tmp_path, max_steps=12).model_dump()))
    for seed in ("0", "1", "424242"):
        process = start(tmp_path, str(config), "--run", seed, "--quiet", seed=seed)
        said, _ = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, "")
    first, *others = (
        read_checkpoint(tmp_path / seed / "last.safetensors").tensors
        for seed in ("0", "1", "424242")
    )
    for other in others:
        assert list(first) == list(other)
        assert all(torch.equal(other[name], tensor) for name, tensor in first.items())


# -- checkpoints that lie: their checksum is right, as whoever makes one can have it


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model.output.bias": torch.zeros(3)}, r"model.output.bias is \(3,\)"),
        ({"optimizer.exp_avg.output.bias": torch.zeros(1)}, r"exp_avg.output.bias is \(1,\)"),
        ({"optimizer.exp_avg.lies": torch.zeros(1)}, r"exp_avg.lies is \(1,\), not None"),
        ({"optimizer.step.output.bias": torch.zeros(5)}, r"step.output.bias is \(5,\), not \(\)"),
        ({"state.h": torch.zeros(2, 5, 12)}, r"state.h is \(2, 5, 12\), not \(2, 4, 12\)"),
        ({"random.cpu": torch.zeros(8, dtype=torch.uint8)}, r"random.cpu is \(8,\)"),
    ],
)
def test_only_what_fits_goes_into_a_training(
    tmp_path: Path, change: dict[str, torch.Tensor], message: str
) -> None:
    run(settings(tmp_path, max_steps=5), tmp_path / "run")
    last = tmp_path / "run" / "last.safetensors"
    good = read_checkpoint(last)
    write_checkpoint(last, Checkpoint(good.config, good.vocab, good.tensors | change, good.extra))
    with pytest.raises(CheckpointError, match=message):
        run(settings(tmp_path), tmp_path / "run", resume=True)


@pytest.mark.parametrize("progress", [None, [], {"step": "many"}, {"lies": 1}, {"best_value": 3}])
def test_counters_that_are_none_are_refused(tmp_path: Path, progress: object) -> None:
    run(settings(tmp_path, max_steps=5), tmp_path / "run")
    last = tmp_path / "run" / "last.safetensors"
    good = read_checkpoint(last)
    extra = {**good.extra, "progress": progress}
    write_checkpoint(last, Checkpoint(good.config, good.vocab, good.tensors, extra))
    with pytest.raises(CheckpointError, match="its counters cannot be read"):
        run(settings(tmp_path), tmp_path / "run", resume=True)

"""Trainings as processes: told to stop, killed, two at once, in every order of a hash."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from small_runs import log_of, run, settings

from charseq.models.checkpoint import read_checkpoint
from charseq.text.cache import cache_folder
from charseq.training.lock import HOLDER, LOCK, hold


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the kernel that is built already: processes are started here."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "kernels").symlink_to(cache_folder() / "kernels")
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))


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


def started(program: str, folder: Path) -> "subprocess.Popen[str]":
    """A program in Python, in a folder, that hears signals as one in a terminal does."""
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=usual_signals,
    )


def wait_for(word: str, process: subprocess.Popen[str]) -> None:
    """Read lines up to one with this word; a process that ends without it fails the test."""
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return
    pytest.fail(f"no {word!r} before the end")


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


def test_told_to_stop_in_a_long_evaluation_it_gives_that_up(tmp_path: Path) -> None:
    config = json.loads(Path(long_config(tmp_path)).read_text())
    (tmp_path / "valid.txt").write_text("hot cold. day night. " * 200_000)
    config["data"]["valid_text"] = str(tmp_path / "valid.txt")
    config["train"]["eval_every"] = 1
    (tmp_path / "long.yaml").write_text(json.dumps(config))
    with start(tmp_path, "long.yaml") as process:
        wait_for_a_step(process)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        began = time.perf_counter()
        process.communicate(timeout=60)
        assert time.perf_counter() - began < 5
    assert process.returncode == 130
    progress = read_checkpoint(tmp_path / "runs/long/last.safetensors").extra["progress"]
    assert (progress["step"], progress["evaluated_step"]) == (1, 0)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_told_to_stop_while_the_text_is_encoded_it_leaves_at_once(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    (tmp_path / "text.txt").write_text("hot cold. day night. " * 400_000)  # sixteen chunks
    program = (
        "import sys, time\n"
        "from charseq.text.vocab import Vocab\n"
        "encode = Vocab.encode\n"
        "def slowly(*arguments, **options):\n"
        "    print('encoding', flush=True)\n"
        "    time.sleep(100)\n"
        "    return encode(*arguments, **options)\n"
        "Vocab.encode = slowly\n"
        "from charseq.cli.app import main\n"
        f"sys.argv = ['charseq', 'train', {long_config(tmp_path)!r}]\n"
        "main()\n"
    )
    with started(program, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "encoding\n"
        process.send_signal(number)
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (code, "")
    assert said == "stopped before the first step; there is nothing to save\n"
    assert not (tmp_path / "runs").exists()
    assert [path.suffix for path in (tmp_path / "cache" / "encoded").iterdir()] == [".lock"]


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
        "import charseq.files, charseq.models.checkpoint as checkpoint\n"
        "charseq.files.os.fsync = forever\n"
        "checkpoint.sync_folder = lambda path: None\n"
        "import charseq.training.files as files, charseq.training.run as run\n"
        "files.replace_file = run.replace_file = lambda path, text: path.write_text(text)\n"
        "run.RunFolder._write_log = lambda self, to_disk: None\n"
        "from charseq.cli.app import main\n"
        "sys.argv = ['charseq', 'train', 'runs/long', '--resume', '--set', 'train.max_steps=10']\n"
        "main()\n"
    )
    with started(program, tmp_path) as process:
        wait_for("saving", process)
        process.send_signal(number)
        process.send_signal(number)  # the same once more, as `timeout` does it
        wait_for("stopping", process)
        time.sleep(0.3)
        assert process.poll() is None
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


@pytest.mark.parametrize("task", ["lm", "seq2seq"])
def test_the_same_seed_gives_the_same_bits_in_every_process(tmp_path: Path, task: str) -> None:
    """Sets and dictionaries in another order make no difference."""
    config = settings(tmp_path, max_steps=12).model_dump()
    if task == "seq2seq":
        rows = [f"{number:b}\tN;{number % 3}\t{number:x}" for number in range(60)]
        (tmp_path / "pairs.tsv").write_text("\n".join(rows))
        columns = {"features_column": 2, "target_column": 3}
        config = {
            "task": task,
            "data": {"train": str(tmp_path / "pairs.tsv"), **columns},
            "model": {"hidden_size": 8, "dropout": 0.2, "copy": True},
            "train": {"max_steps": 12, "batch_size": 4, "scheduled_sampling": 0.2},
        }
    (tmp_path / "short.yaml").write_text(json.dumps(config))
    seeds = ("0", "1", "424242")
    for seed in seeds:
        process = start(tmp_path, "short.yaml", "--run", seed, "--quiet", seed=seed)
        said, _ = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, "")
    first, *others = (
        read_checkpoint(tmp_path / seed / "last.safetensors").tensors for seed in seeds
    )
    for other in others:
        assert list(first) == list(other)
        assert all(torch.equal(other[name], tensor) for name, tensor in first.items())


def test_who_looks_at_a_run_does_not_keep_a_training_from_it(tmp_path: Path) -> None:
    """Where a killed process left its number, a look holds the lock for a moment."""
    (tmp_path / LOCK).touch()
    (tmp_path / HOLDER).write_text("999999")
    program = (
        "from pathlib import Path; from charseq.training.lock import is_held\n"
        "print(flush=True)\nwhile True: is_held(Path('.'))"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as watcher:
        assert watcher.stdout is not None
        watcher.stdout.readline()
        try:
            for _ in range(300):
                with hold(tmp_path, doing="trains", instead="go away"):
                    pass
                (tmp_path / HOLDER).write_text("999999")
        finally:
            watcher.kill()

"""A run folder as others see it: the states it can be in, its figures, what is wrong with it."""

import json
import math
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import stop_after

from charseq.config import Config, config_from_json
from charseq.errors import CharseqError, NotFiniteError
from charseq.inference.load import load_language_model
from charseq.inference.validate import validate
from charseq.training.events import Evaluated, Event, Step
from charseq.training.history import find_runs, read_run
from charseq.training.lock import hold, is_held
from charseq.training.loop import train
from charseq.training.sweep import train_all

STEPS = 30


def fit(folder: Path, stop_at: int | None = None, **settings: Any) -> list[Event]:
    """A training of a moment."""
    stop = (lambda: False) if stop_at is None else stop_after(stop_at)
    return list(train(config_for(folder, **settings), run=folder, device="cpu", should_stop=stop))


def config_for(folder: Path, **settings: Any) -> Config:
    text = folder.parent / "cat.txt"
    text.write_text("the cat sat on the mat. " * 200)
    limits = {"max_steps": STEPS} if "max_minutes" not in settings else {}
    data = {
        "data": {"text": str(text), "split": [0.8, 0.2, 0]},
        "model": {"hidden_size": 8},
        "train": {
            "batch_size": 4,
            "seq_len": 8,
            "eval_every": 10,
            "save_every": 10,
            "log_every": 5,
            **limits,
            **settings,
        },
    }
    return config_from_json(data, where="the test")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("runs") / "done"
    fit(folder)
    return folder


@pytest.fixture
def copy(done: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(done, tmp_path / "copy"))


def log_lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_finished_run_has_the_figures_of_its_training(tmp_path: Path) -> None:
    events = fit(tmp_path / "run")
    scores = [event.score for event in events if isinstance(event, Evaluated)]
    run = read_run(tmp_path / "run")
    assert (run.state, run.why, run.ended) == ("done", "all 30 steps are done", True)
    assert (run.step, run.total_steps) == (STEPS, STEPS)
    assert [one.nats for one in run.evaluations] == [score.nats for score in scores]
    best = min(range(3), key=lambda i: scores[i].nats)
    assert run.best == run.evaluations[best]
    assert run.best.bpc == pytest.approx(scores[best].nats / math.log(2))
    model = load_language_model(tmp_path / "run").model
    assert run.parameters == sum(p.numel() for p in model.parameters())
    speeds = [line["symbols_per_second"] for line in log_lines(tmp_path / "run") if "loss" in line]
    assert run.speed is not None
    assert min(speeds) <= run.speed <= max(speeds)


def test_a_stopped_run_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    fit(tmp_path / "run", stop_at=14)
    run = read_run(tmp_path / "run")
    assert (run.state, run.step, run.total_steps, run.ended) == ("stopped", 14, STEPS, False)


def test_a_killed_run_is_as_far_as_what_it_saved(copy: Path) -> None:
    """The log is ahead of the checkpoint, or there is none."""
    (copy / "last.safetensors").unlink()  # previous: step 20
    assert read_run(copy).step == 20
    assert read_run(copy).state == "stopped"
    (copy / "previous.safetensors").unlink()
    (copy / "best.safetensors").unlink()
    lines = (copy / "metrics.jsonl").read_text().splitlines(keepends=True)
    (copy / "metrics.jsonl").write_text("".join(lines[:1]))
    run = read_run(copy)
    assert (run.state, run.why, run.parameters) == ("stopped", "before its first checkpoint", None)


def test_a_run_that_was_killed_before_its_only_save_is_not_done(copy: Path) -> None:
    """Its last step is in the log: a sweep must train it again."""
    for name in ("last", "previous"):
        (copy / f"{name}.safetensors").unlink()
    run = read_run(copy)
    assert log_lines(copy)[-1]["step"] == STEPS
    assert (run.state, run.ended, run.why) == ("stopped", False, "before its first checkpoint")


def test_a_run_that_was_stopped_in_its_last_evaluation_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()

    def validate_and_look_up(*arguments: Any, between: Callable[[], object]) -> Any:
        between()
        return validate(*arguments, between=between)

    monkeypatch.setattr("charseq.training.loop.validate", validate_and_look_up)
    folder = tmp_path / "run"
    config = config_for(folder, eval_every=STEPS)
    for event in train(config, run=folder, device="cpu", should_stop=stop.is_set):
        if isinstance(event, Step) and event.step == STEPS:
            stop.set()
    run = read_run(folder)
    assert (run.state, run.ended, run.step, run.best) == ("stopped", False, STEPS, None)
    list(train_all([folder], jobs=1, device="cpu"))
    run = read_run(folder)
    assert (run.state, run.ended, run.step) == ("done", True, STEPS)
    assert run.best is not None


def test_each_limit_ends_a_run(tmp_path: Path) -> None:
    fit(tmp_path / "minutes", max_minutes=1e-6)
    assert read_run(tmp_path / "minutes").why == "1e-06 minutes are over"
    fit(tmp_path / "epochs", max_epochs=0.1)
    epochs = read_run(tmp_path / "epochs")
    steps_per_epoch = 4800 * 0.8 / (4 * 8)
    assert epochs.step == epochs.total_steps == math.ceil(0.1 * steps_per_epoch)
    assert epochs.state == "done"
    fit(tmp_path / "patience", patience=1, learning_rate=9.0, eval_every=1)
    patience = read_run(tmp_path / "patience")
    assert patience.step < STEPS
    assert patience.ended


def test_where_somebody_trains_it_runs(copy: Path) -> None:
    assert not is_held(copy)
    with hold(copy, doing="trains", instead="wait"):
        assert is_held(copy)
        assert read_run(copy).state == "running"
        with pytest.raises(CharseqError, match=f"process {os.getpid()} trains in this folder"):
            hold(copy, doing="trains", instead="wait").__enter__()
    assert read_run(copy).state == "done"


def test_a_killed_process_runs_no_more(copy: Path) -> None:
    (copy / ".pid").write_text(str(os.getpid()))  # alive, but another program has its number
    assert not is_held(copy)


def test_a_nan_ends_a_run_and_is_forgotten_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, taken = torch.optim.AdamW.step, iter(range(1, 100))

    def step(self: torch.optim.AdamW, *rest: Any) -> Any:
        result = real(self, *rest)
        if next(taken) == 14:
            self.param_groups[0]["params"][0].data.fill_(torch.nan)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", step)
        with pytest.raises(NotFiniteError):
            fit(tmp_path / "run")
    run = read_run(tmp_path / "run")
    assert (run.state, run.why, run.ended) == ("diverged", "NaN or infinity at step 15", True)
    assert run.step == 10  # the last checkpoint
    config = run.config
    assert config is not None
    list(train(config, run=tmp_path / "run", resume=True, device="cpu"))
    assert read_run(tmp_path / "run").state == "done"
    assert "not finite" not in {line["event"] for line in log_lines(tmp_path / "run")}


def test_a_run_that_was_worse_than_guessing_diverged(copy: Path) -> None:
    lines = log_lines(copy)
    next(line for line in lines if line["event"] == "evaluated")["diverged"] = True
    (copy / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = read_run(copy)
    assert (run.state, run.why, run.ended) == ("diverged", "worse than guessing at step 10", True)


def test_a_half_written_last_line_is_no_mistake(copy: Path) -> None:
    whole = read_run(copy)
    with (copy / "metrics.jsonl").open("a") as file:
        file.write('{"event": "evaluated", "step": 4')
    assert read_run(copy).evaluations == whole.evaluations


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        (
            "config.yaml",
            "data: {text: a}\nmodel: {hidden_siz: 3}\n",
            "config.yaml:2:9: model.hidden_siz: unknown",
        ),
        ("config.yaml", None, "config.yaml is missing"),
        ("metrics.jsonl", "nonsense\n{}\n", "metrics.jsonl:1: no line of a log"),
        (
            "metrics.jsonl",
            '{"event": "step", "step": 1}\n{}\n',
            "metrics.jsonl:1: no line of a log",
        ),
        ("last.safetensors", "nonsense", "last.safetensors: not a checkpoint of charseq"),
    ],
)
def test_a_folder_that_cannot_be_read_is_a_row_that_says_why(
    copy: Path, file: str, content: str | None, why: str
) -> None:
    for other in ("previous.safetensors", "best.safetensors"):
        (copy / other).unlink()
    (copy / file).unlink()
    if content is not None:
        (copy / file).write_text(content)
    [run] = find_runs(copy)
    assert run.state == "unreadable"
    assert run.why.startswith(why)
    assert not run.ended


def test_runs_are_found_however_deep_and_links_lead_nowhere_twice(
    done: Path, tmp_path: Path
) -> None:
    shutil.copytree(done, tmp_path / "a" / "b" / "deep")
    shutil.copytree(done, tmp_path / ".hidden" / "run")
    (tmp_path / "a" / "round").symlink_to(tmp_path)
    (tmp_path / "elsewhere").symlink_to(done)
    assert {run.path.relative_to(tmp_path).as_posix() for run in find_runs(tmp_path)} == {
        "a/b/deep",
        "elsewhere",
    }
    with pytest.raises(CharseqError, match="no such folder"):
        find_runs(tmp_path / "nothing")


def test_torch_is_not_imported_to_read_a_run(done: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from charseq.training.history import read_run;"
        "print(read_run(Path(sys.argv[1])).state, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(done)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == (
        "done False\n"
    )

"""``charseq sweep`` as it is typed: stopped and gone on with, refused before anything begins."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from charseq.cli.app import app
from charseq.config import load_config
from charseq.config.grid import plan
from charseq.errors import CharseqError, ConfigError
from charseq.training.history import find_runs, read_run
from charseq.training.loop import train
from charseq.training.sweep import lay_out, threads_a_job

STEPS = 1000
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    Path("cat.txt").write_text("the cat sat on the mat. " * 200)
    Path("cat.yaml").write_text(
        "data: {text: cat.txt}\nmodel: {hidden_size: 8, backend: torch}\n"
        f"train: {{batch_size: 4, seq_len: 8, max_steps: {STEPS}, eval_every: 500,"
        " save_every: 500, log_every: 20}\n"
    )
    return tmp_path


def charseq(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def started(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-W", "error", "-m", "charseq", "sweep", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(what: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def weights(run: Path) -> bytes:
    return (run / "best.safetensors").read_bytes()


def test_ctrl_c_stops_the_trainings_which_go_on_as_if_nothing_had_been() -> None:
    arguments = ["cat.yaml", "--over", "model.dropout=0,0.5", "--jobs", "2", "--device", "cpu"]
    sweep = started(*arguments)
    runs = [Path(f"runs/cat-sweep/dropout={x}/seed-0") for x in ("0.0", "0.5")]
    wait_for(lambda: any(run.exists() and read_run(run).step >= 40 for run in runs))
    with pytest.raises(CharseqError, match=f"process {sweep.pid} trains in this folder"):
        charseq("sweep", "runs/cat-sweep")
    sweep.send_signal(signal.SIGINT)
    out, err = sweep.communicate(timeout=60)
    assert sweep.returncode == 130, err
    assert out.splitlines()[-1].endswith(" sweep runs/cat-sweep --jobs 2 --device cpu")
    stopped = [read_run(run) for run in runs]
    assert {run.state for run in stopped} <= {"stopped", "not started"}  # as fast as each began
    assert 0 < max(run.step for run in stopped) < STEPS

    again = charseq("sweep", "runs/cat-sweep", "--jobs", "2", "--device", "cpu")
    assert again.exit_code == 0
    assert "go on with" not in again.output
    best, other = sorted(runs, key=lambda run: read_run(run).best.nats)  # type: ignore[union-attr]
    *_, first, second = again.output.splitlines()
    assert first.endswith(f" eval {best}")
    assert second.endswith(f" runs compare {best} {other}")
    assert [read_run(run).state for run in runs] == ["done", "done"]
    config = load_config(Path("cat.yaml"), ["model.dropout=0.5"])
    list(train(config, run="alone", device="cpu"))
    alone, swept = read_run(Path("alone")), read_run(runs[1])
    assert [one.nats for one in swept.evaluations] == [one.nats for one in alone.evaluations]

    before = {run: weights(run) for run in runs}
    third = charseq("sweep", *arguments)
    assert "2 runs, 2 of them finished before" in third.output
    assert {run: weights(run) for run in runs} == before
    assert [run.changed for run in find_runs(Path("runs"))] == [read_run(r).changed for r in runs]


def test_nothing_begins_before_all_is_valid() -> None:
    with pytest.raises(ConfigError) as caught:
        charseq("sweep", "cat.yaml", "--over", "model.dropout=0.1,1.5", "--over", "model.x=1,2")
    assert sorted(caught.value.problems) == [
        "--over model.dropout=1.5: model.dropout: must be below 1, found 1.5",
        "--over model.x=1: model.x: unknown key",
    ]
    with pytest.raises(ConfigError, match=r"dog\.txt: there is no such file"):
        charseq("sweep", "cat.yaml", "--over", "data.text=cat.txt,dog.txt")
    with pytest.raises(ConfigError) as caught:
        charseq("sweep", "cat.yaml", "--over", "train.init_from=no,none")
    assert [problem.count("train.init_from: ") for problem in caught.value.problems] == [1, 1]
    with pytest.raises(CharseqError, match="name a file that ends in"):
        charseq("sweep", "cat.yaml", "--plot", "x.gif")
    assert not Path("runs").exists()


def laid_out(*arguments: str) -> Result:
    """A sweep whose time is over before it begins."""
    return charseq("sweep", "cat.yaml", *arguments, "--minutes", "0", "--device", "cpu")


def test_a_sweep_without_time_is_laid_out_and_says_how_to_go_on() -> None:
    result = laid_out("--over", "model.dropout=0.1,0.3", "--seeds", "2")
    assert result.exit_code == 0
    assert "0 minutes are over" in result.output
    assert result.output.splitlines()[-1].endswith("sweep runs/cat-sweep --device cpu")
    found = find_runs(Path("runs"))
    assert [run.state for run in found] == ["not started"] * 4
    assert [run.path.as_posix() for run in found] == [
        f"runs/cat-sweep/dropout={x}/seed-{seed}" for x in (0.1, 0.3) for seed in (0, 1)
    ]
    [one] = {run.config.train.max_steps for run in found if run.config}
    assert one == STEPS


def test_another_configuration_is_refused_and_other_values_are_not() -> None:
    laid_out("--over", "model.dropout=0.1,0.3")
    mine = Path("runs/cat-sweep/dropout=0.1/seed-0/config.yaml")  # as after train RUN --set …
    mine.write_text(mine.read_text().replace(f"max_steps: {STEPS}", "max_steps: 7"))
    with pytest.raises(CharseqError) as caught:
        laid_out("--over", "model.dropout=0.1,0.3", "--set", "train.learning_rate=0.5")
    assert "train.learning_rate was 0.005 and is 0.5; set it back" in str(caught.value)
    laid_out("--over", "model.dropout=0.1,0.5", "--seeds", "2")
    laid_out("--over", "train.learning_rate=0.5")
    assert len(find_runs(Path("runs"))) == 6
    assert "max_steps: 7\n" in mine.read_text()


def test_a_sweep_knows_what_it_tries() -> None:
    laid_out("--over", "model.dropout=0.1,0.3")
    with pytest.raises(CharseqError, match="--set: runs/cat-sweep is the folder of a sweep"):
        charseq("sweep", "runs/cat-sweep", "--set", "model.dropout=0.2")
    Path("other").mkdir()
    with pytest.raises(CharseqError, match="other: is not the folder of a sweep"):
        charseq("sweep", "other")
    with pytest.raises(CharseqError, match="other: holds no runs"):
        charseq("sweep", "other", "--report")


def test_a_training_that_fails_is_told_and_the_others_go_on() -> None:
    text = "train: {batch_size: 4, seq_len: 8, max_steps: 3, eval_every: 3, log_every: 1}\n"
    Path("cat.yaml").write_text(
        "data: {text: cat.txt}\nmodel: {hidden_size: 4, backend: torch}\n" + text
    )
    result = charseq("sweep", "cat.yaml", "--over", "train.batch_size=9000,4", "--device", "cpu")
    assert result.exit_code == 2
    states = {run.path.parent.name: run.state for run in find_runs(Path("runs"))}
    assert states == {"batch_size=9000": "not started", "batch_size=4": "done"}
    assert "9000" in result.output + (result.stderr or "")
    data = json.loads(charseq("sweep", "runs/cat-sweep", "--report", "--json").stdout)
    asked = charseq("sweep", "cat.yaml", "--over", "model.dropout=0,0.5", "--report")
    assert "batch_size" in asked.stdout
    assert "note: --report shows what stands in runs/cat-sweep, whatever is to be" in asked.stderr
    assert data["ranked_by"] == "loss"
    assert [one["n"] for one in data["settings"]] == [1, 0]
    [best] = read_run(Path("runs/cat-sweep/batch_size=4/seed-0")).evaluations
    assert data["settings"][0]["measures"]["loss"] == {"mean": best.nats, "sd": None}


def test_threads_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads_a_job(10) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "4,2")  # of loops within loops: there are none
    assert threads_a_job(10) == 4
    monkeypatch.delenv("OMP_NUM_THREADS")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert cores
    assert threads_a_job(1) == cores
    assert threads_a_job(cores) == 1
    assert threads_a_job(10 * cores) == 1


def test_a_setting_that_was_tried_in_between_still_has_to_be_what_it_was() -> None:
    laid_out("--over", "model.dropout=0.1,0.3")
    laid_out("--over", "model.dropout=0.1", "--over", "train.learning_rate=1e-3,5e-3")
    with pytest.raises(CharseqError, match=r"learning_rate was 0\.005 and is 0\.007; set it back"):
        laid_out("--over", "model.dropout=0.1,0.3", "--set", "train.learning_rate=7e-3")


def test_links_in_a_sweep_lead_nowhere(tmp_path: Path) -> None:
    planned = plan(Path("cat.yaml"), (), ["model.dropout=0.5"])
    (tmp_path / "mine").mkdir()
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep/dropout=0.5").symlink_to(tmp_path / "mine")
    with pytest.raises(CharseqError, match="leads to somewhere else"):
        lay_out(tmp_path / "sweep", planned, {})
    assert not list((tmp_path / "mine").iterdir())
    (tmp_path / "sweep/dropout=0.5").unlink()
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "sweep/.sweep.json.tmp").symlink_to(tmp_path / "victim")
    lay_out(tmp_path / "sweep", planned, {})
    assert (tmp_path / "victim").read_text() == "mine"


def test_a_folder_that_was_planned_for_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    lay_out(tmp_path / "sweep", [], {})
    with pytest.raises(CharseqError, match="holds no runs"):
        charseq("sweep", str(tmp_path / "sweep"))


def test_a_shape_that_what_it_begins_with_has_not_is_refused_before_anything_begins() -> None:
    charseq("train", "cat.yaml", "--set", "train.max_steps=2", "--device", "cpu")
    from_it = ["--set", "train.init_from=runs/cat", "--out", "tuned"]
    with pytest.raises(ConfigError, match="hidden_size is 8 there and 16 here"):
        charseq("sweep", "cat.yaml", *from_it, "--over", "model.hidden_size=16,8")
    assert not Path("tuned").exists()


def test_a_training_that_was_killed_is_named_with_the_signal() -> None:
    process = started(
        "cat.yaml", "--seeds", "1", "--device", "cpu", "--set", "train.max_steps=90000"
    )
    seed = Path("runs/cat-sweep/seed-0")
    wait_for(lambda: read_run(seed).step > 0 if (seed / "metrics.jsonl").exists() else False)
    os.kill(int((seed / ".pid").read_text()), signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "error: seed-0: was killed by SIGKILL, perhaps for want of memory" in errors

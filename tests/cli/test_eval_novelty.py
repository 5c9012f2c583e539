"""``charseq eval --novelty`` of a model that knows its text by heart, and of one that does not."""

import json
import re
from pathlib import Path

import pytest
from evaluating import TEXT, load_text, refused, run
from rich.console import Console

import charseq.cli.eval_novelty as command
from charseq.inference.novelty import LongestCopy, Novelty

pytest_plugins = ["text_models"]


def test_what_is_sampled_is_compared_with_held_out_text(
    run_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charseq.inference.novelty.LENGTHS", (3, 40))  # of random weights
    options = ["--characters", "500", "--temperature", "1.5", "--seed", "7"]
    report = json.loads(run(run_folder, "--novelty", *options, "--json"))
    trained = load_text(run_folder)
    train = TEXT[: round(0.8 * len(TEXT))]
    texts = [
        "".join(text) for text in trained.streams(None, range(7, 19), length=42, temperature=1.5)
    ]
    texts[-1] = texts[-1][: 500 - 11 * 42]
    inside = 0
    for text in texts:
        covered = set()
        for start in range(len(text) - 2):
            if text[start : start + 3] in train:
                covered |= set(range(start, start + 3))
        inside += len(covered)
    sampled = report["sampled"]
    assert (sampled["symbols"], report["temperature"], report["seed"]) == (500, 1.5, 7)
    assert 0 < inside < 500
    assert sampled["copied"]["3"] == pytest.approx(inside / 500)
    longest = sampled["longest"]
    line, column = longest["line"], longest["column"]
    at = sum(map(len, train.splitlines(keepends=True)[: line - 1])) + column - 1
    assert train[at : at + longest["length"]] == longest["text"]
    # The text repeats one line: what is held out is copied altogether.
    assert report["held_out"]["copied"]["40"] == 1.0
    assert report["held_out_text"] == "valid text of the run"
    assert report["training_symbols"] == len(train)
    assert json.loads(run(run_folder, "--novelty", *options, "--json")) == report
    shown = run(run_folder, "--novelty", *options)
    assert re.search(rf"^3 or more +{inside / 500:.1%} +100\.0%", shown, re.MULTILINE)
    assert "temperature 1.5, seed 7" in shown


def test_another_text_takes_the_place_of_held_out_text(run_folder: str, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("tac eht tas\nno eht tam" * 3)
    arguments = [run_folder, "--novelty", "--characters", "60", "--data", str(other), "--json"]
    report = json.loads(run(*arguments))
    assert report["held_out_text"] == str(other)
    assert report["held_out"]["copied"]["10"] == 0.0
    assert report["held_out"]["longest"]["length"] < 10


def test_nothing_is_no_yardstick(run_folder: str, tmp_path: Path) -> None:
    strange = tmp_path / "strange.txt"
    strange.write_text("ξένος")
    message = refused(run_folder, "--novelty", "--data", str(strange), "--unknown", "skip")
    assert message == "--novelty: nothing of the held-out text is left to compare with"


def test_a_copy_is_shown_escaped_and_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=60, color_system=None)
    monkeypatch.setattr(command, "SHOWN", 5)
    found = Novelty(9, {10: 0.5}, LongestCopy("\x1b[1m\nabc", 8, 3, 4))
    with console.capture() as captured:
        command._show(console, {"sampled": found}, "characters", "my\x1btext")
    shown = captured.get()
    assert "\x1b" not in shown
    assert r"longest run sampled, at my\x1btext:3:4" in shown
    assert "\\x1b[1m\\n … 3 more" in shown


def test_a_run_without_validation_text_has_no_yardstick(run_folder: str) -> None:
    file = Path(run_folder) / "config.yaml"
    trained = load_text(run_folder)
    data = trained.config.data.model_dump() | {"split": [1.0, 0.0, 0.0]}
    file.write_text(json.dumps({"task": "lm", "data": data}))
    report = json.loads(run(run_folder, "--novelty", "--characters", "60", "--json"))
    assert report["held_out"] is None
    shown = run(run_folder, "--novelty", "--characters", "60")
    assert "none: the run has no validation text" in shown


def test_a_text_that_has_changed_is_not_the_training_text(run_folder: str, tmp_path: Path) -> None:
    from charseq.models.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

    path = Path(run_folder) / "best.safetensors"
    before = read_checkpoint(path)
    extra = {**before.extra, "fingerprint": "of another text"}
    write_checkpoint(path, Checkpoint(before.config, before.vocab, before.tensors, extra))
    assert "has changed since the training" in refused(run_folder, "--novelty")


def test_what_does_not_go_together_is_refused(run_folder: str, tmp_path: Path) -> None:
    for option in (["--characters", "9"], ["--temperature", "1"], ["--seed", "1"]):
        assert refused(run_folder, *option) == f"{option[0]}: goes with --novelty"
    for option in (["--text", "ab"], ["--window", "3"], ["-"]):
        assert "does not go with --novelty" in refused(run_folder, "--novelty", *option)
    assert "--calibration: goes without" in refused(run_folder, "--novelty", "--calibration")
    assert "no held-out text" in refused(run_folder, "--novelty", "--split", "train")
    alone = tmp_path / "alone" / "best.safetensors"
    alone.parent.mkdir()
    alone.write_bytes((Path(run_folder) / "best.safetensors").read_bytes())
    assert "paths inside a checkpoint are not followed" in refused(str(alone), "--novelty")

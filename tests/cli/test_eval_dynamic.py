"""``charseq eval --dynamic``: both values, what they come from, and a run that stays as it is."""

import json
import re
from pathlib import Path

import pytest
from evaluating import app, load_text, refused, run
from typer.testing import CliRunner

from charseq.inference.dynamic import Dynamics, evaluate_dynamic, mean_square_gradients
from charseq.text.corpus import load_corpus

pytest_plugins = ["text_models"]


def test_both_values_beside_each_other_and_nothing_written(run_folder: str) -> None:
    before = {path: path.read_bytes() for path in Path(run_folder).iterdir() if path.is_file()}
    report = json.loads(run(run_folder, "--dynamic", "--json"))
    trained = load_text(run_folder)
    corpus = load_corpus(trained.config.data, trained.vocab)
    how = Dynamics()
    squares = mean_square_gradients(trained.model, corpus.train, how.segment)
    static, dynamic = evaluate_dynamic(trained.model, corpus.valid, how, mean_square=squares)
    assert report["data"] == "valid text of the run"
    assert report["static"] == static.to_json()
    assert report["dynamic"] == dynamic.to_json()
    assert report["dynamic"]["nats"] < report["static"]["nats"]
    assert report["static"]["nats"] == pytest.approx(trained.evaluate().nats, rel=1e-6)
    assert (report["rule"], report["squared_gradients"]) == ("rms", "the training text")
    assert {report[name] for name in ("learning_rate", "decay")} == {how.learning_rate, how.decay}
    shown = run(run_folder, "--dynamic")
    change = dynamic.nats - static.nats
    line = rf"^nats per character +{static.nats:.4f} +{dynamic.nats:.4f} +{change:+.4f}"
    assert re.search(line, shown, re.MULTILINE)
    assert f"{static.bpc:.4f}" in shown
    assert f"{dynamic.bpc:.4f}" in shown
    assert all(path.read_bytes() == data for path, data in before.items())


def test_options_reach_the_rule(run_folder: str) -> None:
    options = ["--rule", "sgd", "--learning-rate", "0.5", "--decay", "0.25", "--segment", "7"]
    report = json.loads(run(run_folder, "--dynamic", *options, "--json"))
    trained = load_text(run_folder)
    ids = trained.split_ids("valid")
    _, dynamic = evaluate_dynamic(trained.model, ids, Dynamics("sgd", 0.5, 0.25, 7))
    assert report["dynamic"] == dynamic.to_json()
    assert report["squared_gradients"] is None
    assert "sgd, learning rate 0.5, decay 0.25, segments" in run(run_folder, "--dynamic", *options)
    still = json.loads(run(run_folder, "--dynamic", "--learning-rate", "0", "--json"))
    assert still["static"] == still["dynamic"]


def test_what_makes_it_worse_is_told(run_folder: str) -> None:
    for rate, worse in (("30", True), ("0.001", False)):
        options = ["--dynamic", "--rule", "sgd", "--learning-rate", rate, "--json"]
        result = CliRunner().invoke(app, [run_folder, *options], catch_exceptions=False)
        report = json.loads(result.stdout)
        assert (report["dynamic"]["nats"] > report["static"]["nats"]) == worse
        warning = "has made it worse: try a lower --learning-rate than 30\n"
        assert result.stderr.endswith(warning) == worse


def test_without_the_training_text_it_is_said_what_takes_its_place(
    run_folder: str, tmp_path: Path
) -> None:
    alone = tmp_path / "alone" / "best.safetensors"
    alone.parent.mkdir()
    alone.write_bytes((Path(run_folder) / "best.safetensors").read_bytes())
    other = tmp_path / "other.txt"
    other.write_text("on the mat the cat sat\n" * 9)
    named = ["--dynamic", "--data", str(other), "--json"]
    scored = "the text scored so far"
    report = json.loads(run(str(alone), *named))
    assert report["squared_gradients"] == scored
    trained = load_text(run_folder)
    _, dynamic = evaluate_dynamic(
        trained.model, trained.vocab.encode(other.read_text()), Dynamics()
    )
    assert report["dynamic"] == dynamic.to_json()
    assert "name what to score with --data" in refused(str(alone), "--dynamic")

    assert json.loads(run(run_folder, *named))["squared_gradients"] == "the training text"
    (tmp_path / "text.txt").unlink()
    result = CliRunner().invoke(app, [run_folder, *named], catch_exceptions=False)
    assert result.stderr.startswith(f"note: squared gradients are those of {scored}: ")
    assert json.loads(result.stdout)["squared_gradients"] == scored


def test_what_does_not_go_together_is_refused(run_folder: str) -> None:
    options = (["--rule", "sgd"], ["--learning-rate", "1"], ["--decay", "0"], ["--segment", "3"])
    for option in options:
        assert refused(run_folder, *option) == f"{option[0]}: goes with --dynamic"
    for option in (["--text", "ab"], ["--window", "3"], ["--calibration"]):
        assert f"{option[0]}: goes without --dynamic" in refused(run_folder, "--dynamic", *option)
    assert "--dynamic: goes without --novelty" in refused(run_folder, "--dynamic", "--novelty")

"""The documented figures, here and in docs/results.md, and a recipe that is trained again."""

import importlib
import json
import re
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from typer.testing import CliRunner

from charseq.cli.app import app
from charseq.config import load_config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
RECIPES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "benchmarks/results.yaml").read_text())


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The modules stand beside the script, as for whoever starts it."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("results")


@pytest.mark.parametrize("name", RECIPES)
def test_each_figure_stands_in_the_docs(name: str, results: ModuleType) -> None:
    recipe = results.documented()[name]
    lines = [line for line in PAGE.splitlines() if line.startswith(recipe.line)]
    assert len(lines) == 1, f"{recipe.line} is to be found once at the beginning of a line"
    (line,) = lines
    for figure in recipe.figures:
        # A whole number, not the end of another: 0.4 does not stand in "10.4 ± 0.2".
        assert re.search(rf"(?<![\d.]){re.escape(str(figure))}(?![\d.])", line), figure.name
    minutes, seconds = divmod(round(60 * recipe.minutes), 60)
    in_words = f"{minutes} minute{'' if minutes == 1 else 's'} {seconds} seconds"
    assert in_words in PAGE or f"{recipe.minutes:g}" in [cell.strip() for cell in line.split("|")]


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_has_its_configuration_which_scores_what_is_documented(
    name: str, results: ModuleType
) -> None:
    recipe = results.documented()[name]
    config = load_config(ROOT / "configs" / f"{name}.yaml")
    assert name in recipe.command.replace("/addition.py --digits ", "addition_") + "_digits"
    metrics = {"nats", "accuracy"} if config.task == "lm" else {"nats", "accuracy", "wer", "ser"}
    assert {figure.metric for figure in recipe.figures} <= metrics
    for name, path in config.data.model_dump(include={"text", "train", "valid", "test"}).items():
        if path and path.startswith("dataset:"):
            wanted = path.removeprefix("dataset:").split("/")[0]
            assert recipe.data == f"charseq data get {wanted}", name
        elif path and not (ROOT / path).exists():
            assert recipe.data.endswith(f"--out {Path(path).parent}"), name


def figure(results: ModuleType, **fields: Any) -> Any:
    return results.Figure.model_validate({"metric": "wer", "split": "test", **fields})


@pytest.mark.parametrize(
    ("fields", "seeds", "trained", "allowed"),
    [
        # 3 · 2 · sqrt(1/4 + 1/4) = 4.2426, and half of the last digit
        ({"mean": "30.4", "sd": "2"}, 4, 4, 4.2426 + 0.05),
        ({"mean": "30.4", "sd": "2"}, 4, 1, 3 * 2 * 1.25**0.5 + 0.05),
        ({"mean": "1.5750", "tolerance": "0.02"}, 1, 1, 0.02005),
    ],
)
def test_a_figure_may_differ_by_its_spread(
    results: ModuleType, fields: dict[str, str], seeds: int, trained: int, allowed: float
) -> None:
    found = figure(results, **fields).allowed(seeds, trained)
    assert found == pytest.approx(allowed, abs=1e-4)


@pytest.mark.parametrize(
    ("metric", "values", "verdict"),
    [
        ("wer", [0.33, 0.35], "within"),
        ("wer", [0.35, 0.37], "worse"),
        ("wer", [0.23, 0.25], "better"),
        ("accuracy", [0.23, 0.25], "worse"),
        ("accuracy", [0.35, 0.37], "better"),
    ],
)
def test_what_lies_outside_is_worse_or_better(
    results: ModuleType, metric: str, values: list[float], verdict: str
) -> None:
    """30.0 ± 2 over 3 seeds: two more may be 3 · 2 · sqrt(1/3 + 1/2) = 5.48 away."""
    one = figure(results, metric=metric, **{"as": "percent", "mean": "30.0", "sd": "2"})
    recipe = results.Recipe(
        data=None, command="", line="", seeds=3, minutes=1, figures=[one.model_dump(by_alias=True)]
    )
    measured = [{"figures": {one.name: one.scaled(value)}} for value in values]
    (found,) = results.compare(recipe, measured)
    assert found["verdict"] == verdict
    assert found["mean"] == pytest.approx(50 * sum(values))


def test_a_figure_without_any_bound_is_refused(results: ModuleType) -> None:
    with pytest.raises(ValidationError, match="needs sd, or tolerance"):
        figure(results, mean="30.4")


def charseq(arguments: list[str], threads: int) -> str:
    """A real command, but in this process."""
    result = CliRunner().invoke(app, arguments)
    if result.exit_code:
        raise SystemExit(str(result.exception))
    return result.stdout


class InTurn(ThreadPoolExecutor):
    """No threads: in this process only the main one may train, as signals are handled there."""

    def submit(self, fn: Any, /, *args: Any, **options: Any) -> Any:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **options))
        return future


def test_a_recipe_is_trained_again_and_found_outside(
    results: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Real commands: data made, one seed trained, the test pairs converted; then --quick."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(results, "charseq", charseq)
    monkeypatch.setattr(results, "ThreadPoolExecutor", InTurn)
    monkeypatch.setattr(results, "CONFIGS", tmp_path)
    monkeypatch.setattr(results, "QUICK_STEPS", 1)
    (tmp_path / "turn.yaml").write_text(
        "task: seq2seq\n"
        "data: {train: turn/train.tsv, test: turn/test.tsv}\n"
        "model: {hidden_size: 4}\n"
        "train: {max_steps: 2, batch_size: 4}\n"
    )
    recipe = {
        "data": "charseq data make reverse --size 60 --out turn",
        "command": "none",
        "line": "none",
        "seeds": 3,
        "minutes": 0.5,
        "figures": [
            {"metric": "wer", "split": "test", "as": "percent", "mean": "5.0", "sd": "1"},
            {"metric": "accuracy", "split": "valid", "as": "percent", "mean": "0.0", "sd": "1"},
        ],
    }
    monkeypatch.setattr(results, "documented", lambda: {"turn": results.Recipe(**recipe)})
    command = ["--recipe", "turn", "--json", "told.json"]
    with pytest.raises(SystemExit) as left:
        results.main([*command, "--seeds", "1"])
    assert left.value.code == 1
    shown = capsys.readouterr().out
    assert re.search(r"test wer, % +│ +5\.0 ± 1 +│ +100\.0 +│ +± 3\.5 +│ no, worse", shown)
    assert re.search(r"valid accuracy, % +│ +0\.0 ± 1 +│ +0\.0 +│ +± 3\.5 +│ yes", shown)
    told = json.loads(Path("told.json").read_text())
    assert told["threads"] >= 1
    (record,) = told["recipes"]
    assert [one["verdict"] for one in record["comparison"]] == ["worse", "within"]
    assert record["seeds"][0]["figures"] == {"test wer, %": 100.0, "valid accuracy, %": 0.0}
    assert Path("runs/results/turn-seed0/best.safetensors").exists()

    results.main([*command, "--quick"])  # exit code 0: nothing is compared
    assert "not compared: 1 steps" in capsys.readouterr().out
    assert load_config(Path("runs/results/turn-quick/config.yaml")).train.max_steps == 1


def test_without_a_name_it_says_what_there_is() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "results.py")]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert all(name in shown for name in RECIPES)
    figure = RECIPES["g2p_ady"]["figures"][0]
    assert f"{figure['mean']} ± {figure['sd']}" in shown

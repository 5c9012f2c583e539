"""``charseq runs`` and ``charseq runs compare``, as they are typed."""

import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from charseq.cli.app import app
from charseq.config import load_config
from charseq.errors import CharseqError
from charseq.training.loop import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of a text, the second with a wider model."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "cat.txt").write_text("the cat sat on the mat. " * 200)
    (folder / "cat.yaml").write_text(
        f"data: {{text: {folder / 'cat.txt'}}}\nmodel: {{hidden_size: 8}}\n"
        "train: {batch_size: 4, seq_len: 8, max_steps: 20, eval_every: 10, log_every: 5}\n"
    )
    for name, size in (("small", 8), ("wide", 16)):
        config = load_config(folder / "cat.yaml", [f"model.hidden_size={size}"])
        list(train(config, run=folder / "runs" / name, device="cpu"))
    return folder


@pytest.fixture(autouse=True)
def here(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)


def charseq(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_the_list_has_a_line_for_each_run() -> None:
    result = charseq("runs")
    head, *lines = result.stdout.splitlines()
    assert head.split()[:3] == ["run", "model", "weights"]
    assert {line.split()[0] for line in lines} == {"runs/small", "runs/wide"}
    [small] = [line for line in lines if "small" in line]
    nats = json.loads(charseq("runs", "--json").stdout)
    best = next(one["best"] for one in nats if one["run"] == "runs/small")
    assert "lm 1×8 " in small
    assert " done " in small
    assert f"{best['nats']:.4f} nats, {best['bpc']:.3f} bpc" in small


def test_on_a_narrow_screen_figures_stand_below_the_name(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a table: each heading ends, or begins, where its figures do; a name is never folded."""
    name = "a-name-that-is-rather-long-for-a-column-of-a-table"
    shutil.copytree(trained / "runs/wide", tmp_path / name)
    shutil.copytree(trained / "runs/small", tmp_path / "small")
    (tmp_path / "small/config.yaml").write_text("task: [")
    monkeypatch.setattr("charseq.cli.runs_tables.screen", lambda: Console(width=80))
    monkeypatch.chdir(tmp_path)
    head, headings, *lines = charseq("runs", "list", ".", "--sort", "name").stdout.splitlines()
    assert head == "run  state"
    assert lines[0] == f"{name}  done"
    assert lines[2].startswith("small  unreadable: ")
    assert len(lines[1]) <= 80
    [wide] = [
        run for run in json.loads(charseq("runs", ".", "--json").stdout) if name in run["run"]
    ]
    figures, weights = lines[1], f"{wide['parameters']:,}"
    assert figures.index("lm 1×16") == headings.index("model")
    assert figures.index(weights) + len(weights) == headings.index("weights") + len("weights")
    assert figures.index(f"{wide['best']['nats']:.4f} nats") == headings.index("best")
    monkeypatch.setattr("charseq.cli.runs_tables.screen", lambda: Console(width=64))
    _, headings, *lines = charseq("runs", "list", ".", "--sort", "name").stdout.splitlines()
    assert headings.split() == ["model", "best", "at", "step", "symbols/s", "trained"]
    assert lines[0] == f"{name}  done"
    for width in (130, 20):  # a table is wider than 130
        monkeypatch.setattr("charseq.cli.runs_tables.screen", lambda w=width: Console(width=w))
        found = charseq("runs", "list", ".", "--sort", "name").stdout.splitlines()
        assert f"{name}  done" in found


def test_a_run_that_cannot_be_read_stands_behind_the_best(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "runs", tmp_path / "runs")
    (tmp_path / "runs/small/config.yaml").write_text("task: [")
    given = str(tmp_path / "runs"), "--sort", "best", "--json"
    found = json.loads(charseq("runs", "list", *given).stdout)
    assert [Path(one["run"]).name for one in found] == ["wide", "small"]
    assert found[1]["state"] == "unreadable"


def test_what_is_sorted_by_its_best_begins_with_the_lowest_loss() -> None:
    found = json.loads(charseq("runs", "list", "runs", "--sort", "best", "--json").stdout)
    losses = [one["best"]["nats"] for one in found]
    assert losses == sorted(losses)
    names = json.loads(charseq("runs", "--sort", "name", "--json").stdout)
    assert [one["run"] for one in names] == ["runs/small", "runs/wide"]


def test_a_broken_folder_is_a_row(tmp_path: Path) -> None:
    shutil.copytree("runs/small", tmp_path / "whole")
    shutil.copytree("runs/small", tmp_path / "brok\x1ben")
    (tmp_path / "brok\x1ben" / "config.yaml").write_text("model: [\n")
    result = charseq("runs", str(tmp_path))
    assert result.exit_code == 0
    [broken] = [line for line in result.stdout.splitlines() if "unreadable" in line]
    assert "config.yaml:2:1" in broken
    assert "\x1b" not in result.stdout
    assert "brok\\x1ben" in broken


def test_an_empty_folder_and_none_at_all(tmp_path: Path) -> None:
    assert charseq("runs", str(tmp_path)).stdout == f"{tmp_path}: no runs in it\n"
    with pytest.raises(CharseqError, match="there is no such folder"):
        charseq("runs", str(tmp_path / "nothing"))


def test_a_comparison_shows_what_differs_and_nothing_else(tmp_path: Path) -> None:
    plot = tmp_path / "curves.svg"
    result = charseq("runs", "compare", "runs/small", "runs/wide", "--plot", str(plot))
    rows = [line.split() for line in result.stdout.splitlines()]
    assert [row for row in rows if row and "." in row[0] and row[0].islower()][:1] == [
        ["model.hidden_size", "8", "16"]
    ]
    assert "train." not in result.stdout
    assert "validation loss, nats" in result.stdout
    assert "A runs/small" in result.stdout
    assert "\x1b" not in result.stdout  # no colours in a pipe
    assert "runs/wide" in plot.read_text()
    data = json.loads(charseq("runs", "compare", "runs/small", "runs/wide", "--json").stdout)
    assert [one["differs"] for one in data["runs"]] == [
        {"model.hidden_size": 8},
        {"model.hidden_size": 16},
    ]
    assert data["runs"][0]["x"] == [10, 20]


def test_the_same_run_twice_has_no_difference() -> None:
    assert "no setting differs" in charseq("runs", "compare", "runs/small", "runs/small").stdout


def test_what_cannot_be_compared_is_refused_with_its_reason() -> None:
    with pytest.raises(CharseqError, match=r"cat\.yaml: is not a folder"):
        charseq("runs", "compare", "runs/small", "cat.yaml")
    with pytest.raises(CharseqError, match="name a file that ends in"):
        charseq("runs", "compare", "runs/small", "--plot", "x.pdf")


def test_what_looks_like_markup_is_a_setting_like_any_other(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, prime in (("one", "[/inst]"), ("two", "[b]hello")):
        shutil.copytree(trained / "runs/small", name)
        config = Path(name, "config.yaml")
        config.write_text(config.read_text().replace('prime: "\\n"', f'prime: "{prime}"'))
    shown = charseq("runs", "compare", "one", "two").stdout
    assert "[/inst]" in shown
    assert "[b]hello" in shown

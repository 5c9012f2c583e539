"""``charseq init`` as a newcomer types it."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from charseq.cli.init import init
from charseq.config import load_config
from charseq.config.schema import LMConfig, Seq2SeqConfig
from charseq.errors import CharseqError

app = typer.Typer(rich_markup_mode="rich")
app.command()(init)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty folder in which the commands are typed."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(*arguments: str) -> str:
    with pytest.raises(CharseqError) as caught:
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    return str(caught.value)


def load_text(path: Path) -> str:
    config = load_config(path)
    assert isinstance(config, LMConfig)
    return config.data.text


def test_init_writes_a_file_that_loads_and_the_schema_it_names(folder: Path) -> None:
    result = CliRunner().invoke(app, [], catch_exceptions=False)
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "wrote charseq.yaml and charseq.schema.json",
        "next: charseq train charseq.yaml",
    ]
    assert load_text(Path("charseq.yaml")) == "dataset:stdlib"
    named = Path("charseq.yaml").read_text().splitlines()[0].partition("$schema=./")[2]
    assert json.loads((folder / named).read_text())["title"] == "charseq configuration"


def test_init_fills_in_the_text_and_says_that_it_is_not_there_yet(folder: Path) -> None:
    result = CliRunner().invoke(app, ["book.yaml", "--text", "my[book].txt"])
    assert load_text(Path("book.yaml")) == "my[book].txt"
    assert "note: there is no file my[book].txt yet" in result.stderr
    Path("my[book].txt").write_text("once upon a time")
    assert "note" not in CliRunner().invoke(app, ["2.yaml", "--text", "my[book].txt"]).stderr


def test_init_overwrites_only_with_force(folder: Path) -> None:
    Path("charseq.yaml").write_text("mine")
    assert refusal() == "charseq.yaml exists; add --force to overwrite it"
    assert Path("charseq.yaml").read_text() == "mine"
    assert not Path("charseq.schema.json").exists()
    CliRunner().invoke(app, ["--force"], catch_exceptions=False)
    assert load_config(Path("charseq.yaml")).task == "lm"


def test_a_dash_writes_to_standard_output_and_no_file(folder: Path) -> None:
    result = CliRunner().invoke(app, ["-", "--text", "Ā.txt"])
    assert result.stdout.startswith("# yaml-language-server: ")
    assert 'text: "Ā.txt"' in result.stdout
    assert result.stderr == ""
    assert list(folder.iterdir()) == []


def test_what_cannot_be_written_is_said(folder: Path) -> None:
    Path("runs").mkdir()
    assert refusal("runs") == "runs is a folder; name a file in it"
    assert refusal("nowhere/a.yaml") == (
        "nowhere/a.yaml cannot be written: No such file or directory"
    )
    assert refusal("--text", "").startswith("--text is empty")
    assert refusal("--task", "lmm").startswith("unknown task 'lmm' (did you mean 'lm'?)")
    assert [path.name for path in folder.iterdir()] == ["runs"]


def test_init_for_pairs_fills_in_their_file_and_implies_the_task(folder: Path) -> None:
    result = CliRunner().invoke(app, ["words.yaml", "--pairs", "words.tsv"])
    config = load_config(Path("words.yaml"))
    assert isinstance(config, Seq2SeqConfig)
    assert config.data.train == "words.tsv"
    assert "note: there is no file words.tsv yet" in result.stderr
    assert "next: charseq train words.yaml" in result.stderr
    Path("words.tsv").write_text("a\tb\n")
    assert "note" not in CliRunner().invoke(app, ["2.yaml", "--pairs", "words.tsv"]).stderr
    schema = json.loads((folder / "charseq.schema.json").read_text())
    assert "source_column" in schema["$defs"]["PairDataConfig"]["properties"]


def test_init_for_pairs_without_a_file_begins_with_the_dates(folder: Path) -> None:
    result = CliRunner().invoke(app, ["--task", "seq2seq"])
    config = load_config(Path("charseq.yaml"))
    assert isinstance(config, Seq2SeqConfig)
    assert "note: there is no file data/dates/train.tsv yet" in result.stderr
    assert config.data.train == "data/dates/train.tsv"


def test_init_refuses_data_of_another_task(folder: Path) -> None:
    assert refusal("--pairs", "a", "--task", "lm") == (
        "--pairs goes with --task seq2seq, not with --task lm"
    )
    assert refusal("--text", "a", "--task", "seq2seq").startswith("--text goes with --task lm")
    assert refusal("--text", "a", "--pairs", "b").startswith("give --text or --pairs, not both")
    assert refusal("--pairs", "").startswith("--pairs is empty")
    assert list(folder.iterdir()) == []

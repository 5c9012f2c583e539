"""``charseq config show | check | schema``."""

import json
import os
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from charseq.cli.config import config_app
from charseq.config import load_config
from charseq.errors import ConfigError

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A configuration and its text, in the current folder."""
    path = tmp_path / "run.yaml"
    path.write_text("data: {text: Ā.txt}\n", encoding="utf-8")
    (tmp_path / "Ā.txt").write_text("text" * 3000)
    monkeypatch.chdir(tmp_path)
    return str(path)


def run(*arguments: str) -> str:
    return CliRunner().invoke(config_app, arguments, catch_exceptions=False).stdout


def test_show_prints_yaml_that_gives_the_same_settings(file: str, tmp_path: Path) -> None:
    shown = tmp_path / "shown.yaml"
    shown.write_text(run("show", file, "--set", "train.seed=7"), encoding="utf-8")
    assert load_config(shown) == load_config(Path(file), ["train.seed=7"])
    assert load_config(shown).train.seed == 7


def test_show_prints_json_for_other_programs(file: str) -> None:
    shown = json.loads(run("show", file, "--json", "--set", "data.split=0.9/0.1/0"))
    assert shown["data"]["text"] == "Ā.txt"
    assert shown["data"]["split"] == [0.9, 0.1, 0.0]
    assert shown["train"]["batch_size"] == 64


def test_check_says_that_a_file_is_valid(file: str) -> None:
    assert run("check", file) == f"{file} is valid\n"
    assert json.loads(run("check", file, "--json")) == {"valid": True, "problems": []}


def test_check_reads_a_text_to_its_end_as_a_training_would(file: str) -> None:
    Path("Ā.txt").write_text("text" * 25)
    with pytest.raises(ConfigError, match=r"1:14: data\.text: .* has 90 symbols, too few for one"):
        run("check", file)
    small = ["--set", "train.batch_size=2", "--set", "train.seq_len=10"]
    assert run("check", file, *small) == f"{file} is valid\n"
    elsewhere = ["--set", "data.test_text=dataset:tinyshakespeare"]  # which nobody has fetched
    assert run("check", file, *small, *elsewhere) == f"{file} is valid\n"
    Path("Ā.txt").write_bytes(b"a" * 9_000_000 + b"\xff")
    with pytest.raises(ConfigError, match="byte 0xff at byte offset 9000000"):
        run("check", file)


def test_check_raises_every_problem_of_a_broken_file(file: str) -> None:
    with pytest.raises(ConfigError, match=r"train\.zeal: unknown key"):
        run("check", file, "--set", "train.zeal=1")


def test_check_lists_the_problems_for_other_programs_and_exits_with_2(file: str) -> None:
    options = ["check", file, "--json", "--set", "train.zeal=1", "--set", "train.seed=x"]
    result = CliRunner().invoke(config_app, options)
    assert result.exit_code == 2
    assert json.loads(result.stdout) == {
        "valid": False,
        "problems": [
            "--set train.zeal=1: train.zeal: unknown key",
            "--set train.seed=x: train.seed: expected a whole number, found the text 'x'",
        ],
    }


def test_check_wants_the_text_to_be_there(file: str) -> None:
    Path("Ā.txt").unlink()
    with pytest.raises(ConfigError) as caught:
        run("check", file)
    here = os.path.realpath(os.curdir)
    assert str(caught.value) == f"{file}:1:14: data.text: Ā.txt: there is no such file in {here}"
    with pytest.raises(ConfigError, match=r"^--set data\.text=\.: data\.text: \.: is a folder"):
        run("check", file, "--set", "data.text=b.txt", "--set", "data.text=.")
    assert run("check", file, "--set", "data.text=dataset:stdlib").endswith("is valid\n")
    with pytest.raises(ConfigError, match=r"dataset:stdlb: .*did you mean stdlib\?"):
        run("check", file, "--set", "data.text=dataset:stdlb")


def test_check_looks_at_the_beginning_of_every_text(file: str) -> None:
    Path("Ā.txt").write_bytes(b"text" * 3000 + b"\xff")
    with pytest.raises(ConfigError) as caught:
        run("check", file, "--set", "data.test_text=b.txt")
    first, second = str(caught.value).splitlines()
    assert "data.text: Ā.txt:1: byte 0xff at byte offset 12000 is not UTF-8" in first
    assert "data.test_text: b.txt: there is no such file in " in second
    assert "is valid" in run("check", file, "--set", "data.errors=replace")


def test_check_wants_the_pairs_to_be_there_with_the_columns_that_are_named(file: str) -> None:
    Path("pairs.yaml").write_text(
        "task: seq2seq\n"
        "data:\n"
        "  train: train.tsv\n"
        "  valid: valid.tsv\n"
        "  test: dataset:sigmorphon2021_g2p/ady_test.tsv\n"
        "  source_column: word\n"
    )
    Path("train.tsv").write_text("word\tpron\na\tb\n")
    result = CliRunner().invoke(config_app, ["check", "pairs.yaml", "--json"])
    assert result.exit_code == 2
    assert json.loads(result.stdout)["problems"] == [
        "pairs.yaml:4:10: data.valid: valid.tsv: there is no such file in "
        + os.path.realpath(os.curdir)
    ]
    Path("valid.tsv").write_text("words\na\n")
    with pytest.raises(ConfigError) as caught:
        run("check", "pairs.yaml", "--set", "data.features_column=3")
    assert caught.value.problems == [
        "--set data.features_column=3: data.features_column: train.tsv: there is no column 3: "
        "the first lines have 2",
        "pairs.yaml:6:18: data.source_column: valid.tsv: no column is called 'word': the first "
        "line has 'words'; did you mean 'words'?",
        # The file of settings does not name it: this is the line of its section.
        "pairs.yaml:2:1: data.target_column: valid.tsv: there is no column 2: no line has a tab",
        "--set data.features_column=3: data.features_column: valid.tsv: there is no column 3: "
        "no line has a tab",
    ]
    Path("valid.tsv").write_text("pron\tword\na\tb\n")
    with pytest.raises(ConfigError, match=r"is column 2, as data\.source_column is; choose two$"):
        run("check", "pairs.yaml")
    Path("valid.tsv").write_text("id\tpron\tword\n1\tb\ta\n")
    assert run("check", "pairs.yaml") == "pairs.yaml is valid\n"


def test_check_reads_pairs_to_their_ends_as_a_training_would(file: str) -> None:
    Path("pairs.yaml").write_text("task: seq2seq\ndata: {train: train.tsv, split: 1/0/0}\n")
    good = "".join(f"a{number}\tb\n" for number in range(9))
    Path("train.tsv").write_text(f"{good}c\nd\te\nd\te\n")
    with pytest.raises(ConfigError) as caught:
        run("check", "pairs.yaml")
    place = "pairs.yaml:2:15: data.train"
    assert caught.value.problems[:2] == [
        f"{place}: train.tsv:10: there is no tab between a source and a target",
        f"{place}: train.tsv:12: the same source and target stand in line 11 already",
    ]
    Path("train.tsv").write_bytes(good.encode() + "é\tb\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"train.tsv:10: byte 0xe9 .* is not UTF-8"):
        run("check", "pairs.yaml")
    Path("train.tsv").write_text(good)
    assert run("check", "pairs.yaml") == "pairs.yaml is valid\n"


def test_check_wants_a_training_to_be_able_to_begin_with_what_is_named(
    file: str, tmp_path: Path
) -> None:
    named = ["--set", "train.init_from=runs/cat"]
    with pytest.raises(ConfigError) as caught:
        run("check", file, *named)
    (problem,) = caught.value.problems
    place = "--set train.init_from=runs/cat: train.init_from: runs/cat: "
    assert problem == f"{place}there is no such checkpoint"
    (tmp_path / "runs" / "cat").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"holds no checkpoint .* is it a run folder"):
        run("check", file, *named)


def test_a_configuration_from_a_pipe_is_read_once(file: str) -> None:
    os.mkfifo("pipe.yaml")
    writer = threading.Thread(target=Path("pipe.yaml").write_text, args=["data: {text: none}\n"])
    writer.start()
    with pytest.raises(ConfigError, match=r"^pipe\.yaml: data\.text: none: there is no such file"):
        run("check", "pipe.yaml")
    writer.join()


def test_schema_is_printed_with_and_without_a_configuration(file: str) -> None:
    schema = json.loads(run("schema"))
    assert [schema[name]["properties"]["task"]["const"] for name in ("then", "else")] == [
        "seq2seq",
        "lm",
    ]
    own = json.loads(run("schema", file))
    assert own["properties"] == schema["else"]["properties"]


@pytest.mark.parametrize("command", ["show", "check", "schema"])
def test_every_command_shows_an_example(command: str) -> None:
    assert f"Example: charseq config {command} " in run(command, "--help")

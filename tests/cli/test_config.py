"""``charseq config show | check | schema``."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from charseq.cli.config import config_app
from charseq.config import load_config
from charseq.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "run.yaml"
    path.write_text("data: {text: Ā.txt}\n", encoding="utf-8")
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

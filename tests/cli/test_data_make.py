"""``charseq data make``: files that the command in their README makes again, byte for byte."""

import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from charseq.cli.data import data_app
from charseq.errors import CharseqError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*arguments: str) -> Result:
    result = CliRunner(env={"COLUMNS": "80"}).invoke(data_app, ["make", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def contents(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


COMMANDS = {
    "dates": ["dates", "--size", "200", "--seed", "3"],
    "addition": ["addition", "--size", "200", "--digits", "2", "--no-pad"],
    "turned": ["addition", "--size", "200", "--reverse", "--seed", "5"],
    "reverse": ["reverse", "--size", "200", "--alphabet", "a 'é", "--min-length", "5"],
    "numbers": ["numbers", "--size", "200", "--language", "de", "--max", "999"],
    "parse": ["numbers", "--size", "200", "--parse", "--split", "0.7/0.2/0.1"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_in_the_readme_makes_the_same_again(name: str) -> None:
    out = "my folder/it's data"
    assert make(*COMMANDS[name], "--out", out).exit_code == 0
    first = contents(out)
    assert set(first) == {"train.tsv", "valid.tsv", "test.tsv", "README.md"}
    readme = first["README.md"].decode()
    [command] = [line for line in readme.splitlines() if line.startswith("    charseq")]
    words = shlex.split(command)
    assert words[:3] == ["charseq", "data", "make"]
    assert make(*words[3:], "--force").exit_code == 0
    assert contents(out) == first


def test_a_seed_makes_other_rows() -> None:
    for seed in ("0", "1"):
        make("reverse", "--size", "50", "--seed", seed, "--out", seed)
    assert contents("0")["train.tsv"] != contents("1")["train.tsv"]


def test_what_was_written_is_told() -> None:
    result = make("addition", "--size", "100", "--out", "sums")
    assert result.stdout.splitlines()[:3] == [
        "sums/train.tsv  80 rows",
        "sums/valid.tsv  10 rows",
        "sums/test.tsv  10 rows",
    ]
    assert result.stderr == ""  # no progress where there is no terminal
    train = Path("sums/train.tsv").read_text().splitlines()
    test = Path("sums/test.tsv").read_text().splitlines()
    seen = {line.split("\t")[1] for line in train}
    unseen = sum(line.split("\t")[1] not in seen for line in test)
    assert result.stdout.splitlines()[3].endswith(f"never has: {unseen} of 10")
    report = json.loads(make("addition", "--size", "100", "--out", "again", "--json").stdout)
    assert report == {
        "out": "again",
        "train": 80,
        "valid": 10,
        "test": 10,
        "test_targets_unseen": unseen,
    }


def test_a_part_without_a_share_is_not_written() -> None:
    result = make("reverse", "--size", "100", "--split", "0.9/0.1/0", "--out", "x", "--json")
    assert json.loads(result.stdout)["test_targets_unseen"] is None
    assert set(contents("x")) == {"train.tsv", "valid.tsv", "README.md"}


def test_files_that_are_there_are_told_before_the_work() -> None:
    make("reverse", "--size", "10", "--out", "x")
    with pytest.raises(CharseqError, match=r"x: has train\.tsv, .*README\.md already"):
        make("reverse", "--size", "3", "--out", "x")  # too few to split, which is found later


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("0.9/0.1", r"'0\.9/0\.1' is not three shares of train/valid/test, as 0\.8/0\.1/0\.1"),
        ("a/b/\x1b", r"'a/b/\\x1b' is not three shares"),
        ("0.9/0.2/-0.1", "has a share that is not from 0 to 1"),
        ("nan/0/0", "has a share that is not from 0 to 1"),
        ("0.5/0.1/0.1", r"--split: the shares add up to 0\.7, not to 1"),
        ("0/0.5/0.5", "--split: the share for training is 0"),
    ],
)
def test_shares_that_are_none(split: str, message: str) -> None:
    with pytest.raises(CharseqError, match=message):
        make("reverse", "--size", "10", "--split", split, "--out", "x")
    assert not Path("x").exists()


def test_more_than_there_is_writes_nothing() -> None:
    with pytest.raises(CharseqError, match="the largest --size is 55"):
        make("addition", "--digits", "1", "--size", "56", "--out", "x")
    assert not Path("x").exists()


@pytest.mark.parametrize("command", ["dates", "addition", "reverse", "numbers"])
def test_every_help_shows_an_example(command: str) -> None:
    output = make(command, "--help").stdout
    assert f"Example: charseq data make {command} " in output
    assert "charseq'" not in output  # the name of an extra is no markup

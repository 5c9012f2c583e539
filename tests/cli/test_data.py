"""``charseq data``: what a user sees, in a terminal or a pipe, and nothing that a text slips in."""

import hashlib
import json
from pathlib import Path

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from charseq.cli.data import data_app
from charseq.errors import CharseqError
from charseq.text import datasets
from charseq.text.datasets import Dataset
from charseq.text.download import Download

CONTENT = b"To be, or not to be"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
URL = "https://invalid.example/plays/input.txt"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    play = Dataset("play", "a line of a play", "public domain", (Download(URL, 19, SHA256),))
    words = Dataset(
        "words",
        "two files",
        "BSD",
        tuple(
            Download(
                f"https://invalid.example/{name}", 1, hashlib.sha256(name.encode()).hexdigest()
            )
            for name in "ab"
        ),
    )
    monkeypatch.setattr(datasets, "DATASETS", (play, words))
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("CHARSEQ_DATA_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "input.txt").write_bytes(CONTENT)
    for name in "ab":
        (tmp_path / "mirror" / name).write_text(name)
    return tmp_path


def data(*arguments: str, columns: int = 80) -> Result:
    result = CliRunner(env={"COLUMNS": str(columns)}).invoke(data_app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def lines(output: str) -> list[str]:
    return [" ".join(line.split()) for line in output.splitlines()]


def test_stats_of_a_text() -> None:
    Path("text").write_bytes("aab é\r\nx\n".encode())
    shown = lines(data("stats", "text").stdout)
    assert "size 10 bytes" in shown
    assert "characters 9, 7 different" in shown
    assert "lines 2, the longest of 5 characters" in shown
    assert "line endings LF 1, CRLF 1" in shown


def test_a_hostile_text_and_name_send_nothing_to_the_terminal() -> None:
    name = "a\x1b[31m[red].txt"
    Path(name).write_text("\x1b[2J\x9b\u202e[bold]\0\x7f")
    for arguments in (("stats", name), ("stats", name, "--json")):
        output = data(*arguments).output
        assert all(c.isprintable() or c == "\n" for c in output)
    shown = data("stats", name).stdout
    assert r"a\x1b[31m[red].txt" in shown
    for cell in (r"'\x1b' 1", r"'\x9b' 1", r"'\u202e' 1", r"'\x00' 1", "'[' 2", "']' 1"):
        assert cell in shown


def test_stats_of_a_text_set_as_json() -> None:
    report = json.loads(data("stats", "dataset:play", "--json").stdout)
    assert report["source"] == "dataset:play"
    assert report["counts"]["o"] == 4
    assert report["training"] is None


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    Path("text").write_text("".join(map(chr, range(0x4E00, 0x4E00 + 500))) + "\0\x1b\x9b" * 9)
    output = data("stats", "text", columns=columns).stdout
    assert max(cell_len(line.rstrip()) for line in output.splitlines()) <= columns
    assert "and 303 more, which --json lists" in output


def test_stats_of_a_configuration() -> None:
    Path("text").write_text("ab" * 500)
    Path("run.yaml").write_text(
        "task: lm\ndata: {text: text, split: 0.9/0.1/0}\n"
        "train: {batch_size: 4, seq_len: 10, max_steps: 44}\n"
    )
    shown = lines(data("stats", "run.yaml").stdout)
    assert "train 900 symbols (90.0%)" in shown
    assert "test 0 symbols (0.0%)" in shown
    assert "a step 4 streams × 10 symbols" in shown
    assert "an epoch 22 steps" in shown
    assert "the training at most 2 epochs" in shown
    assert json.loads(data("stats", "run.yaml", "--json").stdout)["training"] == {
        "train": 900,
        "valid": 100,
        "test": 0,
        "vocab_size": 2,
        "batch_size": 4,
        "seq_len": 10,
        "steps_per_epoch": 22,
        "epochs": 2.0,
    }


def test_a_configuration_that_cannot_train_still_shows_its_text() -> None:
    Path("text").write_text("too short")
    Path("run.yml").write_text("data: {text: text}\n")
    result = CliRunner().invoke(data_app, ["stats", "run.yml"])
    assert "characters 9, 6 different" in lines(result.stdout)
    assert isinstance(result.exception, CharseqError)
    assert "too few for one batch" in str(result.exception)


def test_get_prints_the_path_alone_and_list_then_knows_it() -> None:
    assert "no" in lines(data("list").stdout)[1].split()
    result = data("get", "play")
    path = Path(result.stdout.rstrip("\n"))
    assert path.read_bytes() == CONTENT
    assert json.loads(data("get", "play", "--json").stdout) == {
        "name": "play",
        "path": str(path),
        "files": [{"path": str(path), "size": 19, "sha256": SHA256}],
    }
    assert lines(data("list").stdout)[1] == "play 1 19 bytes public domain yes"


def test_get_of_several_files_prints_their_folder() -> None:
    assert lines(data("list").stdout)[2] == "words 2 2 bytes BSD no"
    one = Path(data("get", "words/b").stdout.rstrip("\n"))
    assert one.read_text() == "b"
    assert lines(data("list").stdout)[2] == "words 2 2 bytes BSD in part"
    folder = Path(data("get", "words").stdout.rstrip("\n"))
    assert [(folder / name).read_text() for name in "ab"] == ["a", "b"]
    listed = data("list").stdout
    assert lines(listed)[2] == "words 2 2 bytes BSD yes"
    assert f"folder  {folder}\n" in listed
    report = json.loads(data("get", "words", "--json").stdout)
    assert report["path"] == str(folder)
    assert [file["path"] for file in report["files"]] == [str(folder / name) for name in "ab"]


def test_list_shows_url_and_sum_in_one_piece_to_copy() -> None:
    output = data("list", columns=40).stdout
    assert f"url     {URL}\n" in output
    assert f"sha256  {SHA256}\n" in output
    play, words = json.loads(data("list", "--json").stdout)
    assert play == {
        "name": "play",
        "description": "a line of a play",
        "licence": "public domain",
        "files": [
            {"name": "input.txt", "url": URL, "size": 19, "sha256": SHA256, "path": None},
        ],
    }
    assert [file["url"] for file in words["files"]] == [
        "https://invalid.example/a",
        "https://invalid.example/b",
    ]


def test_a_text_of_this_machine_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    stdlib = Dataset("stdlib", "Python's own", "PSF-2.0", ())
    monkeypatch.setattr(datasets, "DATASETS", (stdlib,))
    assert lines(data("list").stdout)[1] == "stdlib 1 made here PSF-2.0 no"
    nothing = {"name": None, "url": None, "size": None, "sha256": None, "path": None}
    assert json.loads(data("list", "--json").stdout)[0]["files"] == [nothing]


@pytest.mark.parametrize("command", ["stats", "list", "get"])
def test_every_help_shows_an_example(command: str) -> None:
    assert f"Example: charseq data {command}" in data(command, "--help").stdout

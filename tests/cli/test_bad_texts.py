"""``charseq train`` on texts that nobody would call one: it says what is wrong, or trains."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from charseq.cli.train import train
from charseq.errors import CharseqError
from charseq.models.checkpoint import read_checkpoint

app = typer.Typer()
app.command()(train)

GOOD = b"the cat sat on the mat. " * 40


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))


def charseq(text: str, *arguments: str) -> int:
    settings = {
        "data": {"text": text},
        "model": {"hidden_size": 4},
        "train": {"max_steps": 2, "batch_size": 2, "seq_len": 5},
    }
    Path("config.yaml").write_text(json.dumps(settings, ensure_ascii=False), encoding="utf-8")
    command = ["config.yaml", "--run", "run", "--device", "cpu", "--quiet", *arguments]
    return CliRunner().invoke(app, command, catch_exceptions=False).exit_code


@pytest.mark.parametrize(
    ("data", "symbols"),
    [
        (b"\xef\xbb\xbf" + GOOD, "".join(sorted(set(GOOD.decode())))),
        (GOOD + b"a\0b", "\0" + "".join(sorted(set(GOOD.decode()) | {"b"}))),
        (GOOD.replace(b". ", b"\r\n"), "\n\r acehmnost"),
        (b"a" * 500, "a"),
        (GOOD * 1000, "".join(sorted(set(GOOD.decode())))),  # a megabyte, one line
    ],
    ids=["byte-order mark", "NUL", "CRLF", "one character only", "one long line"],
)
def test_what_is_strange_is_trained_on(data: bytes, symbols: str) -> None:
    Path("text.txt").write_bytes(data)
    assert charseq("text.txt") == 0
    vocab = read_checkpoint(Path("run/last.safetensors")).vocab
    assert vocab.symbols == tuple(symbols)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["my 📖 book.txt", "esc\x1b[31mred.txt", "~", "-x.txt", "é.txt"])
def test_a_file_may_have_any_name(name: str) -> None:
    Path(name).write_bytes(GOOD)
    if "\x1b" in name:  # YAML has no such character but in quotes, as JSON writes it
        settings = {
            "data": {"text": name},
            "train": {"max_steps": 1, "batch_size": 2, "seq_len": 5},
        }
        Path("config.yaml").write_text(json.dumps(settings))
        command = ["config.yaml", "--run", "run", "--device", "cpu"]
        result = CliRunner().invoke(app, command, catch_exceptions=False)
        assert result.exit_code == 0
        assert "\x1b" not in result.output
    else:
        assert charseq("./" + name) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"hello \xff"), "byte 0xff at byte offset 6 is not UTF-8"),
        (lambda path: path.write_bytes(b"ab\xed\xa0\x80"), "byte 0xed at byte offset 2 is not UTF"),
        (lambda path: path.write_bytes(b""), "the file is empty"),
        (lambda path: path.write_bytes(b"a"), "too few for one batch"),
        (os.mkfifo, "is not a regular file"),
        (Path.mkdir, "is a folder"),
        (lambda path: None, "there is no such file"),
    ],
    ids=["invalid", "surrogate", "empty", "one character", "pipe", "folder", "missing"],
)
def test_what_is_no_text_is_refused_with_its_name(
    make: Callable[[Path], object], message: str
) -> None:
    make(Path("text.txt"))
    with pytest.raises(CharseqError, match=message):
        charseq("text.txt")
    assert not Path("run", "last.safetensors").exists()


def test_a_text_that_changed_between_two_runs_is_not_gone_on_with() -> None:
    Path("text.txt").write_bytes(GOOD)
    assert charseq("text.txt") == 0
    Path("text.txt").write_bytes(GOOD + b"the end")
    with pytest.raises(CharseqError, match="the data, or how it is read and split, has changed"):
        charseq("text.txt", "--resume", "--set", "train.max_steps=4")

"""The first lines of a file, however it is written."""

import gzip
from pathlib import Path

import pytest

from charseq.errors import CharseqError
from charseq.text.look import first_lines as first_lines_of_pairs
from charseq.text.look.first_lines import LINES, FirstLines, first_lines


def test_the_first_lines_of_a_file_however_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    text = "\ufeffé\tx\r\n\r\nb\ty\tz".encode()
    expected = FirstLines([["é", "x"], [""], ["b", "y", "z"]], True)
    for data in (text, text + b"\n", gzip.compress(text)):
        path.write_bytes(data)
        assert first_lines(path) == expected
    path.write_bytes(b"caf\xe9\tx\n")  # who reads it all refuses it
    assert first_lines(path).cells == [["caf\ufffd", "x"]]


def test_a_large_file_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(b"a\tb\n" * LINES)
    assert first_lines(path).whole
    path.write_bytes(b"a\tb\n" * (LINES + 1))
    lines = first_lines(path)
    assert (len(lines.cells), lines.whole) == (LINES, False)
    monkeypatch.setattr(first_lines_of_pairs, "BYTES", 10)  # in the middle of the third line
    assert first_lines(path) == FirstLines([["a", "b"]] * 2, False)
    path.write_bytes(b"a\t" + b"b" * 9 + b"\n")
    with pytest.raises(
        CharseqError, match=r"t\.tsv:1: the line is longer than 10 bytes; a file of "
    ):
        first_lines(path)


def test_files_at_which_nobody_can_look(tmp_path: Path) -> None:
    damaged = tmp_path / "t.tsv.gz"
    damaged.write_bytes(gzip.compress(b"a\tb\n" * 99)[:-9])
    empty = tmp_path / "empty.tsv"
    empty.touch()
    for path, why in (
        (damaged, "t.tsv.gz: cannot be read: Compressed file ended"),
        (empty, "the file is empty"),
        (tmp_path / "none.tsv", "there is no such file"),
        (tmp_path / ("x" * 300), "cannot be read: File name too long"),
        (tmp_path, "is a folder"),
    ):
        with pytest.raises(CharseqError, match=why):
            first_lines(path)

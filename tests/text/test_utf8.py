"""What is said of bytes that are no UTF-8, wherever they come from."""

import gzip
import io
import sys
from pathlib import Path

import pytest

from charseq.cli.reading import read_lines
from charseq.errors import CharseqError
from charseq.text.read import read_chunks
from charseq.text.rows import read_whole

PACKED = gzip.compress(b"text", mtime=0)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"ab\nc\xe9d\n", "2: byte 0xe9 at byte offset 4 is not UTF-8 (invalid continuation byte)"),
        (PACKED, "1: byte 0x8b at byte offset 1 is not UTF-8"),
        ("\ufeffé".encode("utf-16-le"), "1: byte 0xff at byte offset 0 is not UTF-8"),
    ],
)
def test_a_text_and_lines_say_the_same(
    data: bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes(data)
    with pytest.raises(CharseqError) as of_text:
        list(read_chunks(path))
    with pytest.raises(CharseqError) as of_lines:
        list(read_lines(str(path)))
    assert f"{path}:{said}" in str(of_text.value)
    assert f"{path}:{said}" in str(of_lines.value)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with pytest.raises(CharseqError) as of_input:
        list(read_lines("-"))
    assert f"standard input:{said}" in str(of_input.value)


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        (b"c\xe9d", "convert the file to UTF-8, or set `data.errors: replace`"),
        (
            PACKED,
            "it begins as a gzip archive does; unpack it first, with gzip -dc",
        ),
        ("\ufeffé".encode("utf-16-be"), "convert it: iconv -f UTF-16 -t UTF-8"),
    ],
)
def test_what_to_do_comes_from_the_first_bytes(data: bytes, advice: str, tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes(data)
    with pytest.raises(CharseqError, match="is not UTF-8") as told:
        list(read_chunks(path))
    assert advice in str(told.value)


@pytest.mark.parametrize("form", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wider_characters_without_a_mark_are_refused(form: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_bytes("ab\tba\ncafé\téfac\n".encode(form) * 20)
    name, order = form[:6].upper(), form[-2:].upper()
    advice = f"convert it: iconv -f {name}{order} -t UTF-8"
    said = f"has a zero in every few bytes, as {name} has; {advice}"
    for read in (lambda: list(read_chunks(path)), lambda: read_whole(path, str(path))):
        with pytest.raises(CharseqError) as caught:
            read()
        assert str(caught.value) == f"{path}: {said}"
    assert "".join(read_chunks(path, errors="replace")).count("\0") > 300


def test_a_few_zeros_are_characters(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    for text in ("\0" * 63, "abcdefgh\0" * 20):
        path.write_text(text)
        assert "".join(read_chunks(path)) == text

"""The first lines of a file of pairs, in cells."""

import gzip
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from charseq.errors import CharseqError
from charseq.text.characters import escape
from charseq.text.read import read_chunks
from charseq.text.utf8 import GZIP

LINES = 20_000
BYTES = 8 << 20

Row = list[str]  # the cells of a line


class FirstLines(NamedTuple):
    """The first lines of a file, in cells. ``whole``: it has no others."""

    cells: list[Row]
    whole: bool


def first_lines(path: Path) -> FirstLines:
    """The first ``LINES`` lines, or those in the first ``BYTES``; a gzip archive is unpacked.

    Bytes that are not UTF-8 become U+FFFD.

    Raises:
        CharseqError: the file is missing or empty, cannot be read, is a damaged archive, or its
            first line has more than ``BYTES``.
    """
    next(read_chunks(path, errors="replace", chunk_bytes=1))  # refuses what is no file to read
    try:
        with path.open("rb") as file:
            packed = file.read(len(GZIP)) == GZIP
        with gzip.open(path) if packed else path.open("rb") as file:
            data = file.read(BYTES)
            whole = not file.read(1)
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise CharseqError(f"{escape(str(path))}: cannot be read: {escape(str(why))}") from None
    if not whole:
        data = data[: data.rfind(b"\n") + 1]
        if not data:
            raise CharseqError(
                f"{escape(str(path))}:1: the line is longer than {BYTES:,} bytes; a file of pairs"
                " has a pair a line, with a tab between source and target"
            )
    lines = data.decode("utf-8-sig", "replace").replace("\r\n", "\n").split("\n")
    if lines[-1] == "":  # behind the end of the last line
        lines.pop()
    cells = [line.split("\t") for line in lines[:LINES]]
    return FirstLines(cells, whole and len(lines) <= LINES)


def cells_of(rows: Iterable[Row], place: int) -> list[str]:
    """A column, of the lines that have it."""
    return [row[place] for row in rows if place < len(row)]

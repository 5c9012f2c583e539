"""The lines of a tab-separated file of pairs, checked: what is wrong with one is told as file:line.

Lines end with LF or CRLF. A file that begins as a gzip archive does is read as one.
"""

import gzip
import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from charseq.config.schema.seq2seq import PairDataConfig
from charseq.errors import CharseqError
from charseq.text.characters import escape
from charseq.text.columns import Columns, find_columns
from charseq.text.read import BYTE_ORDER_MARK, LOOKED_AT, file_bytes
from charseq.text.symbols import normalized, split_symbols, split_tags
from charseq.text.utf8 import GZIP, not_utf8, refuse_zeros

LISTED = 10  # mistakes that an error lists
LONGEST_REASON = 80  # characters of what a library says of an archive

Reason = Literal[
    "empty line",
    "no tab",
    "too few columns",
    "empty source",
    "empty target",
    "long source",
    "long target",
    "duplicate",
]
Pair = tuple[str, tuple[str, ...], str]  # source, tags, target
Side = Literal["source", "target"]
EMPTY: dict[Side, Reason] = {"source": "empty source", "target": "empty target"}
LONG: dict[Side, Reason] = {"source": "long source", "target": "long target"}


class WrongLinesError(CharseqError):
    """Lines of a file of pairs that cannot be used; ``listed`` tells the first of them."""

    def __init__(self, listed: str) -> None:
        advice = "correct them, or set `data.errors: skip` to leave them out and count them"
        super().__init__(f"{listed}\n{advice}")
        self.listed = listed


@dataclass
class Mistakes:
    """What is wrong with the lines of some files.

    Attributes:
        count: how many lines, or answers of a line, are left out for each reason.
        first: the first of them as ``file:line: why``.
    """

    count: Counter[str] = field(default_factory=Counter)
    first: list[str] = field(default_factory=list)

    def add(self, reason: Reason, why: str, where: str) -> None:
        self.count[reason] += 1
        if len(self.first) < LISTED:
            self.first.append(f"{where}: {why}")

    def refuse(self) -> None:
        """Raise a WrongLinesError that lists the first mistakes, if there is any."""
        if not self.first:
            return
        others = self.count.total() - len(self.first)
        more = [f"and {others:,} more"] if others else []
        raise WrongLinesError("\n".join([*self.first, *more]))


@dataclass(frozen=True, eq=False)
class Rows:
    """The pairs of a file: row i is ``sources[i]`` with one right answer, ``targets[i]``.

    Attributes:
        path: as error messages show it.
        lines: where the rows stand in the file, from 1.
        sources: normalized; one separator between two symbols. Targets likewise, not normalized.
        features: the tags of each source.
        sha256: of the file's bytes, unpacked, in hex.
    """

    path: str
    lines: list[int]
    sources: list[str]
    features: list[tuple[str, ...]]
    targets: list[str]
    sha256: str

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, row: int) -> str:
        return f"{self.path}:{self.lines[row]}"

    def take(self, rows: Sequence[int]) -> "Rows":
        """Some of the rows."""
        return Rows(
            self.path,
            [self.lines[row] for row in rows],
            [self.sources[row] for row in rows],
            [self.features[row] for row in rows],
            [self.targets[row] for row in rows],
            self.sha256,
        )


def read_rows(path: Path, data: PairDataConfig, mistakes: Mistakes) -> Rows:
    """Read a file of pairs as the settings say; a line with a mistake adds to ``mistakes``.

    A line is left out whole when its source is wrong. A target that is too long or there already
    is left out alone, so that other answers in its line count.

    Raises:
        CharseqError: the file cannot be read, is a damaged archive, is not UTF-8, has not the
            columns that the settings name, or has no tab at all (``data.errors: raise``).
    """
    name = escape(str(path))
    text, sha256 = read_whole(path, name)
    lines = text.split("\n")
    if lines[-1] == "":  # behind the end of the last line
        lines.pop()
    if not lines:
        raise CharseqError(f"{name}: the file is empty; a line for each pair should be in it")
    if data.errors == "raise" and "\t" not in text:  # a text perhaps: one message, not a million
        hint = ""
        if all("," in line for line in lines[:10]):
            hint = " (commas stand there: save the table with tabs)"
        raise CharseqError(
            f"{name}:1: there is no tab between a source and a target, in this line or any other; "
            f"take a file of pairs, or put a tab between the two in each line{hint}"
        )
    columns = find_columns(lines[0].split("\t"), data)
    if isinstance(columns, list):
        wrong = (f"{name}:1: data.{setting}: {why}" for setting, why in columns)
        raise CharseqError("\n".join(wrong))
    rows = Rows(name, [], [], [], [], sha256)
    line_of: dict[Pair, int] = {}
    for number, pair in _checked(lines, columns, data, name, mistakes):
        source, features, target = pair
        if pair in line_of:
            what = "source, tags and target" if features else "source and target"
            first = line_of[pair]
            why = f"the same {what} stand in line {first:,} already"
            if columns.unread(lines[number - 1]) != columns.unread(lines[first - 1]):
                why += "; other columns differ: should `data.features_column` name one?"
            mistakes.add("duplicate", why, f"{name}:{number}")
            continue
        line_of[pair] = number
        rows.lines.append(number)
        rows.sources.append(source)
        rows.features.append(features)
        rows.targets.append(target)
    return rows


def _checked(
    lines: Sequence[str], columns: Columns, data: PairDataConfig, name: str, mistakes: Mistakes
) -> Iterator[tuple[int, Pair]]:
    """Each line's number and its pairs, all but the wrong ones."""
    for number in range(2 if columns.header else 1, len(lines) + 1):
        cells = lines[number - 1].split("\t")
        if len(cells) < columns.needed:
            mistakes.add(*_too_few(cells, columns), f"{name}:{number}")
            continue
        text = normalized(cells[columns.source], data.normalize)
        source, length = _written(text, data.source_separator)
        if not 0 < length <= data.max_source_length:
            wrong = _wrong_length("source", length, data.max_source_length)
            mistakes.add(*wrong, f"{name}:{number}")
            continue
        features = () if columns.features is None else split_tags(cells[columns.features])
        for cell in columns.answers(cells):
            target, length = _written(cell, data.target_separator)
            if 0 < length <= data.max_target_length:
                yield number, (source, features, target)
            else:
                wrong = _wrong_length("target", length, data.max_target_length)
                mistakes.add(*wrong, f"{name}:{number}")


def _too_few(cells: list[str], columns: Columns) -> tuple[Reason, str]:
    if cells == [""]:
        return "empty line", "the line is empty"
    if len(cells) == 1:
        return "no tab", "there is no tab between a source and a target"
    setting = next(one for one, place in columns.places.items() if place >= len(cells))
    wanted = columns.places[setting] + 1
    why = f"the line has {len(cells)} columns; data.{setting} is column {wanted}"
    return "too few columns", why


def _wrong_length(side: Side, length: int, most: int) -> tuple[Reason, str]:
    if not length:
        return EMPTY[side], f"the {side} is empty"
    return LONG[side], f"the {side} has {length:,} symbols; data.max_{side}_length is {most:,}"


def _written(cell: str, separator: str) -> tuple[str, int]:
    """A cell with one separator between two symbols, and how many symbols it has."""
    if not separator:
        return cell, len(cell)
    symbols = split_symbols(cell, separator)
    return separator.join(symbols), len(symbols)


def read_whole(path: Path, name: str) -> tuple[str, str]:
    """The text of a file, with LF for CRLF, and the sha256 of its bytes, unpacked.

    Raises:
        CharseqError: it cannot be read, is a damaged archive, or is not UTF-8; called ``name``.
    """
    data = file_bytes(path)
    if data.startswith(GZIP):
        data = _unpack(data, name)
    elif path.suffix == ".gz":
        raise CharseqError(f"{name}: is no gzip archive; give it another name if it is plain text")
    refuse_zeros(name, data[:LOOKED_AT])
    try:
        text = data.decode("utf-8").removeprefix(BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise not_utf8(f"{name}:{line}", error, "convert the file to UTF-8") from None
    text = text.replace("\r\n", "\n")
    if "\r" in text and "\n" not in text:
        raise CharseqError(f"{name}: its lines end with CR alone; save them with LF or CRLF")
    return text, hashlib.sha256(data).hexdigest()


def _unpack(data: bytes, name: str) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        why = escape(str(error))[:LONGEST_REASON]
        raise CharseqError(
            f"{name}: is a damaged gzip archive ({why}); fetch or make it again"
        ) from None

"""A look at the first lines of a file of pairs, and the settings that they ask for.

Only what can hardly be anything else is noticed, and every notice says what was seen, so that a
person can disagree. What is wrong with a line is for those who read them all: ``rows.py``.
"""

import gzip
import math
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, combinations, islice
from pathlib import Path
from typing import NamedTuple
from unicodedata import is_normalized, normalize

from charseq.config.recipes import ORDERLESS, PAIRS, Settings, recipe_for
from charseq.config.scalars import Scalar
from charseq.config.schema.seq2seq import PairDataConfig
from charseq.errors import CharseqError
from charseq.text.characters import escape
from charseq.text.columns import LONGEST_NAME, SETTINGS, find_columns
from charseq.text.notices import Notice, few, notice_of, said
from charseq.text.read import read_chunks
from charseq.text.symbols import split_symbols, split_tags
from charseq.text.utf8 import GZIP

LINES = 20_000
BYTES = 8 << 20

# What a column of sources or of targets is called, in any case; a header has two such names.
SIDES = {
    *("source", "src", "input", "target", "tgt", "trg", "output"),
    *("lemma", "form", "inflected", "inflection", "word", "spelling", "orthography"),
    *("grapheme", "graphemes", "phoneme", "phonemes", "phones", "ipa"),
    *("pron", "pronunciation", "transcription", "transliteration"),
}
TARGETS = {"target", "tgt", "trg", "output"}  # wherever they stand
TAGS = {"tag", "tags", "feature", "features", "feats", "msd"}

ENOUGH = 100  # lines that a header without such names differs from
OFTEN = 5  # times that each of a closed set of tags or symbols occurs, on average
MOST = 0.9  # share of the cells of which something has to be true
SHARED = 20  # characters of a line whose order is compared
SYMBOL = 2.5  # characters, on average, of what spaces separate: of phones, not of words

Row = list[str]  # the cells of a line


class FirstLines(NamedTuple):
    """The first lines of a file, in cells. ``whole``: it has no others."""

    cells: list[Row]
    whole: bool


# Where the columns of tags, sources and targets are, if not in the usual order
LAYOUTS = {"between source and target": (1, 0, 2), "before source and target": (0, 1, 2)}
NO_TAB = "no line has a tab between a source and a target"

MEND = "mend what is wrong, or set data.errors: skip"
OTHER_ORDER = "; where a target does not follow the order of its source, set "


def first_lines(path: Path) -> FirstLines:
    """The first ``LINES`` lines, or those in the first ``BYTES``; a gzip archive is unpacked.

    Bytes that are not UTF-8 become U+FFFD.

    Raises:
        CharseqError: the file is missing or empty, cannot be read, or is a damaged archive.
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
    lines = data.decode("utf-8-sig", "replace").replace("\r\n", "\n").split("\n")
    if lines[-1] == "":  # behind the end of the last line
        lines.pop()
    cells = [line.split("\t") for line in lines[:LINES]]
    return FirstLines(cells, whole and len(lines) <= LINES)


def look(lines: FirstLines) -> list[Notice]:
    """What the columns are, where spaces separate symbols, and whether the pairs are few."""
    rows = [row for row in lines.cells if len(row) > 1]
    if not rows:
        return [Notice(NO_TAB, {})]
    header, source, target = _header(rows)
    notices = []
    if header:
        why = "the first line names the columns"
        columns: Settings = {
            ("data", "source_column"): header[source],
            ("data", "target_column"): header[target],
        }
        notices.append(notice_of(why, columns))
        rows = rows[1:]
    tags, source, target, told = _find_tags(header, rows, source, target)
    notices += told
    unread = [place for place in range(3) if place not in (source, target, tags)]
    if not header and unread and len(_cells(rows, 2)) >= MOST * len(rows):
        read = f"sources are column {source + 1}, targets column {target + 1}"
        more = f"is not read: if it holds tags, set data.features_column: {unread[0] + 1}"
        notices.append(Notice(f"{read}; column {unread[0] + 1} {more}", {}))
    elif not header:
        if lines.cells[0] is rows[0]:
            notices += _odd_first(rows, source, target)
        notices += _wider(lines.cells, max(source, target, tags or 0) + 1)
    for side, place in (("source", source), ("target", target)):
        if _spaced(_cells(rows, place)):
            why = f"spaces separate the symbols of a {side}"
            notices.append(notice_of(why, {("data", f"{side}_separator"): " "}))
        else:
            notices += _padded(lines.cells, side, place)
    notices += _two_forms(lines.cells, {"source": source, "target": target})
    if lines.whole:
        notices += _few(rows, source, target)
    return notices


def _find_tags(
    header: Row, rows: Sequence[Row], source: int, target: int
) -> tuple[int | None, int, int, list[Notice]]:
    """The columns of tags, if there are any, sources and targets; and what there is to say."""
    tags = _tags_column(header, rows, {source, target})
    if tags is not None:
        column: Settings = {("data", "features_column"): _name(header, tags)}
        return tags, source, target, [notice_of(f"column {tags + 1} holds tags", column)]
    for where, places in LAYOUTS.items():
        if not header and _of_three(rows, places[0]):
            names = ("features_column", "source_column", "target_column")
            columns: Settings = {
                ("data", name): place + 1
                for name, place, usual in zip(names, places, (None, 0, 1), strict=True)
                if place != usual
            }
            return *places, [notice_of(f"tags stand {where}", columns)]
    return None, source, target, []


def data_settings(notices: Iterable[Notice]) -> dict[str, Scalar]:
    """How the notices say that a file is to be read: settings of ``data`` by their names."""
    every = chain.from_iterable(notice.settings.items() for notice in notices)
    return {path[1]: value for path, value in every if path[0] == "data"}


def missing_columns(lines: FirstLines, data: PairDataConfig) -> Iterator[tuple[str, str]]:
    """Each setting of a column that the lines have not, and why not."""
    found = find_columns(lines.cells[0] if lines.cells else [], data)
    if isinstance(found, list):
        yield from found
    widest = max(map(len, lines.cells), default=0)
    for setting in SETTINGS:
        column = getattr(data, setting)
        if isinstance(column, int) and column > widest:
            there = f"the first lines have {widest}" if widest > 1 else "no line has a tab"
            yield setting, f"there is no column {column}: {there}"


def _header(rows: Sequence[Row]) -> tuple[Row, int, int]:
    """The names of the columns, if the first row holds such, and the places of both sides."""
    first = rows[0]
    sides = [place for place, cell in enumerate(first) if _plain(cell) in SIDES][:2]
    if len(sides) == 2 and _plain(first[sides[0]]) in TARGETS:
        sides.reverse()
    if len(sides) < 2 and _foreign(first, rows[1:]):
        sides = [0, 1]
    if len(sides) < 2 or any(first.count(first[place]) > 1 for place in sides):
        return [], 0, 1
    return first, sides[0], sides[1]


def _foreign(first: Row, rows: Sequence[Row]) -> bool:
    """Whether two plain words stand over many targets in which no letter occurs."""
    words = all(len(cell) <= LONGEST_NAME and cell.isidentifier() for cell in first[:2])
    return words and len(rows) >= ENOUGH and not any(map(_has_letter, _cells(rows, 1)))


def _odd_first(rows: Sequence[Row], source: int, target: int) -> Iterator[Notice]:
    """A first line that may be a header: most characters of a name stand in no other line, and no
    other line is so."""
    first, places = rows[0], (source, target)
    words = all(place < len(first) and first[place].isidentifier() for place in places)
    if len(rows) < ENOUGH or not words or first[source] == first[target]:
        return
    for place in places:
        cells = [set(cell) for cell in _cells(rows, place)]
        lines_with = Counter(chain.from_iterable(cells))
        odd = [2 * sum(lines_with[one] == 1 for one in cell) > len(cell) for cell in cells]
        if odd[0] and not any(odd[1:]):
            names = {"source_column": first[source], "target_column": first[target]}
            settings = said({("data", name): value for name, value in names.items()})
            yield Notice(f"line 1 is read as a pair; if it names the columns, set {settings}", {})
            return


def _tags_column(header: Row, rows: Sequence[Row], taken: Collection[int]) -> int | None:
    """The place of the column that has such a name, or else of the third, if it holds tags."""
    places = (place for place, cell in enumerate(header) if _plain(cell) in TAGS)
    if named := [place for place in places if place not in taken]:
        return named[0]
    return 2 if 2 not in taken and _are_tags(_cells(rows, 2), len(rows)) else None


def _of_three(rows: Sequence[Row], place: int) -> bool:
    """Whether this one of three columns holds tags: lemma, V;PST, form."""
    cells = _cells(rows, place)
    several = sum(";" in cell for cell in cells)
    wide = len(_cells(rows, 2)) >= MOST * len(rows)
    return wide and several >= MOST * len(cells) and _are_tags(cells, len(rows))


def _are_tags(cells: Sequence[str], rows: int) -> bool:
    """Whether cells of nearly all rows hold some of a closed set of labels, not only numbers."""
    tags = Counter(chain.from_iterable(map(split_tags, cells)))
    return (
        len(cells) >= MOST * rows
        and len(set(cells)) > 1
        and _closed(tags)
        and not all(tag.replace(".", "", 1).isdigit() for tag in tags)
    )


def _spaced(cells: Sequence[str]) -> bool:
    """Whether nearly all cells are short symbols of a closed set, with spaces; no numbers."""
    symbols = [split_symbols(cell, " ") for cell in cells]
    counts = Counter(chain.from_iterable(symbols))
    characters = sum(len(symbol) * count for symbol, count in counts.items())
    return (
        sum(len(some) > 1 for some in symbols) >= MOST * len(cells)
        and characters <= SYMBOL * counts.total()
        and _closed(counts)
        and not any(len(symbol) > 1 and symbol.isdigit() for symbol in counts)
    )


def _closed(counts: Counter[str]) -> bool:
    return counts.total() >= OFTEN * len(counts) > 0


def _wider(cells: Sequence[Row], width: int) -> Iterator[Notice]:
    """Lines with more cells than the others."""
    wider = [number for number, row in enumerate(cells, 1) if len(row) > width]
    if wider:
        yield Notice(
            f"{_lines(wider)}: more than {width} columns; what is there is not read, unless"
            " data.further_targets: true says that they are further right targets",
            {},
        )


def _padded(cells: Sequence[Row], side: str, place: int) -> Iterator[Notice]:
    """Cells with a space at an end, which nobody sees."""
    padded = [
        number
        for number, row in enumerate(cells, 1)
        if place < len(row) and row[place] != row[place].strip(" ")
    ]
    if padded:
        why = f"a space at an end of the {side} is a symbol like any other"
        yield Notice(f"{_lines(padded)}: {why}", {})


def _lines(numbers: Sequence[int]) -> str:
    """``line 5 and 2 more``"""
    return f"line {numbers[0]:,}" + (f" and {len(numbers) - 1:,} more" if len(numbers) > 1 else "")


def _two_forms(cells: Sequence[Row], places: Mapping[str, int]) -> Iterator[Notice]:
    """Accents that are one character with their letter in some lines, and two in others."""
    for side, place in places.items():
        texts = {n: row[place] for n, row in enumerate(cells, 1) if place < len(row)}
        # By their lengths: a few characters, such as the sign of the ohm, have other forms too.
        apart = [n for n, text in texts.items() if len(normalize("NFC", text)) < len(text)]
        together = any(
            is_normalized("NFC", text) and len(normalize("NFD", text)) > len(text)
            for text in texts.values()
        )
        if apart and not together and side == "source":
            why = (
                "accents of the source are characters of their own (Unicode NFD), as few type them"
            )
            yield notice_of(why, {("data", "normalize"): "NFD"})
        if not apart or not together:
            continue
        seen = (
            f"{_lines(apart)}: accents of the {side} are characters of their own (Unicode NFD),"
            " elsewhere not"
        )
        if side == "source":
            yield notice_of(seen, {("data", "normalize"): "NFC"})
        else:
            yield Notice(f"{seen}; targets are read as they are: save the file as NFC", {})


def without_tab(lines: FirstLines) -> Iterator[Notice]:
    """Where a training would stop; what is wrong besides it says itself, of every line."""
    without = [number for number, row in enumerate(lines.cells, 1) if len(row) == 1]
    if 0 < len(without) < len(lines.cells):
        first = lines.cells[without[0] - 1][0]
        what = "no tab between a source and a target" if first else "empty"
        yield Notice(f"{_lines(without)}: {what}; {MEND}", {})


def _few(rows: Sequence[Row], source: int, target: int) -> Iterator[Notice]:
    """The recipe for so few pairs; where targets have another order, attention that may go back."""
    recipe = recipe_for(PAIRS, len(rows))
    if recipe is None:
        return
    kept = _kept_order([row for row in rows if max(source, target) < len(row)], source, target)
    why = few(len(rows), "pair", recipe)
    orderless = {path: value for path, value in ORDERLESS.items() if path in recipe.settings}
    if kept is None:
        why += OTHER_ORDER + said(orderless)
    yield Notice(why, recipe.settings)
    if kept is not None and kept < MOST:
        moved = f"{1 - kept:.0%} of the letters and digits of a source move past each other"
        yield notice_of(moved, orderless)


def _kept_order(rows: Iterable[Row], source: int, target: int) -> float | None:
    """Of two characters that a source and its target have once each: how often their order is kept.

    None where so few are shared that it says nothing. Of a long line the first ones are looked at.
    """
    kept = total = 0
    for row in rows:
        ours, theirs = _plain(row[source]), _plain(row[target])
        once, too = Counter(ours), Counter(theirs)
        shared = (c for c in ours if once[c] == too[c] == 1 and c.isalnum())
        places = [theirs.index(c) for c in islice(shared, SHARED)]
        kept += sum(before < after for before, after in combinations(places, 2))
        total += math.comb(len(places), 2)
    return kept / total if total >= ENOUGH else None


def _name(header: Row, place: int) -> int | str:
    """A column as a setting names it."""
    name = header[place] if place < len(header) else ""
    return name if 0 < len(name) <= LONGEST_NAME and header.count(name) == 1 else place + 1


def _has_letter(cell: str) -> bool:
    return any(map(str.isalpha, cell))


def _plain(cell: str) -> str:
    return cell.strip().casefold()


def _cells(rows: Iterable[Row], place: int) -> list[str]:
    return [row[place] for row in rows if place < len(row)]

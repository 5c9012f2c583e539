"""What the columns of a file of pairs are: sources, targets, tags; symbols that spaces separate.

Only what can hardly be anything else is noticed.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from charseq.config.recipes import Settings
from charseq.config.schema.seq2seq import PairDataConfig
from charseq.text.characters import escape
from charseq.text.columns import LONGEST_NAME, SETTINGS, find_columns
from charseq.text.look.first_lines import FirstLines, Row, cells_of
from charseq.text.look.notices import Notice, notice_of
from charseq.text.symbols import split_symbols, split_tags

# What a column of sources or of targets is called, in any case; a header has two such names.
SIDES = {
    *("source", "src", "input", "target", "tgt", "trg", "output"),
    *("lemma", "form", "inflected", "inflection", "word", "spelling", "orthography"),
    *("grapheme", "graphemes", "phoneme", "phonemes", "phones", "ipa"),
    *("pron", "pronunciation", "transcription", "transliteration"),
    *("wrong", "right", "misspelled", "misspelling", "typo", "error", "noisy", "clean"),
    *("correct", "corrected", "correction", "incorrect"),
}
TARGETS = {"target", "tgt", "trg", "output"}  # wherever they stand
TAGS = {"tag", "tags", "feature", "features", "feats", "msd"}

SHOWN = 120  # characters of a first pair
FEWEST = 100  # lines that a header without such names differs from
OFTEN = 5  # times that each of a closed set of tags or symbols occurs, on average
MOST = 0.9  # share of the cells of which something has to be true
SYMBOL = 2.5  # characters, on average, of what spaces separate: of phones, not of words

# Where the columns of tags, sources and targets are, if not in the usual order
LAYOUTS = {"between source and target": (1, 0, 2), "before source and target": (0, 1, 2)}


class Layout(NamedTuple):
    """What stands where in a file: places of columns count from 0.

    ``rows``: the lines with a tab, but for the header. ``notices``: what the columns were told by.
    """

    header: Row  # the names of the columns; none without a header
    rows: list[Row]
    source: int
    target: int
    tags: int | None
    notices: list[Notice]

    @property
    def pairs(self) -> list[Row]:
        """The rows that have something on both sides."""
        last = max(self.source, self.target)
        return [r for r in self.rows if last < len(r) and r[self.source] and r[self.target]]

    @property
    def first_pair(self) -> str | None:
        """``walk, V;PST → walked``, safe to show, as a person can tell whether that is one."""
        first = next(iter(self.pairs), None)
        if first is None:
            return None
        tags = "" if self.tags is None or self.tags >= len(first) else f", {first[self.tags]}"
        pair = f"{first[self.source]}{tags} → {first[self.target]}"
        return escape(pair if len(pair) <= SHOWN else f"{pair[:SHOWN]}…")


def find_layout(lines: FirstLines) -> Layout:
    """Which column is what. A header is the first line or none."""
    rows = [row for row in lines.cells if len(row) > 1]
    is_first = bool(rows) and lines.cells[0] is rows[0]
    header, source, target = _find_header(rows) if is_first else ([], 0, 1)
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
    return Layout(header, rows, source, target, tags, notices + told)


def _find_header(rows: Sequence[Row]) -> tuple[Row, int, int]:
    """The names of the columns, if the first row holds such, and the places of both sides."""
    first = rows[0]
    sides = [place for place, cell in enumerate(first) if plain(cell) in SIDES][:2]
    if len(sides) == 2 and plain(first[sides[0]]) in TARGETS:
        sides.reverse()
    if len(sides) < 2 and _foreign(first, rows[1:]):
        sides = [0, 1]
    if len(sides) < 2 or any(first.count(first[place]) > 1 for place in sides):
        return [], 0, 1
    return first, sides[0], sides[1]


def _foreign(first: Row, rows: Sequence[Row]) -> bool:
    """Whether two plain words stand over many targets in which no letter occurs."""
    words = all(len(cell) <= LONGEST_NAME and cell.isidentifier() for cell in first[:2])
    return words and len(rows) >= FEWEST and not any(map(_has_letter, cells_of(rows, 1)))


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


def _tags_column(header: Row, rows: Sequence[Row], taken: Collection[int]) -> int | None:
    """The place of the column that has such a name, or else of the third, if it holds tags."""
    places = (place for place, cell in enumerate(header) if plain(cell) in TAGS)
    if named := [place for place in places if place not in taken]:
        return named[0]
    return 2 if 2 not in taken and _are_tags(cells_of(rows, 2), len(rows)) else None


def _of_three(rows: Sequence[Row], place: int) -> bool:
    """Whether this one of three columns holds tags: lemma, V;PST, form."""
    cells = cells_of(rows, place)
    several = sum(";" in cell for cell in cells)
    wide = len(cells_of(rows, 2)) >= MOST * len(rows)
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


def are_spaced(cells: Sequence[str]) -> bool:
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


def _name(header: Row, place: int) -> int | str:
    """A column as a setting names it."""
    name = header[place] if place < len(header) else ""
    return name if 0 < len(name) <= LONGEST_NAME and header.count(name) == 1 else place + 1


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


def _has_letter(cell: str) -> bool:
    return any(map(str.isalpha, cell))


def plain(cell: str) -> str:
    return cell.strip().casefold()

"""What is odd about some lines of a file of pairs, or about how all of them are written."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from unicodedata import is_normalized, normalize

from charseq.config.schema.seq2seq import PairDataConfig
from charseq.text.characters import escape
from charseq.text.look.columns import FEWEST, MOST
from charseq.text.look.first_lines import Row, cells_of
from charseq.text.look.notices import Notice, notice_of, said
from charseq.text.rows import Mistakes, read_rows

MEND = "mend what is wrong, or set data.errors: skip"


def odd_first(rows: Sequence[Row], source: int, target: int) -> Iterator[Notice]:
    """A first line that may be a header: most characters of a name stand in no other line, and no
    other line is so."""
    first, places = rows[0], (source, target)
    words = all(place < len(first) and first[place].isidentifier() for place in places)
    if len(rows) < FEWEST or not words or first[source] == first[target]:
        return
    for place in places:
        cells = [set(cell) for cell in cells_of(rows, place)]
        lines_with = Counter(chain.from_iterable(cells))
        odd = [2 * sum(lines_with[one] == 1 for one in cell) > len(cell) for cell in cells]
        if odd[0] and not any(odd[1:]):
            names = {"source_column": first[source], "target_column": first[target]}
            settings = said({("data", name): value for name, value in names.items()})
            yield Notice(f"line 1 is read as a pair; if it names the columns, set {settings}", {})
            return


def wider_lines(cells: Sequence[Row], width: int) -> Iterator[Notice]:
    """Lines with more cells than the others."""
    wider = [number for number, row in enumerate(cells, 1) if len(row) > width]
    if wider:
        yield Notice(
            f"{_lines(wider)}: more than {width} columns; what is there is not read, unless"
            " data.further_targets: true says that they are further right targets",
            {},
        )


def padded_cells(cells: Sequence[Row], side: str, place: int) -> Iterator[Notice]:
    """Cells with a space at an end, which nobody sees."""
    padded = [
        number
        for number, row in enumerate(cells, 1)
        if place < len(row) and row[place] != row[place].strip(" ")
    ]
    if padded:
        why = f"a space at an end of the {side} is a symbol like any other"
        yield Notice(f"{_lines(padded)}: {why}", {})


def forms_of_accents(cells: Sequence[Row], places: Mapping[str, int]) -> Iterator[Notice]:
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


def wrong_lines(path: Path, data: PairDataConfig) -> Iterator[Notice]:
    """Where a training would stop, as it would read the file.

    Raises:
        CharseqError: as ``read_rows``.
    """
    mistakes = Mistakes()
    read_rows(path, data.model_copy(update={"errors": "skip"}), mistakes)
    if count := mistakes.count.total():
        first = mistakes.first[0].removeprefix(f"{escape(str(path))}:")
        more = f" (and {count - 1:,} more)" if count > 1 else ""
        yield Notice(f"line {first}{more}; {MEND}", {})


def quoted_cells(rows: Sequence[Row], place: int) -> Iterator[Notice]:
    """Quotes around nearly all cells, as a spreadsheet puts them there."""
    cells = cells_of(rows, place)
    quoted = sum(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells)
    if quoted >= MOST * len(cells) > 0:
        why = "cells stand in quotes, which are symbols like any other: save the file without them"
        yield Notice(why, {})


def _lines(numbers: Sequence[int]) -> str:
    """``line 5 and 2 more``"""
    return f"line {numbers[0]:,}" + (f" and {len(numbers) - 1:,} more" if len(numbers) > 1 else "")

"""A prediction above its right answer, symbol under symbol, with what differs marked."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from charseq.inference.align import Piece
from charseq.reports.visible import combines, visible
from charseq.text.characters import escape

WROTE = "white on red"
RIGHT = "black on green"


class Lines(NamedTuple):
    """One prediction above its right answer; carets below what differs, where there is no color."""

    prediction: Text
    reference: Text
    marks: Text | None


def aligned_lines(
    pieces: Iterable[Piece], width: int, *, spaced: bool, in_color: bool
) -> list[Lines]:
    """The two sides of the pieces as lines of equal length.

    Args:
        width: of the screen, in cells; a longer prediction is several lines, one below the other.
        spaced: with a blank between two symbols.
    """
    lines: list[Lines] = []
    used = width
    for cell in _cells(pieces, spaced=spaced):
        if used + cell.width > width and cell.width:
            lines.append(Lines(Text(), Text(), None if in_color else Text()))
            used = 0
        used += cell.width
        line = lines[-1]
        gap = " " if spaced else ""
        for text, shown, style in (
            (line.prediction, cell.predicted, WROTE),
            (line.reference, cell.reference, RIGHT),
        ):
            padded = shown + " " * (cell.width - len(gap) - cell_len(shown))
            text.append(padded, style if cell.differs and in_color else None)
            text.append(gap)
        if line.marks is not None:
            mark = "^" if cell.differs else " "
            line.marks.append(mark * (cell.width - len(gap)) + gap)
    return lines


class _Cell(NamedTuple):
    predicted: str
    reference: str
    differs: bool
    width: int


def _cells(pieces: Iterable[Piece], *, spaced: bool) -> Iterator[_Cell]:
    """A cell a symbol, or a gap where the other side has one."""
    follows = False  # a symbol that is alike, without a blank between
    for piece in pieces:
        differs = piece.kind != "equal"
        if differs:
            sides = [[visible(one) for one in side] for side in (piece.predicted, piece.reference)]
        else:
            sides = [list(_alike(piece.predicted, follows=follows, spaced=spaced))] * 2
        for predicted, reference in zip_longest(*sides, fillvalue=""):
            width = max(cell_len(predicted), cell_len(reference)) + spaced
            yield _Cell(predicted, reference, differs, width)
        follows = not differs and not spaced


def _alike(symbols: Iterable[str], *, follows: bool, spaced: bool) -> Iterator[str]:
    """As they are: one that combines may be drawn on the one before it, if there is one."""
    for symbol in symbols:
        yield escape(symbol) if follows or not combines(symbol) else visible(symbol)
        follows = not spaced

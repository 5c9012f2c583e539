"""What a model looked at while it wrote: an alignment, and its heat map on a terminal.

A row is a symbol of the target, the end among them; a column is one of the source. A row's weights
add up to 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

from charseq.errors import CharseqError
from charseq.reports.visible import visible
from charseq.text.characters import escape

END = "END"
BLOCKS = {0.1: " ", 0.3: "░", 0.5: "▒", 0.7: "▓"}  # for weights below; above them all █
RAMP = ((24, 28, 58), (36, 84, 150), (38, 160, 160), (130, 200, 90), (252, 232, 80))  # 0 … 1


@dataclass(frozen=True, eq=False)
class Alignment:
    """What one target was read from. Printed with rich it is a heat map.

    Attributes:
        title: what became of what, in one line.
        source, target: the labels of the columns and rows: visible, harmless, not empty.
        weights: (T, S).
    """

    title: str
    source: tuple[str, ...]
    target: tuple[str, ...]
    weights: NDArray[np.floating]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Shades of color where there are 256 at least, else blocks; wide sources in bands."""
        in_color = console.color_system in ("256", "truecolor") and not console.no_color
        margin = max(map(cell_len, self.target)) + 1
        for number, band in enumerate(_bands(self.source, max(1, options.max_width - margin))):
            if number:
                yield Segment.line()
            heads = "".join(_padded(self.source[j], width) for j, width in band)
            yield Segment(f"{' ' * margin}{heads}".rstrip())
            yield Segment.line()
            for label, row in zip(self.target, self.weights, strict=True):
                yield Segment(" " * (margin - 1 - cell_len(label)))
                yield Segment(f"{label} ", Style(dim=label is END))
                if in_color:
                    for j, width in band:
                        yield Segment(" " * width, Style(bgcolor=Color.from_rgb(*shade(row[j]))))
                else:
                    yield Segment("".join(_block(row[j]) * width for j, width in band).rstrip())
                yield Segment.line()


def alignment(
    title: str, source: Sequence[str], target: Sequence[str], weights: NDArray[np.floating]
) -> Alignment:
    """An alignment of symbols as a model knows them, (T, S); its end has a row where there is one.

    Raises:
        CharseqError: the symbols are not as many as the weights are for.
    """
    columns = tuple(visible(symbol) for symbol in source)
    rows = tuple(visible(symbol) for symbol in target)
    if len(weights) == len(rows) + 1:
        rows += (END,)
    if weights.shape != (len(rows), len(columns)):
        raise CharseqError(
            f"attention: weights of shape {weights.shape} are not those of {len(target)} target "
            f"and {len(source)} source symbols"
        )
    return Alignment(escape(title), columns, rows, weights)


def shade(weight: float) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a weight from 0, dark blue, to 1, yellow."""
    places = np.linspace(0.0, 1.0, len(RAMP))
    red, green, blue = (round(float(np.interp(weight, places, x))) for x in zip(*RAMP, strict=True))
    return red, green, blue


def _bands(symbols: Sequence[str], room: int) -> list[list[tuple[int, int]]]:
    """The columns as (index, width), in as many bands as there have to be."""
    narrow = [cell_len(symbol) + (len(symbol) > 1) for symbol in symbols]  # a gap beside a word
    wide = [max(2, width) for width in narrow]
    bands: list[list[tuple[int, int]]] = []
    used = room
    for column in enumerate(wide if sum(wide) <= room else narrow):
        if used + column[1] > room:
            bands.append([])
            used = 0
        bands[-1].append(column)
        used += column[1]
    return bands


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _block(weight: float) -> str:
    return next((block for limit, block in BLOCKS.items() if weight < limit), "█")

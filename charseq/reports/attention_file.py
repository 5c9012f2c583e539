"""Alignments as a file: an image through matplotlib, or a page that needs nothing but a browser."""

import html
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from charseq.reports.attention import RAMP, Alignment, shade
from charseq.reports.image import file_format, reproducible, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS: Final = (".png", ".svg", ".html")
MOST = 24  # alignments in a file
CELL = 0.24  # inches
HEAD = 3.2  # cells above a map, for its title and labels
LONGEST_UPRIGHT = 2  # characters of a label that fit above a cell; longer ones are turned
TURNED = 0.4  # cells that each character of a turned label needs
DOTS_PER_INCH = 144
USUAL_FONT = "DejaVu Sans"  # comes with matplotlib

STYLE = """
body { font: 16px/1.4 system-ui, sans-serif; margin: 2rem; }
figure { margin: 0 0 3rem; overflow-x: auto; }
figcaption { font-weight: 600; margin-bottom: .5rem; }
table { border-collapse: collapse; }
th { font-weight: normal; padding: 0 .3em; white-space: nowrap; }
th[scope=row] { text-align: right; }
td { min-width: 1.4em; height: 1.4em; padding: 0; }
""".strip()


def check_format(file: str) -> str:
    """The format that a file's name asks for.

    Raises:
        CharseqError: it is none of them, or it needs matplotlib, which is not installed.
    """
    return file_format(file, FORMATS)


def draw(alignments: Sequence[Alignment], suffix: str) -> tuple[bytes, str]:
    """The bytes of a file with all of them, one below the other; at least one, ``MOST`` at most.

    Beside them the characters that the file cannot show, because no font here has them.
    """
    return (_page(alignments).encode(), "") if suffix == ".html" else _image(alignments, suffix)


def _page(alignments: Sequence[Alignment]) -> str:
    figures = "\n".join(_table(alignment) for alignment in alignments)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Attention</title>\n'
        f"<style>\n{STYLE}\n</style>\n{figures}\n</html>\n"
    )


def _table(alignment: Alignment) -> str:
    heads = "".join(f'<th scope="col"><bdi>{html.escape(s)}</bdi></th>' for s in alignment.source)
    lines = [
        f"<figure>\n<figcaption>{html.escape(alignment.title)}</figcaption>\n<table>",
        f"<tr><td></td>{heads}</tr>",
    ]
    for label, row in zip(alignment.target, alignment.weights, strict=True):
        cells = "".join(
            f'<td style="background:#{bytes(shade(w)).hex()}" title="{w:.3f}"></td>' for w in row
        )
        lines.append(f'<tr><th scope="row"><bdi>{html.escape(label)}</bdi></th>{cells}</tr>')
    return "\n".join([*lines, "</table>\n</figure>"])


def _image(alignments: Sequence[Alignment], suffix: str) -> tuple[bytes, str]:
    """Each below the one before it, all cells of one size, whatever the labels are."""
    from matplotlib.figure import Figure

    text = "".join("".join((one.title, *one.source, *one.target)) for one in alignments)
    fonts, missing = _fonts(text)
    heights = [len(one.target) + HEAD + TURNED * _turned(one) for one in alignments]
    width, height = max(len(one.source) for one in alignments), sum(heights)
    with reproducible(fonts), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure = Figure(figsize=(width * CELL, height * CELL), dpi=DOTS_PER_INCH)
        bottom = 0.0
        for one, used in zip(reversed(alignments), reversed(heights), strict=True):
            rows, columns = one.weights.shape
            place = (0, bottom / height, columns / width, rows / height)
            _draw(figure.add_axes(place), one)
            bottom += used
        data = save(figure, suffix, bbox_inches="tight")
    return data, "" if suffix == ".svg" else missing


def _draw(axes: "Axes", alignment: Alignment) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    colors = LinearSegmentedColormap.from_list("charseq", [tuple(x / 255 for x in c) for c in RAMP])
    rows, columns = alignment.weights.shape
    axes.pcolormesh(
        alignment.weights, cmap=colors, vmin=0.0, vmax=1.0, edgecolors="face", linewidth=0.2
    )
    axes.invert_yaxis()
    axes.set_title(alignment.title, parse_math=False, fontsize=10, loc="left")
    axes.set_xticks(
        [j + 0.5 for j in range(columns)],
        alignment.source,
        parse_math=False,
        rotation=90 if _turned(alignment) else 0,
    )
    axes.set_yticks([t + 0.5 for t in range(rows)], alignment.target, parse_math=False)
    axes.tick_params(length=0, labelsize=9, top=True, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)


def _turned(alignment: Alignment) -> int:
    """The characters of the longest label above the map; 0 where all fit as they are."""
    longest = max(map(len, alignment.source))
    return longest if longest > LONGEST_UPRIGHT else 0


def _fonts(text: str) -> tuple[list[str], str]:
    """The names of installed fonts that have the characters between them, and which none has."""
    from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

    missing = {ord(character) for character in text}
    missing -= get_font(findfont(FontProperties(family=USUAL_FONT))).get_charmap().keys()
    names = [USUAL_FONT]
    for font in fontManager.ttflist:
        if not missing:
            break
        has = get_font(font.fname).get_charmap().keys() & missing
        if has and font.style == "normal" and not font.name.startswith("Last Resort"):
            names.append(font.name)
            missing -= has
    return names, "".join(chr(code) for code in sorted(missing))

"""Symbols as they can be shown: visible, harmless, and none combined with its neighbour."""

import unicodedata

from rich.cells import cell_len

from charseq.text.characters import escape

SPACE = "␣"
CIRCLE = "◌"  # what Unicode draws a combining mark on that stands alone


def visible(symbol: str) -> str:
    r"""The symbol as it can stand beside others, in columns that stay aligned.

    A space is ``␣``, a combining mark stands on ``◌``, a control character is ``\x1b``. A jamo of
    Hangul, which a terminal draws into its neighbours, is the letter that it is.
    """
    if len(symbol) == 1 and "\u1100" <= symbol <= "\u11ff":
        return _letter(symbol)
    shown = escape(symbol).replace(" ", SPACE)
    return CIRCLE + shown if combines(symbol) else shown


def combines(symbol: str) -> bool:
    """Whether it is drawn on what stands in front of it."""
    first = symbol[:1]
    return first.isprintable() and first != "" and cell_len(first) == 0


def _letter(jamo: str) -> str:
    """The Hangul letter (U+3131 and on) that a leading, middle or final jamo is a form of."""
    _, _, name = unicodedata.name(jamo, "  ").split(" ", 2)
    try:
        return unicodedata.lookup(f"HANGUL LETTER {name}")
    except KeyError:  # not in use since the 15th century, most of them
        return CIRCLE + jamo

"""Symbols that can stand side by side."""

import sys

import pytest
from rich.cells import cell_len

from charseq.reports.visible import visible


@pytest.mark.parametrize(
    ("symbol", "shown"),
    [
        ("a", "a"),
        (" ", "␣"),
        ("\u00a0", "\\xa0"),
        ("\x1b", "\\x1b"),
        ("\u202e", "\\u202e"),
        ("\u0301", "◌\u0301"),
        ("\u093f", "◌\u093f"),
        ("漢", "漢"),
        ("t\u0361ʃ", "t\u0361ʃ"),
        ("ᄒ", "ㅎ"),  # a leading, a middle and a final jamo
        ("ᅡ", "ㅏ"),
        ("ᆫ", "ㄴ"),
        ("\u1160", "◌\u1160"),  # the filler has no letter
    ],
)
def test_symbols_and_how_they_are_shown(symbol: str, shown: str) -> None:
    assert visible(symbol) == shown


def test_every_character_takes_a_cell_and_is_harmless() -> None:
    # Of the planes above the second, where there are ideographs and little else, one in 64
    codes = [*range(0xD800), *range(0xE000, 0x20000), *range(0x20000, sys.maxunicode + 1, 64)]
    for code in codes:
        shown = visible(chr(code))
        assert shown.isprintable()
        assert " " not in shown
        assert cell_len(shown) >= 1

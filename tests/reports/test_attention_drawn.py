"""The heat map on a terminal: every weight in its place, whatever the symbols and the width."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len, set_cell_size
from rich.console import Console

from charseq.errors import CharseqError
from charseq.reports.attention import Alignment, alignment, shade

KINDS = ("a", " ", "漢", "\u0301", "\x1b", "ᅡ", "PL", "t͡ʃ", "[b]", "漢字語")
SYMBOLS = st.lists(st.sampled_from(KINDS), min_size=1, max_size=30)


def drawn(
    picture: Alignment, width: int, color: Literal["256", "truecolor"] | None = None
) -> list[str]:
    console = Console(width=width, color_system=color, force_terminal=color is not None)
    with console.capture() as captured:
        console.print(picture)
    return captured.get().splitlines()


def test_a_small_picture_in_blocks() -> None:
    weights = np.array([[0.9, 0.05, 0.05], [0.0, 0.4, 0.6], [0.15, 0.25, 0.6]])
    picture = alignment("ab → xy", ["a", " ", "b"], ["x", "y"], weights)
    assert drawn(picture, 80) == [
        "    a ␣ b",
        "  x ██",
        "  y   ▒▒▓▓",
        "END ░░░░▓▓",
    ]


def test_without_a_row_for_the_end_there_is_none() -> None:
    picture = alignment("", ["a"], ["x"], np.array([[1.0]]))
    assert drawn(picture, 80) == ["  a", "x ██"]


def test_weights_and_symbols_that_do_not_fit_are_refused() -> None:
    for shape in ((1, 2), (4, 2), (2, 3)):
        with pytest.raises(CharseqError, match="are not those of 2 target and 2 source"):
            alignment("", ["a", "b"], ["x", "y"], np.zeros(shape))


def test_a_wide_source_is_drawn_in_bands() -> None:
    picture = alignment("", ["a"] * 50, ["x"], np.eye(1, 50, 30))
    lines = drawn(picture, 22)  # room for 20
    assert [line.strip() for line in lines] == [
        *("a" * 20, "x", ""),
        *("a" * 20, "x           █", ""),
        *("a" * 10, "x"),
    ]


@given(SYMBOLS, SYMBOLS, st.integers(24, 60))
def test_each_weight_stands_below_its_symbol(
    source: list[str], target: list[str], width: int
) -> None:
    """Read back from the screen, cell by cell."""
    rows = len(target) + 1
    column_of = np.random.default_rng(len(source)).integers(0, len(source), rows)
    weights = np.zeros((rows, len(source)))
    weights[np.arange(rows), column_of] = 1.0
    picture = alignment("", source, target, weights)
    lines = drawn(picture, width)
    assert max(map(cell_len, lines)) <= width
    margin = max(map(cell_len, picture.target)) + 1
    found: dict[int, str] = {}
    seen = 0
    for start in range(0, len(lines), rows + 2):
        head, *body = lines[start : start + rows + 1]
        for row, line in enumerate(body):
            label = set_cell_size(line, margin)
            assert label.strip() == picture.target[row]
            blocks = line[len(label) :] if label == line[: len(label)] else ""
            if "█" in blocks:
                left = margin + blocks.index("█")
                found[row] = set_cell_size(head, left + blocks.count("█"))[
                    len(set_cell_size(head, left)) :
                ]
        seen += 1
    assert seen >= 1
    assert {row: text.strip() for row, text in found.items()} == {
        row: picture.source[column] for row, column in enumerate(column_of)
    }


def test_color_gives_every_cell_its_shade() -> None:
    picture = alignment("", ["a", "b"], ["x"], np.array([[1.0, 0.0]]))
    yellow, blue = (";".join(map(str, shade(weight))) for weight in (1.0, 0.0))
    (_, row) = drawn(picture, 80, "truecolor")
    assert row == f"x \x1b[48;2;{yellow}m  \x1b[0m\x1b[48;2;{blue}m  \x1b[0m"
    assert "█" not in "".join(drawn(picture, 80, "256"))


def test_no_color_when_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    picture = alignment("", ["a", "b"], ["x"], np.array([[1.0, 0.0]]))
    assert drawn(picture, 80, "truecolor") == ["  a b", "x ██"]


def test_shades_go_from_dark_to_light() -> None:
    light = [sum(shade(weight)) for weight in np.linspace(0, 1, 11)]
    assert light == sorted(light)
    assert shade(-1.0) == shade(0.0)
    assert shade(2.0) == shade(1.0)


def test_hostile_symbols_are_escaped() -> None:
    picture = alignment("\x1b → \u202e", ["\x1b", "\n"], ["\x9b", "[red]"], np.eye(3, 2))
    assert picture.title == r"\x1b → \u202e"
    text = "".join(drawn(picture, 80))
    assert text.isprintable()
    assert "[red]" in text

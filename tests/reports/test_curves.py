"""Curves over each other: where their letters stand, what is worth a place, what a file holds."""

from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from charseq.errors import CharseqError
from charseq.reports.curves import HEIGHT, LABELS, Curve, CurvePlot, bounds
from charseq.reports.curves_file import NAMED, draw_curves
from charseq.reports.image import file_format


def line(label: str, y: list[float], group: int = 0, *, diverged: bool = False) -> Curve:
    return Curve(label, tuple(10.0 * i for i in range(len(y))), tuple(y), group, diverged)


def drawn(*curves: Curve, width: int = 80) -> list[str]:
    console = Console(width=width, highlight=False, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(CurvePlot(curves, "step"))
    return captured.get().splitlines()


def test_a_straight_line_falls_evenly() -> None:
    lines = drawn(line("A", [2 - i / 10 for i in range(11)]), width=LABELS + 1 + 30)
    cells = [text[LABELS + 1 :] for text in lines[:HEIGHT]]
    at = {
        column: row for row, text in enumerate(cells) for column, c in enumerate(text) if c == "A"
    }
    # By hand: behind the first tenth there are 1.9 to 1.0, and 2 % of that on both sides. Column c
    # of 30 is x = 100 c / 29, so y = 2 - c / 29; the highest of 15 lines is 0.
    expected = {c: round((1.918 - (2 - c / 29)) / 0.936 * 14) for c in range(30)}
    assert at == {column: row for column, row in expected.items() if row >= 0}
    assert lines[0].split()[0] == "1.918"
    assert lines[HEIGHT - 1].split()[0] == "0.982"
    assert lines[-1].split() == ["0", "step", "100"]


def test_curves_that_meet_are_told_from_those_that_part() -> None:
    cells = "\n".join(drawn(line("A", [1.0, 1.0, 3.0]), line("B", [1.0, 1.0, 0.0])))
    assert cells.count("A") > 5
    assert cells.count("B") > 5
    assert cells.count("*") > 5


def test_what_diverged_or_has_only_begun_takes_no_room_from_the_others() -> None:
    falling = [50.0, 2.0, *[1.0] * 20]
    low, high = bounds([line("A", falling), line("B", [3.0, 900.0, 900.0], diverged=True)])
    assert 0.9 < low < 1.0
    assert high < 2.0
    assert bounds([line("B", [3.0, 900.0], diverged=True)])[1] > 900  # alone it is shown


@given(
    st.lists(
        st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=6),
        min_size=1,
        max_size=4,
    ),
    st.integers(24, 200),
)
@example([[1.0, 2.3e-308]], 24)  # a range too small to divide by
@example([[1.0, 1e6, 1e6 + 1e-10]], 80)
def test_it_fits_whatever_the_width_is(values: list[list[float]], width: int) -> None:
    lines = drawn(*(line("ABCD"[i], y, i) for i, y in enumerate(values)), width=width)
    assert len(lines) in (HEIGHT + 2, HEIGHT + 3)
    assert max(map(len, lines)) <= width


def test_a_curve_that_is_nowhere_to_be_seen_is_named() -> None:
    plot = "\n".join(
        drawn(line("A", [2.0, 1.0, 1.0]), line("B", [900.0, 900.0, 800.0], 1, diverged=True))
    )
    assert plot.count("B") == 1
    assert plot.endswith(" out of the frame: B")
    assert "frame" not in "\n".join(drawn(line("A", [2.0, 1.0]), line("B", [9.0, 2.0], 1)))


def test_an_empty_curve_is_left_out() -> None:
    assert drawn(line("A", [])) == []
    assert "A" not in "".join(drawn(line("A", []), line("B", [1.0, 2.0])))


def test_a_picture_names_each_group_once_and_is_the_same_twice() -> None:
    curves = [line("", [2.0, 1.0], 0), line("", [2.1, 1.1], 0), line("", [3.0, 2.0], 1)]
    names = ["dropout=0.1", "dropout=0.3"]
    svg = draw_curves(curves, names, measure="loss", by="step", suffix=".svg")
    texts = [e.text for e in ElementTree.fromstring(svg).iter() if (e.text or "").strip()]  # noqa: S314
    assert [text for text in texts if text in names] == names
    assert "validation loss, nats" in texts
    assert svg == draw_curves(curves, names, measure="loss", by="step", suffix=".svg")
    png = draw_curves(curves, names, measure="ser", by="minutes", suffix=".png")
    assert png.startswith(b"\x89PNG")


def test_a_legend_names_the_best_only() -> None:
    curves = [line("", [2.0, 1.0 + i], i) for i in range(NAMED + 5)]
    names = [f"run{i}" for i in range(NAMED + 5)]
    svg = draw_curves(curves, names, measure="loss", by="step", suffix=".svg").decode()
    assert f"run{NAMED - 1}" in svg
    assert f"run{NAMED}<" not in svg


def test_a_name_of_another_format_is_refused() -> None:
    with pytest.raises(CharseqError, match=r"name a file that ends in \.png, \.svg"):
        file_format("curves.jpeg")
    assert file_format("curves.PNG") == ".png"

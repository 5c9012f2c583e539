"""Alignments as PNG, SVG and HTML: all there, nothing let in."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.font_manager import fontManager

from charseq.errors import CharseqError
from charseq.reports.attention import Alignment, alignment, shade
from charseq.reports.attention_file import FORMATS, check_format, draw


def diagonal(source: str, target: str) -> Alignment:
    weights = np.eye(len(target) + 1, len(source))
    return alignment(f"{source} → {target}", list(source), list(target), weights)


class Page(HTMLParser):
    """What a browser makes of a page: its elements, texts, and the colors of its cells."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.texts: list[str] = []
        self.colors: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        if style := dict(attrs).get("style"):
            self.colors.append(style)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_page_holds_each_weight_and_runs_nothing() -> None:
    hostile = alignment("<b> → &$", ["<b>", "<", ">"], ["<img>", "&$"], np.eye(3))
    data, missing = draw([diagonal("ab", "x"), hostile], ".html")
    page = Page(data)
    assert missing == ""
    assert page.elements.count("table") == 2
    assert not {"script", "b", "link", "img"} & set(page.elements)
    assert "ab → x" in page.texts
    assert {"<b> → &$", "<b>", "<img>", "&$"} <= set(page.texts)
    assert page.texts.count("END") == 2
    one, zero = ("background:#" + "".join(f"{c:02x}" for c in shade(w)) for w in (1.0, 0.0))
    assert page.colors[:4] == [one, zero, zero, one]
    assert len(page.colors) == 2 * 2 + 3 * 3


def test_an_svg_keeps_its_text_and_is_the_same_every_time() -> None:
    pictures = [diagonal("ab ", "xy"), diagonal("$1 $2", "<&>"), diagonal("漢字", "\x1b")]
    data, missing = draw(pictures, ".svg")
    assert missing == ""
    root = ElementTree.fromstring(data)  # noqa: S314
    texts = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
    for picture in pictures:
        assert picture.title in texts
        for label in (*picture.source, *picture.target):
            assert label in texts
    assert not list(root.iter("{http://www.w3.org/2000/svg}image"))
    assert draw(pictures, ".svg")[0] == data


def test_a_png_is_as_large_as_its_pictures_need() -> None:
    small, _ = draw([diagonal("ab", "xy")], ".png")
    wide, _ = draw([diagonal("ab" * 20, "xy")], ".png")
    several, _ = draw([diagonal("ab", "xy")] * 3, ".png")
    sizes = [
        tuple(int.from_bytes(data[at : at + 4]) for at in (16, 20))
        for data in (small, wide, several)
    ]
    assert all(data.startswith(b"\x89PNG") for data in (small, wide, several))
    assert sizes[1][0] > 5 * sizes[0][0]
    assert sizes[2][1] > 2 * sizes[0][1]


def test_characters_that_no_font_has_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """DejaVu Sans, which comes with matplotlib, has no Chinese characters."""
    here = Path(matplotlib.get_data_path())
    shipped = [font for font in fontManager.ttflist if here in Path(font.fname).parents]
    monkeypatch.setattr(fontManager, "ttflist", shipped)
    assert draw([diagonal("a漢字", "漢")], ".png")[1] == "字漢"
    assert draw([diagonal("aé", "ʃ→")], ".png")[1] == ""
    assert draw([diagonal("a漢字", "漢")], ".svg")[1] == ""


def test_the_name_says_the_format() -> None:
    assert [check_format(f"a{suffix}") for suffix in FORMATS] == list(FORMATS)
    assert check_format("A.HTM") == ".html"
    assert check_format("b.c.SVG") == ".svg"
    with pytest.raises(CharseqError, match=r"a\.gif: name a file that ends in \.png, \.svg, "):
        check_format("a.gif")


def test_without_matplotlib_a_page_can_still_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if re.match(r"matplotlib(\.|$)", name)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(CharseqError, match=r"pip install 'charseq\[plot\]'"):
        check_format("a.png")
    assert check_format("a.html") == ".html"
    assert b"<table>" in draw([diagonal("a", "b")], ".html")[0]

"""docs/cli.md reads as the help on the terminal does."""

import re
from pathlib import Path

PAGE = Path(__file__).parent.parent.parent / "docs" / "cli.md"


def test_quotes_and_arrows_are_not_escaped_as_in_html() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert "Where to write; '-' writes to standard output." in page
    assert "Sums -> what they come to" in page
    assert "x>=1" in page
    assert "<=x<=" in page
    assert r"(runs/\<name of CONFIG>)" in page  # without the backslash it would be a tag
    assert not re.search(r"&[#\w]+;", page)

"""Files of pairs for the tests of ``charseq.text.look``, and what is noticed in them."""

import random
from collections.abc import Iterable, Sequence
from typing import Any

from charseq.text.look.columns import find_layout
from charseq.text.look.first_lines import FirstLines
from charseq.text.look.notices import Notice
from charseq.text.look.pairs import data_settings, look_at_pairs
from charseq.text.look.size import look_at_size

DRAW = random.Random(0)
WORDS = ["".join(DRAW.choices("abcdefghij", k=8)) for _ in range(200)]


def rows(*columns: Iterable[str]) -> list[str]:
    return ["\t".join(cells) for cells in zip(*columns, strict=False)]


PLAIN = rows(WORDS, reversed(WORDS))


def noticed(cells: Sequence[list[str]]) -> list[Notice]:
    """How a file with these cells is read."""
    lines = FirstLines(list(cells), whole=False)
    return look_at_pairs(lines, find_layout(lines))


def noticed_of_size(cells: Sequence[list[str]], *, whole: bool = True) -> list[Notice]:
    """What so few pairs ask for; ``whole``: there are no others."""
    lines = FirstLines(list(cells), whole)
    return list(look_at_size(lines, find_layout(lines)))


def read_as(*lines: str) -> dict[str, Any]:
    """The settings of ``data`` that the lines ask for."""
    return data_settings(noticed([line.split("\t") for line in lines]))

"""Lengths in ranges of one width, for a table or a picture."""

from collections.abc import Iterator
from itertools import count


def round_width(longest: int, most: int) -> int:
    """The least of 1, 2, 5, 10, 20, … of which ``most`` ranges hold every length to ``longest``."""
    widths: Iterator[int] = (digit * 10**zeros for zeros in count() for digit in (1, 2, 5))
    return next(width for width in widths if width * most >= longest)

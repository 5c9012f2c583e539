"""Numbers in sentences."""


def number_of(count: int, noun: str) -> str:
    """``1 pair``, ``2,670 pairs``: of nouns whose plural ends in s."""
    return f"{count:,} {noun}{'s' * (count != 1)}"

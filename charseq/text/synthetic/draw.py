"""Seeded draws that are the same on every machine and Python, and rows drawn without repetition.

Of a ``random.Random``, only ``random()`` is promised to stay what it is between versions of Python
("Notes on Reproducibility" in its documentation), so every draw here is made of that alone.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from random import Random
from typing import TypeVar

from charseq.errors import CharseqError
from charseq.progress import Progress

Row = tuple[str, ...]  # the columns of a line: source, target, and what comes after
Item = tuple[Hashable, Row]  # no two rows may have the same key

PATIENCE = 10_000  # draws without a new row, before the rows that are left are listed
PROGRESS_EVERY = 1000  # rows

T = TypeVar("T")


def seeded(seed: int) -> Random:
    """The source of all draws of one data set."""
    return Random(seed)  # noqa: S311  (nothing is kept secret with it)


def below(random: Random, limit: int) -> int:
    """A number of ``range(limit)``, drawn evenly; ``limit`` is 2^53 at most.

    ``random()`` is a multiple of 2^-53, so that what follows is whole numbers and rounds nowhere.
    """
    return int(random.random() * 2**53) * limit >> 53


def choice(random: Random, options: Sequence[T]) -> T:
    """One of ``options``, drawn evenly."""
    return options[below(random, len(options))]


def shuffle(random: Random, items: list[T]) -> None:
    """Bring ``items`` into a random order, in place (Fisher and Yates)."""
    for last in range(len(items) - 1, 0, -1):
        other = below(random, last + 1)
        items[last], items[other] = items[other], items[last]


def check_size(size: int, possible: int, things: str) -> None:
    """Refuse to make more rows than there are.

    Raises:
        CharseqError: ``size`` is larger than ``possible``; says what is possible.
    """
    if size > possible:
        raise CharseqError(
            f"--size {size}: there are {possible:,} {things} and no more; the largest --size is "
            f"{possible}"
        )


def distinct(
    random: Random,
    draw: Callable[[], Item],
    everything: Callable[[], Iterable[Item]],
    size: int,
    things: str,
    progress: Progress = lambda *_: None,
) -> list[Row]:
    """``size`` rows with different keys, in a random order.

    A row that was drawn before is drawn anew, so that rows come as often as ``draw`` makes them
    come, until PATIENCE draws in a row bring nothing new. What is missing then is taken evenly from
    the rows that are left: this ends also where every row there is was asked for.

    Args:
        everything: all rows that ``draw`` may give; a key may come several times.
        things: what the rows are, for the message.

    Raises:
        CharseqError: there are fewer rows than ``size``.
    """
    rows: dict[Hashable, Row] = {}
    repeats = 0
    while len(rows) < size and repeats < PATIENCE:
        key, row = draw()
        if key in rows:
            repeats += 1
            continue
        rows[key] = row
        repeats = 0
        if len(rows) % PROGRESS_EVERY == 0:
            progress(len(rows), size)
    if len(rows) < size:
        rest = list({key: row for key, row in everything() if key not in rows}.items())
        check_size(size, len(rows) + len(rest), things)
        shuffle(random, rest)
        rows.update(rest[: size - len(rows)])
    progress(size, size)
    drawn = list(rows.values())
    shuffle(random, drawn)  # the last to be drawn are of the kinds of which there are many
    return drawn

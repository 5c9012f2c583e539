"""Random strings -> the same turned around: the smallest task that needs a memory."""

from collections.abc import Iterator
from itertools import product

from charseq.errors import CharseqError
from charseq.progress import Progress
from charseq.text.characters import describe
from charseq.text.synthetic.draw import Item, Row, below, check_size, choice, distinct, seeded
from charseq.text.synthetic.write import About


def about_reverse() -> About:
    """What the folder's README says of the rows."""
    return About(
        title="Random strings, turned around",
        columns=("source: a random string", "target: the same string from its end to its start"),
        notes=("How long a string is is drawn first, then its characters, all evenly.",),
    )


def reverse_rows(
    size: int,
    seed: int,
    alphabet: str,
    min_length: int,
    max_length: int,
    progress: Progress = lambda *_: None,
) -> list[Row]:
    """``size`` different rows: a string of ``alphabet``, and the same turned around.

    Raises:
        CharseqError: the alphabet is empty, holds a character twice or one that cannot be shown (a
            tab separates columns), ``min_length`` is above ``max_length``, or there are fewer rows
            than ``size``.
    """
    _check_alphabet(alphabet)
    if min_length > max_length:
        raise CharseqError(
            f"--min-length {min_length} is above --max-length {max_length}; swap them, or lower the"
            " first"
        )
    lengths = range(min_length, max_length + 1)
    things = f"strings of {min_length} to {max_length} of these {len(alphabet)} characters"
    check_size(size, sum(len(alphabet) ** length for length in lengths), things)
    random = seeded(seed)

    def item(text: str) -> Item:
        return text, (text, text[::-1])

    def draw() -> Item:
        length = min_length + below(random, len(lengths))
        return item("".join(choice(random, alphabet) for _ in range(length)))

    def everything() -> Iterator[Item]:
        for length in lengths:
            for characters in product(alphabet, repeat=length):
                yield item("".join(characters))

    return distinct(random, draw, everything, size, things, progress)


def _check_alphabet(alphabet: str) -> None:
    if not alphabet:
        raise CharseqError("--alphabet is empty; name the characters that the strings are made of")
    for character in alphabet:
        if not character.isprintable():
            raise CharseqError(
                f"--alphabet: {describe(character)} cannot be shown, or separates lines or columns;"
                " leave it out"
            )
        if alphabet.count(character) > 1:
            raise CharseqError(f"--alphabet: {describe(character)} is there twice; name it once")

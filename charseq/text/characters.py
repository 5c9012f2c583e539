"""Characters as numbers (Unicode code points), and as text that is safe to show on a terminal."""

import unicodedata
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from charseq.errors import CharseqError

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # U+FFFD stands for whatever could not be read
LAST_CODE_POINT = 0x10FFFF


def code_points(text: str, where: str = "the text") -> NDArray[np.uint32]:
    """The code point of each character, ``(len(text),)``.

    Raises:
        CharseqError: half of a surrogate pair stands in ``text``. No UTF-8 file holds one, but a
            command-line argument does when it was not valid UTF-8.
    """
    try:
        return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    except UnicodeEncodeError as error:
        raise CharseqError(
            f"{where}: U+{ord(text[error.start]):04X} at position {error.start + 1} is half of a "
            "surrogate pair, not a character; pass the text as valid UTF-8"
        ) from None


def count_characters(chunks: Iterable[str]) -> dict[str, int]:
    """How often each character occurs, in the order of the code points."""
    totals = np.zeros(LAST_CODE_POINT + 1, dtype=np.int64)
    for chunk in chunks:
        counts = np.bincount(code_points(chunk))
        totals[: len(counts)] += counts
    return {chr(code): int(totals[code]) for code in np.flatnonzero(totals)}


def describe(character: str) -> str:
    """The character as error messages name it: ``'µ' (U+00B5 MICRO SIGN)``."""
    code = f"U+{ord(character):04X}"
    name = unicodedata.name(character, "")
    return f"'{escape(character)}' ({code} {name})" if name else f"'{escape(character)}' ({code})"


def escape(text: str) -> str:
    r"""The text with ``\n``, ``\x1b``, ``\u202e`` for characters that a terminal obeys or hides.

    A backslash stays as it is: the result is to be read, not to be parsed.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )

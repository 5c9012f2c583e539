"""Characters as numbers (Unicode code points), and as text that is safe to show on a terminal.

numpy is imported where it is used: every command needs ``escape``, and ``--help`` nothing else.
"""

import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

from charseq.errors import CharseqError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # U+FFFD stands for whatever could not be read
LAST_CODE_POINT = 0x10FFFF


def code_points(text: str, where: str = "the text") -> "NDArray[np.uint32]":
    """The code point of each character, ``(len(text),)``.

    Raises:
        CharseqError: half of a surrogate pair stands in ``text``. No UTF-8 file holds one, but a
            command-line argument does when it was not valid UTF-8.
    """
    import numpy as np

    return np.frombuffer(encoded(text, "utf-32-le", where), dtype="<u4")


def narrow_code_points(
    text: str, where: str = "the text"
) -> "NDArray[np.uint16] | NDArray[np.uint32]":
    """As ``code_points``, but in two bytes each where all of them fit: faster to look up."""
    import numpy as np

    units = encoded(text, "utf-16-le", where)
    fits = len(units) == 2 * len(text)  # a character above U+FFFF takes two units
    return np.frombuffer(units, dtype="<u2") if fits else code_points(text)


def ascii_pairs(text: str) -> "NDArray[np.uint16]":
    """Two characters of an ASCII text in one number, as they stand in memory: half as many to look
    up. A text of odd length gets a NUL at its end: ``((len(text) + 1) // 2,)``.
    """
    import numpy as np

    data = text.encode("ascii")
    return np.frombuffer(data + b"\0" if len(data) % 2 else data, dtype=np.uint16)


def encoded(text: str, codec: str, where: str = "the text") -> bytes:
    """The text in one of Unicode's encodings. Raises as ``code_points`` does."""
    try:
        return text.encode(codec)
    except UnicodeEncodeError as error:
        raise CharseqError(
            f"{where}: U+{ord(text[error.start]):04X} at position {error.start + 1} is half of a "
            "surrogate pair, not a character; pass the text as valid UTF-8"
        ) from None


def count_characters(chunks: Iterable[str]) -> dict[str, int]:
    """How often each character occurs, in the order of the code points."""
    import numpy as np

    totals = np.zeros(LAST_CODE_POINT + 1, dtype=np.int64)
    pairs = np.zeros((256, 256), dtype=np.int64)
    for chunk in chunks:
        if chunk.isascii():
            counts, into = np.bincount(ascii_pairs(chunk)), pairs.reshape(-1)
            totals[0] -= len(chunk) % 2  # the NUL that was added
        else:
            counts, into = np.bincount(narrow_code_points(chunk)), totals
        into[: len(counts)] += counts
    totals[:256] += pairs.sum(axis=0) + pairs.sum(axis=1)
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

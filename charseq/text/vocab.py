"""The vocabulary: which symbols a model knows, and the number (id) of each.

A symbol is a Unicode character, or one of the 256 bytes of UTF-8. Ids follow the code points; when
the vocabulary has a symbol for unknown characters, that is U+FFFD, with id 0.
"""

import codecs
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, takewhile
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from charseq.errors import CharseqError
from charseq.text.characters import (
    REPLACEMENT,
    ascii_pairs,
    code_points,
    describe,
    encoded,
    escape,
    narrow_code_points,
)

MOST_MARKS = 8  # accents of a letter
Kind = Literal["char", "byte"]
Unknown = Literal["error", "skip", "replace"]
Ids = NDArray[np.unsignedinteger[Any]]

BYTES = tuple(chr(byte) for byte in range(256))


class UnknownCharacterError(CharseqError):
    """A text holds a character that the vocabulary does not."""


@dataclass(frozen=True)
class Vocab:
    """An immutable set of symbols; ``symbols[id]`` is the symbol of an id.

    Attributes:
        kind: ``char``, or ``byte``: then ``symbols[b]`` is ``chr(b)`` and stands for the byte b.
        symbols: one-character strings, in the order of their code points except for U+FFFD, which
            comes first when it stands for unknown characters.
        unknown_id: the id that unknown characters get (0), or None.

    Raises:
        CharseqError: the symbols break one of these rules.
    """

    kind: Kind
    symbols: tuple[str, ...]
    unknown_id: int | None = None

    def __post_init__(self) -> None:
        if problem := _problem(self.kind, self.symbols, self.unknown_id):
            raise CharseqError(f"vocabulary: {problem}")

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[str, int],
        *,
        kind: Kind = "char",
        min_count: int = 1,
        unknown: Unknown = "error",
    ) -> Self:
        """The vocabulary of a text in which each character occurs ``counts[character]`` times.

        ``byte`` needs no counts and has no unknown symbol: every text can be written in bytes.

        Raises:
            CharseqError: no character occurs ``min_count`` times.
        """
        if kind == "byte":
            return cls("byte", BYTES)
        frequent = {character for character, count in counts.items() if count >= min_count}
        if not frequent:
            raise CharseqError(
                f"vocabulary: none of the {len(counts)} different characters occurs {min_count} "
                "times or more; lower `data.min_count`"
            )
        if unknown != "replace":
            return cls("char", tuple(sorted(frequent)))
        return cls("char", (REPLACEMENT, *sorted(frequent - {REPLACEMENT})), unknown_id=0)

    @property
    def size(self) -> int:
        return len(self.symbols)

    def __len__(self) -> int:
        return len(self.symbols)

    @cached_property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """The smallest of uint8, uint16 and uint32 that holds every id."""
        return np.min_scalar_type(self.size - 1)

    def encode(self, text: str, *, unknown: Unknown = "error", where: str = "the text") -> Ids:
        """The ids of a text: ``(len(text),)``, or fewer with ``skip``, or one a byte for ``byte``.

        Args:
            unknown: what to do with a character outside the vocabulary: refuse it, leave it out, or
                give it ``unknown_id``.
            where: names the text in error messages.

        Raises:
            UnknownCharacterError: a character is outside the vocabulary and ``unknown`` is
                ``error``, or is ``replace`` although the vocabulary has no symbol for it.
            CharseqError: half of a surrogate pair stands in the text.
        """
        if self.kind == "byte":
            return np.frombuffer(bytearray(encoded(text, "utf-8", where)), np.uint8)  # writable
        ids = self._look_up(text, where)
        missing = ids == self.size
        if missing.any():
            if unknown == "skip":
                ids = ids[~missing]
            elif unknown == "replace" and self.unknown_id is not None:
                ids[missing] = self.unknown_id
            elif error := self.unknown_error([text], unknown, where):
                raise error
        return ids.astype(self.dtype, copy=False)

    def unknown_error(
        self, chunks: Iterable[str], unknown: Unknown, where: str
    ) -> UnknownCharacterError | None:
        """The error for the first character outside the vocabulary, if there is one; it counts the
        others.
        """
        first, previous, behind, strangers = "", "", "", 0
        position, line, column = 0, 1, 1
        for chunk in chunks:
            found = np.flatnonzero(self._look_up(chunk) == self.size)
            strangers += len(found)
            if first:
                behind = (behind + chunk[:MOST_MARKS])[:MOST_MARKS]
                continue
            before = chunk[: found[0]] if len(found) else chunk
            first = chunk[found[0]] if len(found) else ""
            previous = before[-1:] or previous
            behind = chunk[len(before) + 1 :][:MOST_MARKS]
            position += len(before)
            line += before.count("\n")
            newline = before.rfind("\n")
            column = len(before) - newline if newline >= 0 else column + len(before)
        if not first:
            return None
        others = f" ({strangers - 1:,} more are not either)" if strangers > 1 else ""
        return UnknownCharacterError(
            f"{where}: {describe(first)} at position {position + 1} (line {line}, column {column}) "
            f"is not among the {self.size:,} characters that the model knows{others}"
            f"{self._other_form(previous, first, behind)}; {self._advice(unknown)}"
        )

    def _other_form(self, previous: str, first: str, behind: str) -> str:
        """An accent may be a character of its own (Unicode NFD) or not (NFC)."""
        marks = "".join(takewhile(unicodedata.combining, behind))
        letter = (previous if unicodedata.combining(first) else "") + first + marks
        forms: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
        for form in forms:
            other = unicodedata.normalize(form, letter)
            if other != letter and (self._look_up(other) < self.size).all():
                return f"; as Unicode {form} writes it, '{escape(other)}', it is"
        return ""

    def _advice(self, unknown: Unknown) -> str:
        if unknown == "replace":
            return (
                "it was trained without an unknown symbol (`data.unknown: replace`), so they "
                "cannot be replaced; `--unknown skip` leaves them out"
            )
        if self.unknown_id is None:
            return "`--unknown skip` leaves such characters out"
        return "`--unknown skip` leaves such characters out, `--unknown replace` reads U+FFFD"

    def decode(self, ids: Sequence[int] | NDArray[np.integer[Any]]) -> str:
        """The text of ids, ``(n,)``. Bytes that are not UTF-8 come out as U+FFFD.

        Raises:
            CharseqError: an id is outside ``0 … size - 1``.
        """
        numbers = np.asarray(ids, dtype=np.int64)
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < self.size:
            raise CharseqError(f"decode: the ids are not all in 0 … {self.size - 1}")
        if self.kind == "byte":
            return numbers.astype(np.uint8).tobytes().decode("utf-8", errors="replace")
        return code_points("".join(self.symbols))[numbers].tobytes().decode("utf-32-le")

    def incremental_decoder(self) -> "IncrementalDecoder":
        """A decoder that takes ids one at a time, for a text that is shown as it is written."""
        return IncrementalDecoder(self)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values that ``from_json`` reads back; the 256 bytes are not listed."""
        symbols = "" if self.kind == "byte" else "".join(self.symbols)
        return {"kind": self.kind, "symbols": symbols, "unknown_id": self.unknown_id}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The vocabulary that ``to_json`` wrote. It may come from a stranger: all is checked.

        Raises:
            CharseqError: it is no vocabulary.
        """
        if not isinstance(data, dict) or data.keys() != {"kind", "symbols", "unknown_id"}:
            raise CharseqError("vocabulary: not an object with kind, symbols and unknown_id")
        if not isinstance(data["symbols"], str):
            raise CharseqError("vocabulary: symbols is not a string")
        if data["kind"] == "byte" and data["symbols"] == "":
            return cls("byte", BYTES, data["unknown_id"])
        return cls(data["kind"], tuple(data["symbols"]), data["unknown_id"])

    def _look_up(self, text: str, where: str = "the text") -> Ids:
        """The id of each character, ``size`` where it has none; may be wider than ``dtype``."""
        if text.isascii():
            pairs = self._ids_of_pair.take(ascii_pairs(text), mode="clip")
            return pairs.view(self._id_of_code.dtype)[: len(text)]
        return self._id_of_code.take(narrow_code_points(text, where), mode="clip")

    @cached_property
    def _ids_of_pair(self) -> NDArray[np.unsignedinteger[Any]]:
        """The ids of two bytes, side by side as one number, for ``ascii_pairs``: (65,536,)."""
        both = np.arange(1 << 16, dtype=np.uint16).view(np.uint8)
        ids = self._id_of_code.take(both, mode="clip")
        return ids.view(f"u{2 * ids.itemsize}")

    @cached_property
    def _id_of_code(self) -> Ids:
        """The id of each code point; ``size`` where there is none, and so in the last place."""
        codes = code_points("".join(self.symbols))
        table = np.full(int(codes.max()) + 2, self.size, dtype=np.min_scalar_type(self.size))
        table[codes] = np.arange(self.size)
        return table


class IncrementalDecoder:
    """Turns ids into text one at a time; a character of several bytes comes with its last one."""

    def __init__(self, vocab: Vocab) -> None:
        self._symbols = vocab.symbols
        self._utf8 = (
            codecs.getincrementaldecoder("utf-8")("replace") if vocab.kind == "byte" else None
        )

    def feed(self, symbol_id: int) -> str:
        """The text that this id completes; may be empty."""
        if self._utf8 is not None:
            return self._utf8.decode(bytes([symbol_id]))
        return self._symbols[symbol_id]


def _problem(kind: object, symbols: tuple[str, ...], unknown_id: object) -> str | None:
    """What is wrong with a vocabulary, or None."""
    if kind == "byte":
        fits = symbols == BYTES and unknown_id is None
        return None if fits else "a byte vocabulary has the 256 bytes and no unknown symbol"
    if kind != "char":
        return "kind is neither char nor byte"
    if not symbols:
        return "there are no symbols"
    if any(len(symbol) != 1 or "\ud800" <= symbol <= "\udfff" for symbol in symbols):
        return "a symbol is not one character"
    ordered = symbols
    if unknown_id is not None:
        if type(unknown_id) is not int or unknown_id != 0 or symbols[0] != REPLACEMENT:
            return "unknown_id is neither null nor 0, the id of U+FFFD"
        ordered = symbols[1:]
        if REPLACEMENT in ordered:
            return "U+FFFD stands there twice"
    if any(left >= right for left, right in pairwise(ordered)):
        return "the symbols are not different characters in the order of their code points"
    return None

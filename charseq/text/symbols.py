"""What pairs are made of: the symbols of sources and of targets.

A symbol is a character, or, where a side has a separator, what stands between two of them: a phone
such as t͡ʃ. Tags of a source, such as PL, are further symbols that it begins with.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from typing import Literal, Self

import numpy as np

from charseq.errors import CharseqError
from charseq.text.characters import code_points, count_characters, escape
from charseq.text.ragged import Int64s

Normalize = Literal["none", "NFC", "NFD", "NFKC", "NFKD"]

TAG_SEPARATOR = ";"


def split_symbols(text: str, separator: str) -> list[str]:
    """The symbols of a text. Separators at its ends, or several in a row, add no symbol."""
    if not separator:
        return list(text)
    return [symbol for symbol in text.split(separator) if symbol]


def split_tags(text: str) -> tuple[str, ...]:
    """The tags of a cell such as ``V;PST;3``; empty ones are left out."""
    return tuple(tag for part in text.split(TAG_SEPARATOR) if (tag := part.strip()))


def normalized(text: str, form: Normalize) -> str:
    """The text in a Unicode normalization form."""
    return text if form == "none" or text.isascii() else unicodedata.normalize(form, text)


def count_symbols(texts: Sequence[str], separator: str) -> dict[str, int]:
    """How often each symbol occurs, in the order of the symbols."""
    if not separator:
        return count_characters(["".join(texts)])
    symbols = chain.from_iterable(split_symbols(text, separator) for text in texts)
    return dict(sorted(Counter(symbols).items()))


@dataclass(frozen=True)
class Symbols:
    """The symbols of one side of the pairs, in the order of their code points.

    Attributes:
        separator: the character between two symbols; empty: every character is a symbol.
        symbols: what training has seen.

    Raises:
        CharseqError: they are not different, sorted and such as this separator gives.
    """

    separator: str
    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        if problem := _problem(self.separator, self.symbols):
            raise CharseqError(f"vocabulary: {problem}")

    @classmethod
    def from_counts(cls, separator: str, counts: Mapping[str, int], min_count: int = 1) -> Self:
        """The symbols that occur ``min_count`` times or more.

        Raises:
            CharseqError: there is none.
        """
        frequent = tuple(sorted(symbol for symbol, count in counts.items() if count >= min_count))
        if not frequent:
            raise CharseqError(
                f"vocabulary: none of the {len(counts)} different symbols occurs {min_count} times "
                "or more; lower `data.min_count`"
            )
        return cls(separator, frequent)

    def __len__(self) -> int:
        return len(self.symbols)

    def split(self, text: str) -> list[str]:
        """The symbols of a text, known or not."""
        return split_symbols(text, self.separator)

    def join(self, symbols: Iterable[str]) -> str:
        """The text of symbols; ``split`` gives them back."""
        return self.separator.join(symbols)

    def numbers(self, texts: Sequence[str]) -> tuple[Int64s, Int64s]:
        """The place in ``symbols`` of every symbol of many texts, one text after the other.

        Returns:
            The places, ``(n,)``, -1 for a symbol that is not there, and each text's count of
            symbols, ``(len(texts),)``.

        Raises:
            CharseqError: half of a surrogate pair stands in a text.
        """
        if not self.separator:
            codes = code_points("".join(texts))
            lengths = np.fromiter(map(len, texts), np.int64, len(texts))
            return self._number_of_code.take(codes, mode="clip"), lengths
        rows = [self.split(text) for text in texts]
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        find = self.number_of.get
        found = (find(symbol, -1) for symbol in chain.from_iterable(rows))
        return np.fromiter(found, np.int64, int(lengths.sum())), lengths

    @cached_property
    def number_of(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self.symbols)}

    @cached_property
    def _number_of_code(self) -> Int64s:
        """The number of each code point; -1 where there is none, and so in the last place."""
        codes = code_points("".join(self.symbols))
        table = np.full(int(codes.max(initial=0)) + 2, -1, dtype=np.int64)
        table[codes] = np.arange(len(codes))
        return table


def _problem(separator: object, symbols: tuple[object, ...]) -> str | None:
    """What is wrong with the symbols of a side, or None."""
    if not isinstance(separator, str) or len(separator) > 1 or _unwritable(separator):
        return "a separator is neither empty nor one character other than a tab or line end"
    if problem := unsorted(symbols, "symbols"):
        return problem
    if any(split_symbols(str(symbol), separator) != [symbol] for symbol in symbols):
        what = f"holds the separator '{escape(separator)}'" if separator else "is not one character"
        return f"a symbol is empty or {what}"
    return None


def unsorted(names: tuple[object, ...], what: str) -> str | None:
    """What is wrong with names that should be different texts in their order, or None."""
    if not all(isinstance(name, str) and not _unwritable(name) for name in names):
        return f"the {what} are not all texts without tabs and line ends"
    if any(str(left) >= str(right) for left, right in pairwise(names)):
        return f"the {what} are not different and in the order of their code points"
    return None


def _unwritable(text: str) -> bool:
    """Whether no cell of a tab-separated UTF-8 file can hold it."""
    return any(one in "\t\n" or "\ud800" <= one <= "\udfff" for one in text)

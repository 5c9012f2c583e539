"""What a model of pairs knows: the symbols of both sides and the tags, and the id of each.

A source is read as its tags, then its symbols; a target is written as its symbols, then END.

    source ids   0 unknown (and padding)   1 … n the symbols   n + 1 … the tags
    target ids   0 END   1 unknown         2 … the symbols
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from heapq import nlargest
from itertools import chain
from typing import Any, Literal, Self, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from charseq.errors import CharseqError
from charseq.text.characters import REPLACEMENT, code_points, describe, escape
from charseq.text.ragged import Int64s
from charseq.text.symbols import TAG_SEPARATOR, Normalize, Symbols, normalized, split_tags, unsorted
from charseq.text.vocab import Unknown, UnknownCharacterError

Numbers = TypeVar("Numbers", NDArray[np.int32], NDArray[np.int64])

SOURCE_UNKNOWN = 0
END = 0  # of a target; the decoder reads it first
TARGET_UNKNOWN = 1
SHOWN = 40  # characters of a symbol that an error shows
LISTED = 8  # tags that it lists


@dataclass(frozen=True)
class PairVocab:
    """The symbols and tags that a model knows, and how a source is read.

    Attributes:
        features: the tags that a source may have, sorted.
        normalize: Unicode normalization of a source before it is split; targets stay as they are.
        reverse_source: the symbols of a source are read from its end; its tags still come first.

    Raises:
        CharseqError: one of these is not as it must be.
    """

    source: Symbols
    target: Symbols
    features: tuple[str, ...] = ()
    normalize: Normalize = "none"
    reverse_source: bool = False

    def __post_init__(self) -> None:
        if problem := next(self._problems(), None):
            raise CharseqError(f"vocabulary: {problem}")

    def _problems(self) -> Iterator[str]:
        for side, symbols in (("source", self.source), ("target", self.target)):
            if not symbols.symbols:
                yield f"there are no {side} symbols"
        if problem := unsorted(self.features, "tags"):
            yield problem
        elif any(split_tags(tag) != (tag,) for tag in self.features):
            yield "a tag is empty, begins or ends with a space, or holds a ';'"
        if self.normalize not in get_args(Normalize):
            yield f"normalize is none of {', '.join(get_args(Normalize))}"
        if not isinstance(self.reverse_source, bool):
            yield "reverse_source is neither true nor false"

    @property
    def source_size(self) -> int:
        """How many source ids there are."""
        return 1 + len(self.source) + len(self.features)

    @property
    def target_size(self) -> int:
        """How many target ids there are."""
        return 2 + len(self.target)

    def encode_source(
        self,
        text: str,
        features: Iterable[str] = (),
        unknown: Unknown = "error",
        where: str = "the source",
    ) -> Int64s:
        """The ids of a source, ``(S,)``: its tags, then its symbols.

        Args:
            unknown: what to do with a symbol or tag that training lacked: refuse it, leave it out,
                or read it as the unknown symbol.
            where: names the source in error messages.

        Raises:
            UnknownCharacterError: there is such a symbol, and ``unknown`` is ``error``.
            CharseqError: no symbol is there or left, or half of a surrogate pair stands in it.
        """
        code_points(text, where)  # refuses half of a surrogate pair
        text, features = normalized(text, self.normalize), tuple(features)
        numbers, _ = self.source.numbers([text])
        if not len(numbers):
            raise CharseqError(f"{where}: is empty; a source needs at least one symbol")
        tags, _ = self.tag_numbers([features])
        if unknown == "error" and ((numbers < 0).any() or (tags < 0).any()):
            raise self.unknown_error(text, features, where)
        if unknown == "skip":
            numbers, tags = numbers[numbers >= 0], tags[tags >= 0]
            if not len(numbers):
                raise CharseqError(f"{where}: the model knows none of its symbols; nothing is left")
        symbols = numbers[::-1] if self.reverse_source else numbers
        return np.concatenate((self.tag_ids(tags), self.source_ids(symbols)))

    def encode_target(self, text: str) -> Int64s:
        """The ids of a target, ``(T,)``, without END; a symbol that training lacked is unknown.

        Raises:
            CharseqError: half of a surrogate pair stands in it.
        """
        return self.target_ids(self.target.numbers([text])[0])

    def tag_numbers(self, features: Sequence[Sequence[str]]) -> tuple[Int64s, Int64s]:
        """The place in ``features`` of each tag of many sources; as ``Symbols.numbers``."""
        lengths = np.fromiter(map(len, features), np.int64, len(features))
        found = (self.number_of_tag.get(tag, -1) for tag in chain.from_iterable(features))
        return np.fromiter(found, np.int64, int(lengths.sum())), lengths

    def source_ids(self, numbers: Numbers) -> Numbers:
        """Source ids of places in ``source.symbols``; -1 becomes unknown."""
        return numbers + 1

    def tag_ids(self, numbers: Numbers) -> Numbers:
        """Source ids of places in ``features``; -1 becomes unknown."""
        return np.where(numbers < 0, SOURCE_UNKNOWN, numbers + (1 + len(self.source)))

    def target_ids(self, numbers: Numbers) -> Numbers:
        """Target ids of places in ``target.symbols``; -1 becomes unknown."""
        return numbers + 2

    @cached_property
    def number_of_tag(self) -> dict[str, int]:
        return {tag: number for number, tag in enumerate(self.features)}

    def source_symbols(self, ids: Iterable[int]) -> list[str]:
        """The tags and symbols of source ids, in the order of the ids; unknown ones are U+FFFD.

        Raises:
            CharseqError: an id is outside ``0 … source_size - 1``.
        """
        return _named(ids, (REPLACEMENT, *self.source.symbols, *self.features))

    def target_symbols(self, ids: Iterable[int]) -> list[str]:
        """The symbols of target ids, up to the first END; unknown ones are U+FFFD.

        Raises:
            CharseqError: an id is outside ``0 … target_size - 1``.
        """
        symbols = _named(ids, ("", REPLACEMENT, *self.target.symbols))
        return symbols[: symbols.index("")] if "" in symbols else symbols

    def decode_target(self, ids: Iterable[int]) -> str:
        """The text of target ids, up to the first END. Raises as ``target_symbols``."""
        return self.target.join(self.target_symbols(ids))

    @property
    def shared(self) -> int:
        """How many of the different target symbols are source symbols too."""
        return len(set(self.target.symbols).intersection(self.source.symbols))

    def copy_table(self) -> Int64s:
        """The target id of every source id, ``(source_size,)``, for a model that copies.

        -1 where no target has the symbol, and for tags; unknown gives unknown.
        """
        find = self.target.number_of
        numbers = [find.get(symbol, -3) for symbol in self.source.symbols]
        copied = self.target_ids(np.array(numbers, dtype=np.int64))  # -3 becomes -1
        return np.concatenate(([TARGET_UNKNOWN], copied, np.full(len(self.features), -1)))

    def unknown_error(
        self, text: str, features: Sequence[str], where: str, setting: str = "--unknown "
    ) -> UnknownCharacterError:
        """The error for the first tag or symbol that training lacked; it counts the others.

        Args:
            text: the normalized source.
            setting: what the person sets to ``skip`` or ``replace``.
        """
        tags = [tag for tag in features if tag not in self.number_of_tag]
        symbols = self.source.split(text)
        strangers = [at for at, one in enumerate(symbols) if one not in self.source.number_of]
        known = ""
        if tags:
            what = f"the tag '{_short(tags[0])}' is not among the {len(self.features):,} tags"
            known = _listed(tags[0], self.features)
            if any(part in self.number_of_tag for part in re.split(r"[^\w.]+", tags[0])):
                known += f"; '{TAG_SEPARATOR}' separates tags"
        else:
            at = strangers[0]
            what = (
                f"{_shown(symbols[at])} at position {at + 1} is not among the {len(self.source):,} "
                "source symbols"
            )
            separator, parts = self.source.separator, list(symbols[at])
            if separator and len(parts) > 1 and set(parts) <= self.source.number_of.keys():
                known = f"; write its symbols apart: '{_short(separator.join(parts))}'"
        others = len(tags) + len(strangers) - 1
        more = f" ({others:,} more {'is' if others == 1 else 'are'} not either)" if others else ""
        forms: dict[Literal["NFC", "NFD"], str] = {
            "NFC": "in one character",
            "NFD": "as characters of their own",
        }
        for form, how in forms.items():
            other = self.source.split(unicodedata.normalize(form, text))
            if not tags and all(symbol in self.source.number_of for symbol in other):
                more += f"; as Unicode {form} writes them, with accents {how}, all are"
        return UnknownCharacterError(
            f"{where}: {what} that the model knows{more}{known}; `{setting}skip` leaves such "
            f"symbols out, `{setting}replace` reads them as the unknown symbol"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values that ``from_json`` reads back."""
        return {
            "source": {"separator": self.source.separator, "symbols": list(self.source.symbols)},
            "target": {"separator": self.target.separator, "symbols": list(self.target.symbols)},
            "features": list(self.features),
            "normalize": self.normalize,
            "reverse_source": self.reverse_source,
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The vocabulary that ``to_json`` wrote. It may come from a stranger: all is checked.

        Raises:
            CharseqError: it is no vocabulary.
        """
        names = {"source", "target", "features", "normalize", "reverse_source"}
        if not isinstance(data, dict) or data.keys() != names:
            raise CharseqError(f"vocabulary: not an object with {', '.join(sorted(names))}")
        if not isinstance(data["features"], list):
            raise CharseqError("vocabulary: features is not a list")
        return cls(
            _side(data["source"], "source"),
            _side(data["target"], "target"),
            tuple(data["features"]),
            data["normalize"],
            data["reverse_source"],
        )


def _side(data: Any, name: str) -> Symbols:
    if not isinstance(data, dict) or data.keys() != {"separator", "symbols"}:
        raise CharseqError(f"vocabulary: {name} is not an object with separator and symbols")
    if not isinstance(data["symbols"], list):
        raise CharseqError(f"vocabulary: {name}.symbols is not a list")
    return Symbols(data["separator"], tuple(data["symbols"]))


def _named(ids: Iterable[int], names: Sequence[str]) -> list[str]:
    numbers = [int(number) for number in ids]
    if numbers and not 0 <= min(numbers) <= max(numbers) < len(names):
        raise CharseqError(f"decode: the ids are not all in 0 … {len(names) - 1}")
    return [names[number] for number in numbers]


def _listed(tag: str, known: Sequence[str]) -> str:
    """Some of the known tags, those most like this one first; in any case."""

    def likeness(other: str) -> float:
        return SequenceMatcher(None, tag[:SHOWN].casefold(), other[:SHOWN].casefold()).ratio()

    near = [_short(other) for other in nlargest(LISTED, known, key=likeness)]
    more = [] if len(near) == len(known) else ["…"]
    return f": {', '.join([*near, *more])}" if near else ""


def _shown(symbol: str) -> str:
    return describe(symbol) if len(symbol) == 1 else f"'{_short(symbol)}'"


def _short(text: str) -> str:
    return escape(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")

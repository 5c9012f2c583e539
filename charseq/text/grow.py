"""A vocabulary that grows: the symbols that a trained model knows, and those of new data.

Both stand in the usual order, that of the code points. So a vocabulary that grew is read, checked,
cached and fingerprinted as any other, and depends on nothing but the two sets; in exchange its ids
move, and ``growth`` says where each was.
"""

from typing import NamedTuple

import numpy as np

from charseq.errors import CharseqError
from charseq.text.characters import REPLACEMENT
from charseq.text.pair_vocab import PairVocab
from charseq.text.ragged import Int64s
from charseq.text.symbols import Symbols
from charseq.text.vocab import Vocab


def grown_vocab(known: Vocab, counted: Vocab) -> Vocab:
    """The characters of both; with a symbol for unknown ones where either has it.

    Raises:
        CharseqError: one has characters, the other bytes.
    """
    if known.kind != counted.kind:
        raise CharseqError(
            f"data.vocabulary: the symbols of the trained model are of the kind {known.kind}, those"
            f" of the text of the kind {counted.kind}"
        )
    if known.kind == "byte":
        return known
    symbols = {*known.symbols, *counted.symbols}
    if known.unknown_id is None and counted.unknown_id is None:
        return Vocab("char", tuple(sorted(symbols)))
    return Vocab("char", (REPLACEMENT, *sorted(symbols - {REPLACEMENT})), unknown_id=0)


def grown_pair_vocab(known: PairVocab, counted: PairVocab) -> PairVocab:
    """The symbols of both, side by side, and the tags of both; read as ``counted`` is."""
    return PairVocab(
        _grown(known.source, counted.source),
        _grown(known.target, counted.target),
        tuple(sorted({*known.features, *counted.features})),
        counted.normalize,
        counted.reverse_source,
    )


def _grown(known: Symbols, counted: Symbols) -> Symbols:
    return Symbols(counted.separator, tuple(sorted({*known.symbols, *counted.symbols})))


class Side(NamedTuple):
    """One side of a vocabulary that grew."""

    ids_before: Int64s  # of each id: the id that the same symbol had before, -1 where it is new
    taken: int  # symbols and tags that were there before
    new: tuple[str, ...]  # those that were not


def growth(vocab: Vocab | PairVocab, known: Vocab | PairVocab) -> dict[str, Side]:
    """What a vocabulary has of another of the same task, by side: "text", or "source", "target"."""
    before = _sides(known)
    found = {}
    for side, (symbols, special) in _sides(vocab).items():
        id_of = {symbol: number for number, symbol in enumerate(before[side][0])}
        ids = np.array([id_of.get(symbol, -1) for symbol in symbols], dtype=np.int64)
        new = tuple(symbols[number][0] for number in np.flatnonzero(ids < 0))
        found[side] = Side(ids, int((ids[special:] >= 0).sum()), new)
    return found


def _sides(vocab: Vocab | PairVocab) -> dict[str, tuple[list[tuple[str, str]], int]]:
    """What each id stands for, and how many of the first are neither symbol nor tag.

    A tag is not the symbol that is written like it.
    """

    def named(symbols: tuple[str, ...], kind: str) -> list[tuple[str, str]]:
        return [(symbol, kind) for symbol in symbols]

    if isinstance(vocab, Vocab):
        return {"text": (named(vocab.symbols, "symbol"), 0)}
    source = named(vocab.source.symbols, "symbol") + named(vocab.features, "tag")
    target = named(vocab.target.symbols, "symbol")
    unknown, end = ("", "unknown"), ("", "end")
    return {"source": ([unknown, *source], 1), "target": ([end, unknown, *target], 2)}

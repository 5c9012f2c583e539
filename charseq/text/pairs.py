"""The pairs of a configuration, ready for training: a vocabulary, and ids in three parts."""

import gc
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import ClassVar, get_args

import numpy as np

from charseq.config.schema.seq2seq import PairDataConfig
from charseq.errors import CharseqError
from charseq.text.characters import escape
from charseq.text.datasets import source_path
from charseq.text.grow import grown_pair_vocab
from charseq.text.pair_vocab import PairVocab
from charseq.text.ragged import Int64s, Ragged
from charseq.text.rows import Mistakes, Rows, read_rows
from charseq.text.symbols import Symbols, count_symbols
from charseq.text.vocab import Unknown

FORMAT = 1  # raise it when the same files and settings come to give other ids or parts
PARTS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class Example:
    """One source with all its right answers.

    Attributes:
        source: as the model reads it: normalized, one separator between two symbols.
        features: its tags.
        targets: different from each other; in the order of the file.
    """

    source: str
    features: tuple[str, ...]
    targets: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Pairs:
    """One part of the data: examples, and one row of ids for each of their answers.

    Attributes:
        examples: in the order of the file.
        source: source ids of each row, tags first.
        target: target ids of each row, without END.
        example_of: which example a row belongs to, ``(rows,)``.
    """

    examples: list[Example]
    source: Ragged
    target: Ragged
    example_of: Int64s

    def __len__(self) -> int:
        """How many rows there are: pairs of a source and one of its answers."""
        return len(self.example_of)

    @cached_property
    def first_row(self) -> Int64s:
        """The first row of each example, ``(examples,)``."""
        rows = np.empty(len(self.examples), dtype=np.int64)
        rows[self.example_of[::-1]] = np.arange(len(self.example_of))[::-1]
        return rows


@dataclass(frozen=True, eq=False)
class PairCorpus:
    """The pairs of a configuration in three parts.

    Attributes:
        vocab: the symbols behind the ids; of training alone.
        train, valid, test: may be empty, but for ``train``.
        fingerprint: sha256, in hex, of all that decides the ids and the parts: the files' bytes,
            the settings of ``data``, the vocabulary.
        same_parts: the fingerprints of the same rows in each part: ``data.unknown`` may differ.
        source: ``data.train`` as the configuration names it.
        skipped: how many lines or answers were left out, by reason (``data.errors: skip``).
        seen: how many different sources of ``valid`` and of ``test``, tags included, stand in
            ``train`` too. Only a file of its own can have such.
    """

    vocab: PairVocab
    train: Pairs
    valid: Pairs
    test: Pairs
    fingerprint: str
    same_parts: frozenset[str]
    source: str
    skipped: Mapping[str, int]
    seen: Mapping[str, int]
    unit: ClassVar[str] = "pairs"  # of which the parts have so many


@contextmanager
def _without_search_for_cycles() -> Iterator[None]:
    """Makes many small objects without the garbage collector, which would look at all of them.

    It starts over whenever their number has grown by some share; half of the time of reading a
    large file would be its.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_without_search_for_cycles()
def load_pairs(
    data: PairDataConfig, vocab: PairVocab | None = None, known: PairVocab | None = None
) -> PairCorpus:
    """Read, check, split and encode the pairs that a configuration names.

    A part that has a file of its own gives its share of ``data.train`` back to train.

    Args:
        vocab: the vocabulary of a trained model; counted over the training part when None.
        known: symbols and tags that are in it besides those that are counted.

    Raises:
        CharseqError: a file cannot be read, holds mistakes (``data.errors: raise``) or no pair, or
            a source symbol that training lacks (``data.unknown: error``).
    """
    mistakes = Mistakes()
    names = {part: name for part in PARTS if (name := getattr(data, part)) is not None}
    files = {part: read_rows(source_path(name), data, mistakes) for part, name in names.items()}
    if data.errors == "raise":
        mistakes.refuse()
    parts = _split(files, data)
    if not len(parts["train"]):
        raise no_pairs(data.train)
    vocab = _count(parts["train"], data) if vocab is None else _same_reading(vocab, data)
    if known is not None:
        vocab = grown_pair_vocab(known, vocab)
    pairs = {part: _encode(rows, vocab, data) for part, rows in parts.items()}
    for part, name in names.items():
        if not len(pairs[part]):
            raise no_pairs(name)
    train = _sources(pairs["train"])
    digests = {part: rows.sha256 for part, rows in files.items()}
    fingerprints = {
        unknown: _fingerprint(digests, data.model_copy(update={"unknown": unknown}), vocab)
        for unknown in get_args(Unknown)
    }
    return PairCorpus(
        vocab=vocab,
        **pairs,
        fingerprint=fingerprints[data.unknown],
        same_parts=frozenset(fingerprints.values()),
        source=data.train,
        skipped=dict(mistakes.count),
        seen={part: len(train & _sources(pairs[part])) for part in ("valid", "test")},
    )


def read_pairs(
    source: str,
    data: PairDataConfig,
    vocab: PairVocab,
    skipped: MutableMapping[str, int] | None = None,
) -> Pairs:
    """The pairs of one more file, read as ``data`` says, with a trained model's vocabulary.

    Args:
        source: a path, or ``dataset:NAME/FILE``.
        skipped: is given how many lines or answers were left out, by reason, even where no pair is
            left (``data.errors: skip``).

    Raises:
        CharseqError: as ``load_pairs``.
    """
    mistakes = Mistakes()
    rows = read_rows(source_path(source), data, mistakes)
    if data.errors == "raise":
        mistakes.refuse()
    if skipped is not None:
        skipped.update(mistakes.count)
    pairs = _encode(rows, _same_reading(vocab, data), data)
    if not len(pairs):
        raise no_pairs(source)
    return pairs


def gather(rows: Rows) -> tuple[list[Example], Int64s]:
    """The different sources of rows with all their answers, and which of them each row is of."""
    number_of: dict[tuple[str, tuple[str, ...]], int] = {}
    first: list[str] = []
    others: dict[int, list[str]] = {}  # few sources have them: a list for each would be slow
    example_of = np.empty(len(rows), dtype=np.int64)
    keys = zip(rows.sources, rows.features, strict=True)
    for row, (key, target) in enumerate(zip(keys, rows.targets, strict=True)):
        number = number_of.setdefault(key, len(first))
        if number == len(first):
            first.append(target)
        else:
            others.setdefault(number, []).append(target)
        example_of[row] = number
    examples = [
        Example(source, features, (target, *others.get(number, ())))
        for number, ((source, features), target) in enumerate(zip(number_of, first, strict=True))
    ]
    return examples, example_of


def no_pairs(source: str) -> CharseqError:
    """The error for a file, as the user calls it, of which nothing is left."""
    return CharseqError(f"{escape(source)}: there are no pairs left in it; take other data")


def _fingerprint(digests: Mapping[str, str], data: PairDataConfig, vocab: PairVocab) -> str:
    settings = data.model_dump(mode="json", exclude=set(PARTS))
    decisive = json.dumps([FORMAT, digests, settings, vocab.to_json()])
    return hashlib.sha256(decisive.encode()).hexdigest()


def _sources(pairs: Pairs) -> set[tuple[str, tuple[str, ...]]]:
    return {(example.source, example.features) for example in pairs.examples}


def _split(files: Mapping[str, Rows], data: PairDataConfig) -> dict[str, Rows]:
    """The rows of each part, in the order of their file."""
    rows = files["train"]
    own = {part: file for part, file in files.items() if part != "train"}
    train, valid, test = data.split
    if "valid" in own:
        train, valid = train + valid, 0.0
    if "test" in own:
        train, test = train + test, 0.0
    if not valid and not test:
        return {"train": rows, "valid": rows.take([]), "test": rows.take([]), **own}
    sources = _shuffled(set(rows.sources), data.split_seed)
    # The shares are rounded first, as 0.7 + 0.1 is a little less than 0.8.
    first = round(len(sources) * round(train, 9))
    second = round(len(sources) * round(train + valid, 9)) if test else len(sources)
    part_of = dict.fromkeys(sources[:first], "train")
    part_of |= dict.fromkeys(sources[first:second], "valid")
    part_of |= dict.fromkeys(sources[second:], "test")
    places: dict[str, list[int]] = {part: [] for part in PARTS}
    for row, source in enumerate(rows.sources):
        places[part_of[source]].append(row)
    return {**{part: rows.take(places[part]) for part in PARTS}, **own}


def _shuffled(sources: set[str], seed: int) -> list[str]:
    """The sources in a random order that nothing but they and the seed decide.

    They are sorted by a digest of each. A library's generator may change with its version; and a
    source that is added moves no other but across a cut.
    """
    return sorted(sources, key=lambda one: hashlib.sha256(f"{seed} {one}".encode()).digest())


def _count(rows: Rows, data: PairDataConfig) -> PairVocab:
    """The vocabulary of the training part."""
    source, target = (
        Symbols.from_counts(separator, count_symbols(texts, separator), data.min_count)
        for texts, separator in (
            (rows.sources, data.source_separator),
            (rows.targets, data.target_separator),
        )
    )
    tags = Counter(chain.from_iterable(rows.features))
    frequent = sorted(tag for tag, count in tags.items() if count >= data.min_count)
    return PairVocab(source, target, tuple(frequent), data.normalize, data.reverse_source)


def _same_reading(vocab: PairVocab, data: PairDataConfig) -> PairVocab:
    """The vocabulary, when the settings split and normalize pairs as it does."""
    for name, wanted in (
        ("source_separator", vocab.source.separator),
        ("target_separator", vocab.target.separator),
        ("normalize", vocab.normalize),
        ("reverse_source", vocab.reverse_source),
    ):
        if getattr(data, name) != wanted:
            raise CharseqError(
                f"data.{name}: the model was trained with {escape(json.dumps(wanted))}; set that, "
                "or train another"
            )
    return vocab


def _encode(rows: Rows, vocab: PairVocab, data: PairDataConfig) -> Pairs:
    """The ids of rows. A source of which no symbol is known is read as unknown ones (``skip``)."""
    symbols = Ragged.from_lengths(*vocab.source.numbers(rows.sources))
    tags = Ragged.from_lengths(*vocab.tag_numbers(rows.features))
    if data.unknown == "error":
        strange = [side.row_of[side.flat < 0] for side in (symbols, tags)]
        if (found := np.concatenate(strange)).size:
            row = int(found.min())
            raise vocab.unknown_error(
                rows.sources[row], rows.features[row], rows.where(row), "data.unknown: "
            )
    if data.unknown == "skip":
        known = symbols.flat >= 0
        others = np.bincount(symbols.row_of[known], minlength=len(rows))
        symbols, tags = (
            symbols.keep(known | (others[symbols.row_of] == 0)),
            tags.keep(tags.flat >= 0),
        )
    symbols = Ragged(vocab.source_ids(symbols.flat), symbols.offsets)
    examples, example_of = gather(rows)
    numbers, lengths = vocab.target.numbers(rows.targets)
    return Pairs(
        examples=examples,
        source=Ragged(vocab.tag_ids(tags.flat), tags.offsets).beside(
            symbols.turned() if vocab.reverse_source else symbols
        ),
        target=Ragged.from_lengths(vocab.target_ids(numbers), lengths),
        example_of=example_of,
    )

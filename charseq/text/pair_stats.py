"""What pairs hold, counted before hours are spent training on them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import numpy as np

from charseq.config.schema.seq2seq import PairDataConfig, Seq2SeqConfig
from charseq.text.pair_vocab import PairVocab
from charseq.text.pairs import PARTS, Example, gather, load_pairs, no_pairs
from charseq.text.ranges import round_width
from charseq.text.rows import Mistakes, read_rows
from charseq.text.splice import training_batches
from charseq.text.stats import RARE
from charseq.text.symbols import count_symbols, split_symbols

MOST_BARS = 12  # of a histogram of lengths
SHOWN = 10  # ambiguous sources that are kept as examples


@dataclass(frozen=True)
class Lengths:
    """How many symbols the texts of one side have, each pair counted.

    Attributes:
        histogram: ``histogram[n]`` pairs have a text of n symbols, up to the longest.
    """

    mean: float
    median: float
    longest: int
    histogram: tuple[int, ...]

    def bins(self) -> list[tuple[int, int, int]]:
        """The histogram in bars of one round width: first, last length, pairs."""
        width = round_width(self.longest, MOST_BARS)
        return [
            (first, first + width - 1, sum(self.histogram[first : first + width]))
            for first in range(1, self.longest + 1, width)
        ]


@dataclass(frozen=True)
class PartStats:
    """One part of the pairs: train, valid, test, or a whole file.

    Attributes:
        pairs: of a source and one of its answers.
        sources: different sources.
        examples: different sources, those with other tags told apart.
        ambiguous: examples with several right answers.
        unknown_source, unknown_target, unknown_tags: what training lacks, and how often it occurs.
    """

    pairs: int
    sources: int
    examples: int
    ambiguous: int
    source_lengths: Lengths
    target_lengths: Lengths
    unknown_source: dict[str, int]
    unknown_target: dict[str, int]
    unknown_tags: dict[str, int]


@dataclass(frozen=True)
class Overlap:
    """What two parts have in common: sources, and examples (sources with the same tags)."""

    first: str
    second: str
    sources: int
    examples: int


@dataclass(frozen=True)
class PairTrainingStats:
    """How a configuration trains on its pairs.

    Attributes:
        source_size, target_size: ids of each side; tags, the unknown symbol and the end included.
        spliced_pairs: made of the training pairs, and trained on besides them.
        steps_per_epoch: updates in one pass over all of these.
        epochs: passes in all, where ``train.max_steps`` or ``train.max_epochs`` says so.
    """

    source_size: int
    target_size: int
    spliced_pairs: int
    batch_size: int
    steps_per_epoch: int
    epochs: float | None


@dataclass(frozen=True)
class PairStats:
    """What the pairs of a configuration, or of one file, hold.

    Attributes:
        source: what the user calls them.
        parts: ``train`` and, where they are not empty, ``valid`` and ``test``; or ``file``.
        source_symbols, target_symbols, tags: the occurrences of each in the first part.
        overlaps: of every two parts.
        ambiguous: the first examples of the first part that have several right answers.
        skipped: lines and answers that were left out, by reason.
        mistakes: the first of these as ``file:line: why``; for a file only.
        noticed: how the look of a file said that it is to be read.
    """

    source: str
    parts: dict[str, PartStats]
    source_symbols: dict[str, int]
    target_symbols: dict[str, int]
    tags: dict[str, int]
    overlaps: tuple[Overlap, ...]
    ambiguous: tuple[Example, ...]
    skipped: dict[str, int]
    mistakes: tuple[str, ...] = ()
    training: PairTrainingStats | None = None
    noticed: tuple[str, ...] = ()

    @property
    def rare_source(self) -> dict[str, int]:
        """The source symbols that occur fewer than ``RARE`` times."""
        return _rare(self.source_symbols)

    @property
    def rare_target(self) -> dict[str, int]:
        """The target symbols that occur fewer than ``RARE`` times."""
        return _rare(self.target_symbols)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, with the derived rare symbols too."""
        rare = {"rare_source": self.rare_source, "rare_target": self.rare_target}
        return {**asdict(self), **rare}


def pair_stats(config: Seq2SeqConfig) -> PairStats:
    """Read, split and encode a configuration's pairs as a training does, and count them.

    Raises:
        CharseqError: as ``load_pairs``.
    """
    corpus = load_pairs(config.data)
    batches = training_batches(corpus, config.train)
    steps = batches.steps_per_epoch
    return _stats(
        config.data.train,
        {part: getattr(corpus, part).examples for part in PARTS if len(getattr(corpus, part))},
        config.data,
        skipped=corpus.skipped,
        vocab=corpus.vocab,
        training=PairTrainingStats(
            source_size=corpus.vocab.source_size,
            target_size=corpus.vocab.target_size,
            spliced_pairs=len(batches.pairs) - len(corpus.train),
            batch_size=config.train.batch_size,
            steps_per_epoch=steps,
            epochs=config.train.epochs(steps),
        ),
    )


def pair_file_stats(
    path: Path, source: str, data: PairDataConfig, noticed: Iterable[str] = ()
) -> PairStats:
    """Count the pairs of one file, read as ``data`` says; wrong lines are counted, not refused.

    Args:
        source: what the user calls the file.
        data: how to read it; the files and shares that it names are not used.
        noticed: why it is read so, for the reader of the counts.

    Raises:
        CharseqError: the file cannot be read, lacks the columns that ``data`` names, or holds no
            line that is right.
    """
    mistakes = Mistakes()
    examples, _ = gather(read_rows(path, data, mistakes))
    if not examples:
        mistakes.refuse()
        raise no_pairs(source)
    counted = _stats(
        source, {"file": examples}, data, skipped=mistakes.count, mistakes=tuple(mistakes.first)
    )
    return replace(counted, noticed=tuple(noticed))


def _stats(
    source: str,
    parts: Mapping[str, Sequence[Example]],
    data: PairDataConfig,
    *,
    skipped: Mapping[str, int],
    mistakes: tuple[str, ...] = (),
    vocab: PairVocab | None = None,
    training: PairTrainingStats | None = None,
) -> PairStats:
    symbols = {part: _Symbols.of(examples, data) for part, examples in parts.items()}
    first = next(iter(parts))
    return PairStats(
        source=source,
        parts={part: _part(parts[part], symbols[part], vocab) for part in parts},
        source_symbols=symbols[first].sources,
        target_symbols=symbols[first].targets,
        tags=symbols[first].tags,
        overlaps=tuple(
            Overlap(
                one,
                other,
                sources=len(_sources(parts[one]) & _sources(parts[other])),
                examples=len(_inputs(parts[one]) & _inputs(parts[other])),
            )
            for one, other in combinations(parts, 2)
        ),
        ambiguous=tuple(islice((e for e in parts[first] if len(e.targets) > 1), SHOWN)),
        skipped=dict(skipped),
        mistakes=mistakes,
        training=training,
    )


@dataclass(frozen=True)
class _Symbols:
    """How often each symbol and tag occurs in a part, and the lengths of each pair's texts."""

    sources: dict[str, int]
    targets: dict[str, int]
    tags: dict[str, int]
    source_lengths: list[int]
    target_lengths: list[int]

    @classmethod
    def of(cls, examples: Sequence[Example], data: PairDataConfig) -> "_Symbols":
        sources = [example.source for example in examples for _ in example.targets]
        targets = [target for example in examples for target in example.targets]
        features = (tag for e in examples for tag in e.features * len(e.targets))
        return cls(
            count_symbols(sources, data.source_separator),
            count_symbols(targets, data.target_separator),
            dict(sorted(Counter(features).items())),
            [len(split_symbols(text, data.source_separator)) for text in sources],
            [len(split_symbols(text, data.target_separator)) for text in targets],
        )


def _part(examples: Sequence[Example], symbols: _Symbols, vocab: PairVocab | None) -> PartStats:
    return PartStats(
        pairs=len(symbols.source_lengths),
        sources=len(_sources(examples)),
        examples=len(examples),
        ambiguous=sum(len(example.targets) > 1 for example in examples),
        source_lengths=_lengths(symbols.source_lengths),
        target_lengths=_lengths(symbols.target_lengths),
        unknown_source=_unknown(symbols.sources, vocab.source.symbols if vocab else None),
        unknown_target=_unknown(symbols.targets, vocab.target.symbols if vocab else None),
        unknown_tags=_unknown(symbols.tags, vocab.features if vocab else None),
    )


def _lengths(lengths: Sequence[int]) -> Lengths:
    values = np.array(lengths, dtype=np.int64)
    return Lengths(
        float(values.mean()),
        float(np.median(values)),
        int(values.max()),
        tuple(np.bincount(values).tolist()),
    )


def _unknown(counts: Mapping[str, int], known: Iterable[str] | None) -> dict[str, int]:
    names = counts.keys() if known is None else frozenset(known)
    return {name: count for name, count in counts.items() if name not in names}


def _rare(counts: Mapping[str, int]) -> dict[str, int]:
    return {symbol: count for symbol, count in counts.items() if count < RARE}


def _sources(examples: Iterable[Example]) -> set[str]:
    return {example.source for example in examples}


def _inputs(examples: Iterable[Example]) -> set[tuple[str, tuple[str, ...]]]:
    return {(example.source, example.features) for example in examples}

"""Measure how often models of pairs are right, and what they make of each source."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from charseq.errors import CharseqError
from charseq.inference.convert import convert
from charseq.inference.likelihood import cross_entropy
from charseq.inference.metrics import PairScore, edits
from charseq.inference.trace import Hypothesis
from charseq.models.seq2seq import Seq2Seq
from charseq.progress import Progress
from charseq.text.pair_vocab import PairVocab
from charseq.text.pairs import Example, Pairs
from charseq.text.ranges import round_width
from charseq.text.symbols import TAG_SEPARATOR

By: TypeAlias = Literal["length", "tag", "bundle"]

LIMIT_SEED = 20_180_423  # of the permutation that ``limit`` takes the first examples of
MOST_GROUPS = 12  # of a breakdown by length


@dataclass(frozen=True)
class Judged:
    """What became of one source.

    Attributes:
        example: the source with its right answers.
        source_length: its symbols, without features.
        prediction: the best output, as text.
        symbols: the same as symbols.
        edits: from ``symbols`` to the closest right answer.
        reference: the symbols of that answer.
        right: it is one of the right answers; the same as no edits.
        log_probability: of the prediction, in nats.
    """

    example: Example
    source_length: int
    prediction: str
    symbols: tuple[str, ...]
    edits: int
    reference: tuple[str, ...]
    right: bool
    log_probability: float


@dataclass(frozen=True)
class Group:
    """A part of what was judged: its name, how many sources, and their error rates."""

    name: str
    count: int
    accuracy: float
    ser: float


def evaluate_pairs(
    models: Sequence[Seq2Seq],
    vocab: PairVocab,
    pairs: Pairs,
    *,
    beam: int = 1,
    length_penalty: float = 0.0,
    limit: int | None = None,
    max_target_length: int = 200,
    batch_size: int = 256,
    progress: Progress | None = None,
    between: Callable[[], object] = lambda: None,
) -> tuple[PairScore, list[Judged]]:
    """Score the models, together as an ensemble, on every example, and say what became of each.

    A prediction is right when it has the very symbols of one of the right answers. The loss is that
    of reading the right answers (teacher forcing); sums are in float64. Draws no random numbers and
    leaves the models in the mode that they were in. But for rounding, what becomes of a source does
    not depend on the other pairs.

    Args:
        limit: judge so many examples only: the first of a fixed permutation, the same ones for the
            same number of examples, whatever they are.
        beam, length_penalty, max_target_length, batch_size: as in ``convert.convert``.
        progress: called after each example with how many are judged, and of how many.
        between: called between two batches; what it raises ends the evaluation.

    Raises:
        CharseqError: there are no examples, ``limit`` is below 1, or as ``convert.convert``.
    """
    chosen = _chosen(len(pairs.examples), limit)
    outputs = convert(
        models,
        (pairs.source[int(row)] for row in pairs.first_row[chosen]),
        beam=beam,
        length_penalty=length_penalty,
        max_target_length=max_target_length,
        batch_size=batch_size,
        between=between,
    )
    judged: list[Judged] = []
    for number, hypotheses in outputs:
        judged.append(judge(vocab, pairs.examples[chosen[number]], hypotheses[0]))
        if progress is not None:
            progress(number + 1, len(chosen))
    rows = np.flatnonzero(np.isin(pairs.example_of, chosen))
    nats, symbols = cross_entropy(models, pairs, rows, batch_size, between)
    accuracy, ser = _rates(judged)
    return PairScore(nats / symbols, symbols, accuracy, ser, len(judged)), judged


def judge(vocab: PairVocab, example: Example, hypothesis: Hypothesis) -> Judged:
    """Compare one hypothesis with the right answers, symbol by symbol."""
    symbols = tuple(vocab.target_symbols(hypothesis.ids))
    references = [tuple(vocab.target.split(target)) for target in example.targets]
    distance, closest = edits(symbols, references)
    return Judged(
        example=example,
        source_length=len(vocab.source.split(example.source)),
        prediction=vocab.decode_target(hypothesis.ids),
        symbols=symbols,
        edits=distance,
        reference=references[closest],
        right=distance == 0,
        log_probability=hypothesis.log_probability,
    )


def breakdown(judged: Sequence[Judged], by: By = "length") -> list[Group]:
    """The error rates of parts of what was judged.

    By ``length``: ranges of equal width of the source's symbols, the shortest first. By ``tag``:
    the sources with each tag, the commonest tag first; a source with several counts in each. By
    ``bundle``: the sources with the same tags, as in "V;PST"; the commonest first. A source without
    tags counts in "(none)".
    """
    members: dict[str, list[Judged]] = {}
    if by != "length":
        for one in judged:
            tags = one.example.features or ("(none)",)
            for name in dict.fromkeys(tags) if by == "tag" else [TAG_SEPARATOR.join(tags)]:
                members.setdefault(name, []).append(one)
        names = sorted(members, key=lambda name: (-len(members[name]), name))
    else:
        longest = max((one.source_length for one in judged), default=0)
        width = round_width(longest, MOST_GROUPS)
        for one in sorted(judged, key=lambda one: one.source_length):
            first = max(0, one.source_length - 1) // width * width + 1
            name = f"{first}" if width == 1 else f"{first}–{first + width - 1}"
            members.setdefault(name, []).append(one)
        names = list(members)
    return [Group(name, len(members[name]), *_rates(members[name])) for name in names]


def _rates(judged: Sequence[Judged]) -> tuple[float, float]:
    """Accuracy and symbol error rate."""
    right = sum(one.right for one in judged)
    symbols = sum(len(one.reference) for one in judged)
    return right / len(judged), sum(one.edits for one in judged) / symbols


def _chosen(count: int, limit: int | None) -> list[int]:
    """The examples to judge, in their order."""
    if count == 0:
        raise CharseqError("evaluate: there are no pairs to judge; name a file that has some")
    if limit is not None and limit < 1:
        raise CharseqError(f"limit: must be at least 1, not {limit}")
    if limit is None or limit >= count:
        return list(range(count))
    permutation = np.random.default_rng(LIMIT_SEED).permutation(count)
    return [int(i) for i in np.sort(permutation[:limit])]

"""Where a prediction differs from its right answer: aligned pieces, and the commonest mistakes.

Edits are those that turn the right answer into the prediction, as error rates count them: an
*insert* is a symbol that the model wrote and should not have, a *delete* one that it left out.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from rapidfuzz.distance import Levenshtein

from charseq.inference.pairs import Judged

Kind: TypeAlias = Literal["equal", "replace", "insert", "delete"]


@dataclass(frozen=True)
class Piece:
    """A stretch of both sides. Put together in order, the pieces are the two sides again.

    Attributes:
        kind: ``equal`` and ``replace`` have as many symbols on either side; an ``insert`` has no
            reference, a ``delete`` no prediction.
    """

    kind: Kind
    predicted: tuple[str, ...]
    reference: tuple[str, ...]


@dataclass(frozen=True)
class Confusion:
    """One symbol written for another, ``count`` times; "" where the other side has none."""

    kind: Kind
    predicted: str
    reference: str
    count: int


def align(predicted: Sequence[str], reference: Sequence[str]) -> list[Piece]:
    """The pieces of a shortest way (Levenshtein) from the reference to the prediction."""
    return [
        Piece(
            cast(Kind, op.tag),
            tuple(predicted[op.dest_start : op.dest_end]),
            tuple(reference[op.src_start : op.src_end]),
        )
        for op in Levenshtein.opcodes(reference, predicted)
    ]


def confusions(judged: Iterable[Judged]) -> list[Confusion]:
    """Every single edit of all predictions to their closest answers, the commonest first."""
    counts: Counter[tuple[Kind, str, str]] = Counter()
    for one in judged:
        for piece in align(one.symbols, one.reference):
            if piece.kind == "replace":
                pairs = zip(piece.predicted, piece.reference, strict=True)
                counts.update(("replace", wrote, right) for wrote, right in pairs)
            elif piece.kind == "insert":
                counts.update(("insert", wrote, "") for wrote in piece.predicted)
            elif piece.kind == "delete":
                counts.update(("delete", "", right) for right in piece.reference)
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [Confusion(*key, count) for key, count in order]

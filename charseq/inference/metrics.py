"""What an evaluation measures: of a text by language models, of pairs by encoder-decoders."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from rapidfuzz.distance import Levenshtein

from charseq.errors import CharseqError


@dataclass(frozen=True)
class Score:
    """How well a model predicts a text.

    Attributes:
        nats: mean cross-entropy of a character, in nats; NaN when the model's outputs are.
        accuracy: share of the characters that were the likeliest symbol, 0 to 1.
        characters: how many were scored. For a byte vocabulary these are bytes.
    """

    nats: float
    accuracy: float
    characters: int

    @property
    def bpc(self) -> float:
        """Bits per character."""
        return self.nats / math.log(2.0)

    @property
    def perplexity(self) -> float:
        """exp(nats): among how many equally likely symbols the model is in doubt."""
        return _exp(self.nats)

    def monitored(self, name: str) -> tuple[float, float]:
        """``loss`` or ``accuracy`` as a number that falls while the model gets better; then the
        loss, which decides between equal ones.

        Raises:
            CharseqError: a text has no such measure.
        """
        measures = {"loss": self.nats, "accuracy": -self.accuracy}
        return _monitored(measures, name, "a text"), self.nats

    def summary(self) -> str:
        """The score in a few words, for a line on a screen."""
        return f"{self.nats:.4f} nats, {self.bpc:.3f} bpc"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, the properties among them; null for what is not finite."""
        values = {
            "nats": self.nats,
            "bpc": self.bpc,
            "perplexity": self.perplexity,
            "accuracy": self.accuracy,
        }
        return {**_finite(values), "characters": self.characters}


@dataclass(frozen=True)
class PairScore:
    """How well a model turns sources into targets.

    Attributes:
        nats: mean cross-entropy of a target symbol, END included, in nats, over every right answer
            of every source; NaN when the model's outputs are.
        symbols: over how many target symbols that mean goes.
        accuracy: share of the sources whose best output is one of the right answers, 0 to 1.
        ser: symbol error rate: the edits from every best output to the closest right answer, over
            the symbols of those answers. Can be above 1.
        pairs: how many sources were turned into targets.
    """

    nats: float
    symbols: int
    accuracy: float
    ser: float
    pairs: int

    @property
    def wer(self) -> float:
        """Word error rate: the share of the sources that were turned into anything wrong."""
        return 1.0 - self.accuracy

    @property
    def perplexity(self) -> float:
        """exp(nats): among how many equally likely symbols the model is in doubt."""
        return _exp(self.nats)

    def monitored(self, name: str) -> tuple[float, float]:
        """``loss``, ``accuracy`` or ``ser`` as a number that falls while the model gets better;
        then the loss, which decides between equal ones: all are 0 % right at first.

        Raises:
            CharseqError: there is no such measure.
        """
        measures = {"loss": self.nats, "accuracy": -self.accuracy, "ser": self.ser}
        return _monitored(measures, name, "pairs"), self.nats

    def summary(self) -> str:
        """The score in a few words, for a line on a screen."""
        return f"{self.accuracy:.2%} right, SER {self.ser:.2%}, {self.nats:.4f} nats"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, the properties among them; null for what is not finite."""
        values = {
            "nats": self.nats,
            "perplexity": self.perplexity,
            "accuracy": self.accuracy,
            "wer": self.wer,
            "ser": self.ser,
        }
        return {**_finite(values), "symbols": self.symbols, "pairs": self.pairs}


def edits(
    prediction: Sequence[Hashable], references: Sequence[Sequence[Hashable]]
) -> tuple[int, int]:
    """The edits from a prediction to the closest of its references, and which one that is.

    An edit inserts, deletes or replaces one symbol (Levenshtein). Of equally close references the
    shorter one counts, then the first: the error rate then is the highest that the closest ones
    allow.

    Raises:
        CharseqError: there is no reference.
    """
    if not references:
        raise CharseqError("edits: there is no right answer to compare with; give at least one")
    distance, _, closest = min(
        (Levenshtein.distance(prediction, reference), len(reference), i)
        for i, reference in enumerate(references)
    )
    return distance, closest


def _exp(nats: float) -> float:
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    return {name: x if math.isfinite(x) else None for name, x in values.items()}


def _monitored(measures: dict[str, float], name: str, what: str) -> float:
    if name not in measures:
        raise CharseqError(
            f"train.monitor: {what} cannot be measured by {name!r}; take {' or '.join(measures)}"
        )
    return measures[name]

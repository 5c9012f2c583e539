"""What an evaluation measures: nats, bits and perplexity of a character, and the accuracy."""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Score:
    """How well a model foresees a text.

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
        try:
            return math.exp(self.nats)
        except OverflowError:
            return math.inf

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, the properties among them; null for what is not finite."""
        values = {
            "nats": self.nats,
            "bpc": self.bpc,
            "perplexity": self.perplexity,
            "accuracy": self.accuracy,
        }
        finite = {name: x if math.isfinite(x) else None for name, x in values.items()}
        return {**finite, "characters": self.characters}

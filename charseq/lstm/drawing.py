"""What the next symbol is drawn from. Nothing here imports torch."""

import math
from dataclasses import dataclass

from charseq.errors import CharseqError


@dataclass(frozen=True)
class Drawing:
    """How predictions become a symbol: softmax(logits / temperature), cut off and scaled to 1.

    Attributes:
        temperature: 0 leaves the likeliest symbol alone.
        top_k: so many of the likeliest symbols; None: all.
        top_p: then of these the smallest set of likeliest ones that holds at least this share (the
            nucleus of Holtzman et al. 2020); None: all.

    Raises:
        CharseqError: one is out of its range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature < math.inf:
            raise CharseqError(
                f"temperature: must be at least 0 and finite, not {self.temperature}"
            )
        if self.top_k is not None and self.top_k < 1:
            raise CharseqError(f"top_k: must be at least 1, not {self.top_k}")
        if self.top_p is not None and not 0.0 < self.top_p <= 1.0:
            raise CharseqError(f"top_p: must be above 0 and at most 1, not {self.top_p}")

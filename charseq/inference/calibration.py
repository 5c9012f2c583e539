"""Calibration: whether what a model is 80 % sure of is right 80 % of the time (Guo et al. 2017).

An *answer* is what a model takes for likeliest: the whole target of a source, or the next character
of a text. Its *confidence* is the probability that the model gives it, from 0 to 1.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from charseq.errors import CharseqError

if TYPE_CHECKING:
    from torch import Tensor

    from charseq.inference.pairs import Judged

BINS = 15  # as Guo et al. take


@dataclass(frozen=True)
class Bin:
    """The answers of confidences above ``low``, up to ``high``; 0 is in the lowest bin.

    Attributes:
        count: how many there are, at least one.
        confidence: the mean of their confidences.
        accuracy: the share of them that is right.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float

    @property
    def gap(self) -> float:
        """Accuracy less confidence: below 0 the model is too sure of itself."""
        return self.accuracy - self.confidence


@dataclass(frozen=True)
class Calibration:
    """How far confidence and accuracy of some answers lie apart.

    Attributes:
        bins: those with answers, of rising confidence.
        asked: into how many the answers were to be put; empty ones are left out.
        equal_mass: the bins hold about as many answers each; else they are equally wide.
        count, confidence, accuracy: as of a bin, of all answers.
    """

    bins: tuple[Bin, ...]
    asked: int
    equal_mass: bool
    count: int
    confidence: float
    accuracy: float

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean absolute gap, each bin by its answers (eq. 3)."""
        return sum(one.count * abs(one.gap) for one in self.bins) / self.count

    @property
    def largest_gap(self) -> float:
        """Maximum calibration error (eq. 5); of a bin of few answers it says little."""
        return max(abs(one.gap) for one in self.bins)

    @property
    def binning(self) -> str:
        """Such as ``15 bins of equal width``."""
        return f"{self.asked} bins of equal {'mass' if self.equal_mass else 'width'}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "ece": self.ece,
            "largest_gap": self.largest_gap,
            "confidence": self.confidence,
            "accuracy": self.accuracy,
            "count": self.count,
            "binning": self.binning,
            "bins": [asdict(one) for one in self.bins],
        }


def calibration(
    confidence: ArrayLike, right: ArrayLike, *, bins: int = BINS, equal_mass: bool = False
) -> Calibration:
    """Compare confidences (n,) from 0 to 1 with which answers are right (n,).

    Args:
        bins: M; of equal width they are ((m - 1) / M, m / M].
        equal_mass: bounds are quantiles of the confidences instead. Equal confidences stay in one
            bin, so that the bins may differ, and be fewer.

    Raises:
        CharseqError: there are no answers, or a confidence is no number from 0 to 1.
    """
    sure, hit = np.asarray(confidence), np.asarray(right, dtype=bool)
    if not sure.size or bins < 1:
        raise CharseqError("calibration: needs at least one answer and one bin")
    if not ((sure >= 0.0) & (sure <= 1.0)).all():
        raise CharseqError(
            "calibration: a confidence is no number from 0 to 1: the model's weights are damaged or"
            " its training diverged; take an earlier checkpoint"
        )
    highs = np.arange(1, bins + 1) / bins
    if equal_mass:
        last = -(-sure.size * np.arange(1, bins + 1) // bins) - 1  # of each bin, in order
        highs = np.unique(np.sort(sure)[last])
    lows = np.concatenate([[0.0], highs[:-1]])
    of = np.searchsorted(highs, sure)
    counts = np.bincount(of, minlength=len(highs))
    confidences = np.bincount(of, weights=sure, minlength=len(highs))
    hits = np.bincount(of, weights=hit, minlength=len(highs))
    found = tuple(
        Bin(float(low), float(high), int(n), float(total / n), float(k / n))
        for low, high, n, total, k in zip(lows, highs, counts, confidences, hits, strict=True)
        if n
    )
    mean = float(sure.mean(dtype=np.float64))
    return Calibration(found, bins, equal_mass, sure.size, mean, float(hit.mean()))


def of_pairs(judged: Sequence["Judged"]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The probability of each whole output, its end included, and whether it is right.

    An output that was cut off has no end; what counts is the probability of as much as there is.
    """
    sure = np.exp(np.minimum([one.log_probability for one in judged], 0.0))
    return sure, np.array([one.right for one in judged], dtype=bool)


class Confidences:
    """Collects them chunk by chunk while a text is scored: five bytes a character."""

    def __init__(self) -> None:
        self._sure: list[NDArray[np.float32]] = []
        self._right: list[NDArray[np.bool_]] = []

    def add(self, top: "Tensor", right: "Tensor") -> None:
        """The probability of the likeliest symbol at some places, and whether it was right."""
        self._sure.append(top.float().clamp(max=1.0).flatten().cpu().numpy())  # rounding: 1 + 1e-7
        self._right.append(right.flatten().cpu().numpy())

    def calibration(self, *, bins: int = BINS, equal_mass: bool = False) -> Calibration:
        """Of all that was added; see ``calibration``."""
        sure, right = np.concatenate(self._sure), np.concatenate(self._right)
        return calibration(sure, right, bins=bins, equal_mass=equal_mass)

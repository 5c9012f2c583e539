"""How sure a model of pairs is of an answer, in words for a person."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from charseq.inference.trained_seq2seq import Output

MOST, LEAST = 0.9995, 0.0005  # what one digit behind the point would round to all or nothing


def confidence(output: "Output") -> str:
    """The probability of the whole answer, its end included, such as ``98.7%``.

    What was cut off has no end, so that its probability as an answer is smaller than what is known.
    """
    if not output.finished:
        return f"at most {percent(output.log_probability)}"
    return percent(output.log_probability)


def percent(log_probability: float) -> str:
    """A probability, given in nats; 100.0% is nothing but certain, and 0.0% impossible."""
    probability = math.exp(min(0.0, log_probability))
    if MOST <= probability < 1.0:
        return ">99.9%"
    if 0.0 < probability < LEAST:
        return "<0.1%"
    return f"{probability:.1%}"

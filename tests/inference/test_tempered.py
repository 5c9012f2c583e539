"""Temperature, top-k and nucleus, against the papers' words."""

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charseq.inference.distribution import tempered
from charseq.lstm.drawing import Drawing


def plainly_tempered(
    scores: list[float], temperature: float, top_k: int | None, top_p: float | None
) -> list[float]:
    """The probabilities, one symbol after the other, as the paper words them."""
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    if temperature == 0.0:
        return [float(i == order[0]) for i in range(len(scores))]
    weights = [math.exp((score - scores[order[0]]) / temperature) for score in scores]
    kept = order[:top_k]
    total, held, nucleus = math.fsum(weights[i] for i in kept), 0.0, []
    for i in kept:
        nucleus.append(i)
        held += weights[i] / total
        if top_p is not None and top_p < 1.0 and held >= top_p:
            break
    total = math.fsum(weights[i] for i in nucleus)
    return [weights[i] / total if i in nucleus else 0.0 for i in range(len(scores))]


@settings(max_examples=100)
@given(
    halves=st.integers(1, 9).flatmap(
        lambda n: st.lists(st.lists(st.integers(-9, 9), min_size=n, max_size=n), min_size=1)
    ),
    temperature=st.sampled_from([0.0, 0.5, 1.0, 7.0, 5e-324]),
    top_k=st.none() | st.integers(1, 10),
    top_p=st.none() | st.sampled_from([1e-9, 0.123457, 0.514321, 0.912345, 1.0]),
)
def test_every_row_is_tempered_as_if_it_were_alone(
    halves: list[list[int]], temperature: float, top_k: int | None, top_p: float | None
) -> None:
    logits = torch.tensor(halves).double() / 2
    rows = tempered(logits.log_softmax(1), Drawing(temperature, top_k, top_p))
    for row, scores in zip(rows, logits, strict=True):
        expected = plainly_tempered(scores.tolist(), temperature, top_k, top_p)
        np.testing.assert_allclose(row.exp(), expected, rtol=1e-9, atol=1e-12)


def test_of_equally_likely_symbols_the_first_are_drawn_from() -> None:
    for size in (4, 5000):
        level = torch.zeros(2, size).double().log_softmax(1)
        rows = tempered(level, Drawing(top_k=4, top_p=0.5))
        assert rows.isfinite().nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]

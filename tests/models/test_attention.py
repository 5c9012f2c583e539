"""Attention against Bahdanau's and Luong's equations, one place at a time."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from charseq.errors import CharseqError
from charseq.models.attention import SCORES, Attention, Memory

HIDDEN = 4


def make(score: str, values: Tensor, lengths: list[int] | None) -> tuple[Attention, Memory]:
    torch.manual_seed(1)
    attention = Attention(score, HIDDEN).double()
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.add_(torch.randn_like(parameter))
    inside = None
    if lengths is not None:
        inside = torch.tensor([[s < n for s in range(values.shape[1])] for n in lengths])
    return attention, Memory(values, attention.keys(values), inside, None)


def plain_score(attention: Attention, h: list[float], m: list[float]) -> float:
    def times(weight: Tensor, vector: list[float]) -> list[float]:
        return [sum(w * x for w, x in zip(row, vector, strict=True)) for row in weight.tolist()]

    if attention.score == "dot":
        return sum(a * b for a, b in zip(h, m, strict=True))
    query = times(attention.query.weight, h)
    if attention.score == "general":
        return sum(a * b for a, b in zip(query, m, strict=True))
    key = times(attention.key.weight, m)
    inner = [math.tanh(a + b) for a, b in zip(query, key, strict=True)]
    return times(attention.v.weight, inner)[0]


@pytest.mark.parametrize("score", SCORES)
@given(data=st.data(), steps=st.integers(1, 4))
def test_weights_and_context_are_those_of_the_equations(
    score: str, data: st.DataObject, steps: int
) -> None:
    lengths = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    padded = data.draw(st.booleans())
    batch, places = len(lengths), 5
    if not padded:
        lengths = [places] * batch
    torch.manual_seed(data.draw(st.integers(0, 99)))
    values = torch.randn(batch, places, HIDDEN, dtype=torch.float64)
    queries = torch.randn(steps, batch, HIDDEN, dtype=torch.float64)
    attention, memory = make(score, values, lengths if padded else None)
    context, weights, scores, _ = attention(queries, memory)
    for t in range(steps):
        for b, length in enumerate(lengths):
            h = queries[t, b].tolist()
            exps = [
                math.exp(plain_score(attention, h, values[b, s].tolist())) for s in range(length)
            ]
            wanted = [e / sum(exps) for e in exps]
            assert weights[t, b].tolist() == pytest.approx(wanted + [0.0] * (places - length))
            assert scores[t, b].isinf().sum() == places - length
            for i in range(HIDDEN):
                mean = sum(a * float(values[b, s, i]) for s, a in enumerate(wanted))
                assert context[t, b, i].item() == pytest.approx(mean)


@pytest.mark.parametrize("score", SCORES)
def test_gradients_pass_finite_differences(score: str) -> None:
    torch.manual_seed(0)
    leaves = [
        torch.randn(2, size, HIDDEN, dtype=torch.float64, requires_grad=True) for size in (2, 3)
    ]
    attention, memory = make(score, leaves[1], [3, 2])

    def context(queries: Tensor, values: Tensor, *_: Tensor) -> Tensor:
        keys = attention.keys(values)
        return attention.forward(queries, Memory(values, keys, memory.inside, None)).context

    # gradcheck moves the entries of the parameters themselves
    assert torch.autograd.gradcheck(context, (*leaves, *attention.parameters()))


def test_no_place_outside_the_source_gets_a_weight_however_high_its_score() -> None:
    values = torch.tensor([[[1.0] * HIDDEN, [1e4] * HIDDEN]], dtype=torch.float64)
    attention, memory = make("dot", values, [1])
    glimpse = attention(torch.ones(3, 1, HIDDEN, dtype=torch.float64), memory)
    assert glimpse.weights.tolist() == [[[1.0, 0.0]]] * 3
    assert glimpse.context.tolist() == [[[1.0] * HIDDEN]] * 3


def test_another_score_is_refused_by_name() -> None:
    with pytest.raises(CharseqError, match="no 'cosine'; choose one of dot, general, additive"):
        Attention("cosine", HIDDEN)

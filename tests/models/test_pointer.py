"""The pointer: what is generated and what is copied are one distribution."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_seq2seq import HIDDEN, TARGETS
from torch import Tensor

from charseq.models.pointer import Pointer


def run_pointer(scores: Tensor, copies: list[list[int]], dtype: torch.dtype) -> Tensor:
    torch.manual_seed(0)
    pointer = Pointer(HIDDEN, 3).to(dtype)
    steps, batch = scores.shape[:2]
    log_p: Tensor = pointer(
        torch.randn(steps, batch, TARGETS, dtype=dtype),
        torch.randn(steps, batch, 2 * HIDDEN, dtype=dtype),
        torch.randn(steps, batch, 3, dtype=dtype),
        scores.to(dtype),
        torch.tensor(copies),
    )
    return log_p


@given(data=st.data())
@settings(max_examples=40)
def test_what_is_generated_and_what_is_copied_add_up_to_one(data: st.DataObject) -> None:
    places = data.draw(st.integers(1, 5))
    ids = st.lists(st.integers(-1, TARGETS - 1), min_size=places, max_size=places)
    copies = data.draw(st.lists(ids, min_size=2, max_size=2))
    torch.manual_seed(data.draw(st.integers(0, 1000)))
    p = run_pointer(10 * torch.randn(3, 2, places), copies, torch.float64).exp()
    torch.testing.assert_close(p.sum(-1), torch.ones(3, 2).double(), rtol=1e-12, atol=0)


def test_a_place_without_a_target_symbol_is_not_copied_however_much_attention_it_has() -> None:
    scores = torch.tensor([[[500.0, 1.0, 1.0], [500.0, 1.0, 1.0]]])
    p = run_pointer(scores, [[-1, 2, 3], [-1, -1, -1]], torch.float32).exp()
    nothing = run_pointer(scores, [[-1, -1, -1], [-1, -1, -1]], torch.float32).exp()
    torch.testing.assert_close(p[0, 1], nothing[0, 1])  # the other source is as it was
    gained = (p - nothing)[0, 0]
    assert (gained > 0).tolist() == [False, False, True, True, False]
    # what was the vocabulary's is shared out: half of p_copy to each of the two
    p_gen = (p / nothing)[0, 0, 0]
    torch.testing.assert_close(p[0, 0, 2:4], p_gen * nothing[0, 0, 2:4] + (1 - p_gen) / 2)


def test_a_symbol_that_neither_way_predicts_has_a_finite_loss_and_gradient() -> None:
    """exp(-200) is zero in float32, its logarithm is not infinite here."""
    pointer = Pointer(1, 1)
    logits = torch.tensor([[[200.0, 0.0]]], requires_grad=True)
    scores = torch.zeros(1, 1, 1, requires_grad=True)
    zero = torch.zeros(1, 1, 2)
    log_p = pointer(logits, zero, torch.zeros(1, 1, 1), scores, torch.tensor([[0]]))
    log_p[0, 0, 1].backward()
    assert log_p[0, 0, 1].item() == pytest.approx(-200 + np.log(0.5))
    assert logits.grad is not None
    assert logits.grad.flatten().tolist() == pytest.approx([-1.0, 1.0])

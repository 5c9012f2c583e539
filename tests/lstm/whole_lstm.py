"""An LSTM of several layers under every backend, its inputs and all of its gradients."""

from typing import Any

import pytest
import torch
from torch import Tensor

from charseq.lstm.layer import LSTM

FUSED = pytest.param("fused", marks=pytest.mark.kernel)
DERIVED = ["manual", FUSED]  # with a backward pass that autograd has not made
EVERY = ["reference", "torch", *DERIVED]


def inputs(lstm: LSTM, steps: int, batch: int, seed: int = 0) -> tuple[Tensor, Any]:
    generator = torch.Generator().manual_seed(seed)
    like = lstm.get_parameter("weight_hh_l0")
    shape = (lstm.num_layers * (2 if lstm.bidirectional else 1), batch, lstm.hidden_size)

    def draw(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64).to(like.dtype)

    return draw(steps, batch, lstm.input_size), (draw(*shape), draw(*shape))


def all_gradients(lstm: LSTM, x: Tensor, state: Any, lengths: Tensor | None) -> dict[str, Tensor]:
    """Every gradient, under a random gradient on the outputs and on the final state."""
    leaves = {"h_0": state[0].clone(), "c_0": state[1].clone()}
    if x.is_floating_point():
        leaves["x"] = x.clone()
    for leaf in leaves.values():
        leaf.requires_grad_()
    output, final = lstm(leaves.get("x", x), (leaves["h_0"], leaves["c_0"]), lengths)
    generator = torch.Generator().manual_seed(99)
    results = (output, *final)
    loss = sum(
        (torch.randn(r.shape, generator=generator, dtype=torch.float64).to(r.dtype) * r).sum()
        for r in results
    )
    wanted = leaves | dict(lstm.named_parameters())
    assert isinstance(loss, Tensor)
    return dict(zip(wanted, torch.autograd.grad(loss, list(wanted.values())), strict=True))


def make(backend: str, bidirectional: bool = False, layers: int = 2, **kwargs: Any) -> LSTM:
    torch.manual_seed(7)
    lstm = LSTM(
        5, 4, layers, bidirectional=bidirectional, backend=backend, forget_bias=0.5, **kwargs
    )
    return lstm.double()

"""Training under ``torch.autocast``, as ``train.precision: bf16`` has it on a GPU: tried on a CPU.

What is kept is float32, and no gradient is further from float32's than bfloat16's eight bits make
it.
"""

from typing import Any

import pytest
import torch
from small_seq2seq import COPIES, PAIRS, gradients, make, make_batch
from torch import nn

from charseq.errors import CharseqError
from charseq.lstm.layer import LSTM
from charseq.models.language_model import LanguageModel
from charseq.text.corpus import Batch


def use_bfloat16(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, LSTM):
            module.bfloat16_products = True


def error(found: dict[str, torch.Tensor], exact: dict[str, torch.Tensor]) -> float:
    """Of all gradients together, relative."""
    assert all(one.dtype == torch.float32 for one in found.values())
    one, other = (torch.cat([g.flatten() for g in some.values()]) for some in (found, exact))
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("backend", ["torch", "manual", "reference"])
@pytest.mark.parametrize(
    "options",
    [
        {"attention": "none"},
        {"attention": "dot"},
        {"attention": "general", "copy_table": COPIES},
        {"attention": "general", "input_feeding": True, "coverage": True},
        {"attention": "additive", "coverage": True, "embedding_size": 3},
        {"attention": "monotonic"},
        {"attention": "monotonic", "copy_table": COPIES, "bidirectional": False},
        {"scheduled_sampling": 0.5},
        {"zoneout": 0.1},
    ],
    ids=str,
)
def test_pairs(backend: str, options: dict[str, Any]) -> None:
    if "zoneout" in options and backend == "torch":
        backend = "manual"  # as auto means on a GPU
    model = make(scale=0.5, backend=backend, **options).float().train()
    batch = make_batch(PAIRS)
    torch.manual_seed(1)
    loss, symbols, _ = model.loss(batch)
    exact = gradients(model, loss / symbols)
    use_bfloat16(model)
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        rounded, _, _ = model.loss(batch)
    assert rounded.dtype == torch.float32
    assert 0 < abs((rounded / loss - 1).item()) < 1e-2
    assert error(gradients(model, rounded / symbols), exact) < 5e-2


@pytest.mark.parametrize("backend", ["torch", "manual", "reference"])
def test_a_text_with_the_state_carried_on(backend: str) -> None:
    torch.manual_seed(0)
    model = LanguageModel(6, 8, 2, backend=backend).train()
    ids = torch.randint(6, (11, 3)).numpy()
    first = Batch(ids[:5], ids[1:6], starts_epoch=True)
    second = Batch(ids[5:10], ids[6:], starts_epoch=False)

    def losses() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        _, _, state = model.loss(first, None)
        assert [part.dtype for part in state] == [torch.float32] * 2
        loss, _, _ = model.loss(second, state)
        parameters = dict(model.named_parameters())
        found = torch.autograd.grad(loss, list(parameters.values()))
        return loss, dict(zip(parameters, found, strict=True))

    loss, exact = losses()
    use_bfloat16(model)
    with torch.autocast("cpu", torch.bfloat16):
        rounded, found = losses()
    assert 0 < abs((rounded / loss - 1).item()) < 1e-2
    assert error(found, exact) < 5e-2


def test_a_state_that_is_no_pair_is_refused_as_without() -> None:
    lstm, x = LSTM(3, 4, 2, backend="manual"), torch.zeros(5, 2, 3)
    one = torch.zeros(2, 2, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert lstm(x, (one.bfloat16(), one.bfloat16()))[0].dtype == torch.float32
        for state in (one, (one, one, one), (one, one[:1])):
            with pytest.raises((CharseqError, ValueError)):
                lstm(x, state)

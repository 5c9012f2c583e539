"""The ladder of proofs on a GPU: what runs there equals the reference in float64 on the CPU."""

from typing import Any

import pytest
import torch
from torch import Tensor

from charseq.lstm.layer import LSTM

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def make(backend: str, bidirectional: bool) -> LSTM:
    torch.manual_seed(7)
    lstm = LSTM(5, 33, 2, bidirectional=bidirectional, backend=backend, forget_bias=0.5)
    return lstm.double()


def run(lstm: LSTM, x: Tensor, lengths: Tensor | None) -> dict[str, Tensor]:
    """Outputs, final states and every gradient, on the CPU."""
    device = next(lstm.parameters()).device
    generator = torch.Generator().manual_seed(1)
    directions = 2 if lstm.bidirectional else 1

    def draw(*size: int) -> Tensor:
        dtype = next(lstm.parameters()).dtype
        return torch.randn(*size, generator=generator, dtype=torch.float64).to(device, dtype)

    leaves = {
        name: draw(lstm.num_layers * directions, 4, 33).requires_grad_() for name in ("h_0", "c_0")
    }
    x = x.to(device)
    if x.is_floating_point():
        x = leaves["x"] = x.to(next(lstm.parameters()).dtype).clone().requires_grad_()
    long = None if lengths is None else lengths.to(device)
    output, (h, c) = lstm(x, (leaves["h_0"], leaves["c_0"]), long)
    results = {"output": output, "h_n": h, "c_n": c}
    loss = torch.stack([(draw(*part.shape) * part).sum() for part in results.values()]).sum()
    wanted: dict[str, Any] = leaves | dict(lstm.named_parameters())
    gradients = torch.autograd.grad(loss, list(wanted.values()))
    found = results | {f"d_{name}": g for name, g in zip(wanted, gradients, strict=True)}
    return {name: tensor.detach().cpu() for name, tensor in found.items()}


@pytest.mark.parametrize("backend", ["auto", "manual", "reference", "torch"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [None, [6, 1, 4, 6]])
@pytest.mark.parametrize("ids", [False, True])
def test_results_and_gradients_are_those_of_the_reference_on_the_cpu(
    backend: str, bidirectional: bool, lengths: list[int] | None, ids: bool
) -> None:
    generator = torch.Generator().manual_seed(3)
    x = (
        torch.randint(5, (6, 4), generator=generator)
        if ids
        else torch.randn(6, 4, 5, generator=generator, dtype=torch.float64)
    )
    long = None if lengths is None else torch.tensor(lengths)
    wanted = run(make("reference", bidirectional), x, long)
    found = run(make(backend, bidirectional).cuda(), x, long)
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-9, atol=1e-11, msg=name)


@pytest.mark.parametrize("backend", ["auto", "manual"])
def test_float32_is_at_most_twice_as_far_from_float64_as_cudnn(backend: str) -> None:
    x = torch.randn(40, 4, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    exact = run(make("reference", False), x, None)
    ours = run(make(backend, False).float().cuda(), x, None)
    theirs = run(make("torch", False).float().cuda(), x, None)
    for name, tensor in exact.items():
        error, allowed = ((one[name].double() - tensor).norm() for one in (ours, theirs))
        assert error <= 2 * allowed + 1e-6 * tensor.norm(), name


def test_auto_on_a_gpu_is_the_kernel_of_torch_and_never_the_one_of_the_cpu() -> None:
    assert LSTM(5, 4).resolve_backend(torch.device("cuda")) == "torch"

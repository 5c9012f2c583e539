"""Zoneout: units that keep their cell state, by every backend, in training and afterwards."""

from functools import partial

import pytest
import torch
from one_layer import Problem, draw, results, truth
from torch import Tensor, nn

from charseq.errors import CharseqError
from charseq.inference.torch_stream import open_stream
from charseq.lstm import fused, manual, reference
from charseq.lstm.cell import step
from charseq.lstm.layer import LSTM, Backend, either_way
from charseq.lstm.stream import Stream
from charseq.models.language_model import LanguageModel

FUSED = pytest.param("fused", marks=pytest.mark.kernel)
BACKENDS = ["manual", "reference", FUSED]


def of_torch(
    x: Tensor, h: Tensor, c: Tensor, cell: nn.LSTMCell, u: Tensor
) -> tuple[Tensor, Tensor]:
    """The equation by hand around torch's own cell, of which o is had back."""
    h_new, c_new = cell(x, (h, c))
    o = h_new / c_new.tanh()
    c_t = u * c_new + (1 - u) * c
    return o * c_t.tanh(), c_t


@pytest.mark.parametrize("u", [torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0]), torch.full((5,), 0.7)])
def test_a_step_is_torchs_with_a_part_of_the_cell_state_kept(u: Tensor) -> None:
    torch.manual_seed(0)
    cell = nn.LSTMCell(3, 5).double()
    nn.init.zeros_(cell.bias_hh)
    x, h, c = (torch.randn(2, size, dtype=torch.float64) for size in (3, 5, 5))
    wanted = of_torch(x, h, c, cell, u.double())
    *found, _ = step(x, (h, c), cell.weight_ih, cell.weight_hh, cell.bias_ih, u.double())
    torch.testing.assert_close(tuple(found), wanted)
    kept = u == 0
    assert torch.equal(found[1][:, kept], c[:, kept])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("backend", ["manual", FUSED])
def test_every_result_and_gradient_is_that_of_the_reference_one_sequence_at_a_time(
    backend: str, reverse: bool, ids: bool, training: bool
) -> None:
    run = fused.lstm if backend == "fused" else either_way(manual.lstm)
    problem = draw(
        7,
        4,
        33,
        6,
        ids=ids,
        lengths=[7, 1, 4, 6],
        reverse=reverse,
        zoneout=0.3,
        training=training,
    )
    found = results(run, problem)
    for name, wanted in truth(problem).items():
        torch.testing.assert_close(found[name], wanted, rtol=1e-10, atol=1e-11, msg=name)
    without = truth(problem.replace(update=1.0))
    assert not torch.allclose(found["output"], without["output"])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("backend", ["manual", "reference", FUSED])
def test_it_passes_finite_differences(backend: str, training: bool) -> None:
    backends: dict[str, Backend] = {"manual": manual.lstm, "reference": reference.lstm}
    run = backends.get(backend, fused.lstm)
    problem = draw(4, 2, 3, 2, zoneout=0.4, training=training)

    def of_leaves(*leaves: Tensor) -> tuple[Tensor, ...]:
        x, h_0, c_0, *weights = leaves
        return run(x, (h_0, c_0), *weights, None, problem.update)

    leaves = [leaf.requires_grad_() for leaf in problem.leaves().values()]
    assert torch.autograd.gradcheck(of_leaves, leaves)


@pytest.mark.kernel("avx512_bf16")
def test_products_of_bfloat16_go_with_it() -> None:
    problem = draw(9, 5, 40, 7, zoneout=0.5, training=True)
    problem = problem.map(Tensor.float)
    found = results(partial(fused.lstm, bfloat16=True), problem)
    for name, wanted in truth(problem).items():
        error = (found[name] - wanted).norm() / wanted.norm()
        assert 0 < error < 0.02, name


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_draws_and_evaluation_takes_the_mean(backend: str) -> None:
    """One layer, one step: the cell state is the old one, or the new one; afterwards in between."""
    torch.manual_seed(0)
    lstm = LSTM(3, 400, zoneout=0.3, backend=backend)
    plain = LSTM(3, 400, backend=backend)
    plain.load_state_dict(lstm.state_dict())
    state = (torch.zeros(1, 10, 400), torch.randn(1, 10, 400))
    ids = torch.randint(3, (1, 10))
    _, (_, new) = plain(ids, state)
    _, (_, drawn) = lstm(ids, state)
    kept = (drawn - state[1]).abs() < 1e-6
    torch.testing.assert_close(drawn[~kept], new[~kept])
    assert kept.float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert not torch.equal(kept[0, 0], kept[0, 1])  # each unit of each sequence by itself
    lstm.eval()
    _, (_, mean) = lstm(ids, state)
    torch.testing.assert_close(mean, 0.7 * new + 0.3 * state[1])
    assert "zoneout=0.3" in repr(lstm)


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_step_at_a_time_is_the_whole_sequence(backend: str) -> None:
    torch.manual_seed(0)
    lstm = LSTM(3, 7, 2, zoneout=0.3, backend=backend).double().eval()
    ids = torch.randint(3, (5, 2))
    output, state = lstm(ids)
    now = lstm.zero_state(2)
    first = (now[0][0], now[1][0])
    for ids_t, wanted in zip(ids, output, strict=True):
        first = lstm.cell(0)(ids_t, first)[:2]
        found, now, _ = lstm.step(ids_t, now)
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(first[1], now[1][0])
    torch.testing.assert_close(now, state)


@pytest.mark.kernel
def test_what_the_kernel_writes_with_it_is_what_the_model_predicts() -> None:
    torch.manual_seed(0)
    model = LanguageModel(6, 40, 2, zoneout=0.4, backend="reference").double().eval()
    stream = open_stream(model)
    assert isinstance(stream, Stream)
    ids = torch.randint(6, (20,))
    with torch.no_grad():
        logits, _ = model(ids[:, None])
    for symbol, wanted in zip(ids.numpy(), logits[:, 0], strict=True):
        stream.read(symbol[None])
        torch.testing.assert_close(torch.from_numpy(stream.logits), wanted, rtol=0, atol=1e-12)


def test_the_kernel_of_torch_is_refused_in_words() -> None:
    with pytest.raises(CharseqError, match="backend 'torch' has no zoneout"):
        LSTM(3, 3, zoneout=0.1, backend="torch")
    with pytest.raises(CharseqError, match="zoneout must be at least 0 and below 1"):
        LSTM(3, 3, zoneout=1.0)
    assert LSTM(3, 3, zoneout=0.1).resolve_backend(torch.device("cuda")) == "manual"
    assert LSTM(3, 3).resolve_backend(torch.device("cuda")) == "torch"


def test_a_problem_has_what_it_says() -> None:
    problem: Problem = draw(3, 2, 4, 5, zoneout=0.5, training=True)
    assert isinstance(problem.update, Tensor)
    assert set(problem.update.flatten().tolist()) == {0.0, 1.0}

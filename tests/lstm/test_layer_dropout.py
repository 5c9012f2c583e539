"""What an LSTM drops in training: outputs between layers, inputs, recurrent weights."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from whole_lstm import EVERY, all_gradients, inputs, make

from charseq.lstm.layer import LSTM


@pytest.fixture
def dropped() -> Iterator[Tensor]:
    """What layer 2 sees of a first layer whose output is constant, under dropout 0.5."""
    seen: list[Tensor] = []
    torch.manual_seed(0)
    lstm = LSTM(3, 64, 2, dropout=0.5, locked_dropout=True, backend="manual")
    from charseq.lstm import layer

    real = layer.BACKENDS["manual"]

    def spy(x: Tensor, *rest: Any, **options: Any) -> Any:
        seen.append(x)
        return real(x, *rest, **options)

    layer.BACKENDS["manual"] = spy
    try:
        lstm(torch.zeros(9, 2, dtype=torch.int64))
        yield seen[1]
    finally:
        layer.BACKENDS["manual"] = real


def test_locked_dropout_drops_the_same_units_at_every_time_step(dropped: Tensor) -> None:
    kept = dropped != 0
    assert (kept == kept[0]).all()
    assert 0.3 < kept[0].float().mean() < 0.7
    assert not (kept[0, 0] == kept[0, 1]).all()  # each sequence has its own mask


@pytest.mark.parametrize("backend", EVERY)
def test_weight_drop_is_one_mask_a_call_on_every_recurrent_matrix(backend: str) -> None:
    """A call in training is one in evaluation with the drawn weights, at all time steps."""
    torch.manual_seed(0)
    lstm = LSTM(3, 30, 2, bidirectional=True, weight_drop=0.25, backend=backend)
    ids = torch.randint(3, (6, 2))
    torch.manual_seed(1)
    drawn = lstm.draw_weights()
    torch.manual_seed(1)
    output, state = lstm(ids)
    twin = LSTM(3, 30, 2, bidirectional=True, backend=backend)
    twin.load_state_dict(lstm.state_dict())
    suffixes = ["l0", "l0_reverse", "l1", "l1_reverse"]
    for name, (w_ih, w_hh, bias) in zip(suffixes, drawn, strict=True):
        whole = lstm.get_parameter(f"weight_hh_{name}")
        dropped = w_hh == 0
        assert dropped.double().mean().item() == pytest.approx(0.25, abs=0.03)
        torch.testing.assert_close(w_hh[~dropped], whole[~dropped] / 0.75)
        assert w_ih is lstm.get_parameter(f"weight_ih_{name}")
        assert bias is lstm.get_parameter(f"bias_ih_{name}")
        with torch.no_grad():
            twin.get_parameter(f"weight_hh_{name}").copy_(w_hh)
    torch.testing.assert_close((output, state), twin(ids))
    lstm.eval()
    assert all(
        torch.equal(w, lstm.get_parameter(f"weight_hh_{name}"))
        for name, (_, w, _) in zip(suffixes, lstm.draw_weights(), strict=True)
    )


@pytest.mark.parametrize("backend", EVERY)
def test_the_gradient_reaches_only_the_weights_that_were_kept(backend: str) -> None:
    lstm = make(backend, layers=1, weight_drop=0.5)
    drawn = []
    real = lstm.draw_weights

    def spy() -> Any:
        drawn.append(real())
        return drawn[-1]

    lstm.draw_weights = spy  # type: ignore[method-assign]
    x, state = inputs(lstm, 6, 3)
    gradient = all_gradients(lstm, x, state, None)["weight_hh_l0"]
    assert len(drawn) == 1
    kept = drawn[0][0][1] != 0
    assert 0 < kept.sum() < kept.numel()
    assert torch.equal(gradient != 0, kept)


@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_input_dropout_of_ids_is_that_of_their_one_hot_vectors(
    backend: str, bidirectional: bool
) -> None:
    """Dropped symbols are rows of zeros, the others rows of 1 / (1 - p): outputs and gradients."""
    lstm = make(backend, bidirectional, layers=2, input_dropout=0.4)
    plain = make(backend, bidirectional, layers=2)
    ids = torch.randint(5, (20, 3), generator=torch.Generator().manual_seed(1))
    _, state = inputs(lstm, 20, 3)
    lengths = torch.tensor([20, 1, 13])
    torch.manual_seed(5)
    dropped = lstm.drop_input(ids, lstm.draw_weights())[0] == 5
    assert 0.2 < dropped.double().mean() < 0.6
    one_hot = torch.nn.functional.one_hot(ids, 5).double()
    one_hot = torch.where(dropped[:, :, None], 0.0, one_hot / 0.6)
    torch.manual_seed(5)
    torch.testing.assert_close(lstm(ids, state, lengths), plain(one_hot, state, lengths))
    torch.manual_seed(5)
    found = all_gradients(lstm, ids, state, lengths)
    wanted = all_gradients(plain, one_hot, state, lengths)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-11, atol=1e-12, msg=name)
    lstm.eval()
    assert torch.equal(lstm(ids, state)[0], plain(ids, state)[0])


@pytest.mark.parametrize("locked", [False, True])
def test_input_dropout_of_features_may_be_locked_in_time(locked: bool) -> None:
    lstm = LSTM(50, 4, input_dropout=0.5, locked_dropout=locked)
    x, weights = lstm.drop_input(torch.ones(9, 4, 50), lstm.draw_weights())
    assert weights[0][0] is lstm.get_parameter("weight_ih_l0")
    assert set(x.flatten().tolist()) == {0.0, 2.0}
    assert bool((x == x[:1]).all()) == locked

"""Rungs 1, 2, 4 and 5 of the ladder of proofs: the LSTM against torch.nn.LSTM and autograd."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from whole_lstm import DERIVED, EVERY, all_gradients, inputs, make

from charseq.errors import CharseqError
from charseq.lstm.layer import LSTM
from charseq.lstm.reference import lstm as reference_lstm

Run = tuple[Tensor, Tensor, Tensor]


def library_twin(ours: LSTM, **kwargs: Any) -> torch.nn.LSTM:
    """torch.nn.LSTM with the weights of ours, copied unpermuted; its second bias is zero."""
    twin = torch.nn.LSTM(
        ours.input_size,
        ours.hidden_size,
        ours.num_layers,
        bidirectional=ours.bidirectional,
        dtype=ours.get_parameter("weight_ih_l0").dtype,
        **kwargs,
    )
    missing, unexpected = twin.load_state_dict(ours.state_dict(), strict=False)
    assert not unexpected
    assert all(name.startswith("bias_hh") for name in missing)
    with torch.no_grad():
        for name in missing:
            twin.get_parameter(name).zero_()
    return twin


@given(shape=st.tuples(st.integers(1, 3), st.booleans()))
@settings(max_examples=6, deadline=None)
def test_an_lstm_of_torch_is_made_of_the_weights_and_back(shape: tuple[int, bool]) -> None:
    layers, bidirectional = shape
    lstm = make("manual", bidirectional, layers).eval()
    x, state = inputs(lstm, 4, 3)
    made = lstm.as_torch()
    assert not made.training
    torch.testing.assert_close(made(x, state)[0], lstm(x, state)[0])
    back = make("manual", bidirectional, layers)
    with torch.no_grad():
        for parameter in back.parameters():
            parameter.zero_()
    back.load_state_dict(made.state_dict())
    for name, parameter in lstm.named_parameters():
        assert torch.equal(back.get_parameter(name), parameter)
        assert made.get_parameter(name).data_ptr() != parameter.data_ptr()


def test_shapes_alone_can_be_computed() -> None:
    lstm = make("reference", True, 2).to("meta")
    output, (h, c) = lstm(torch.zeros(4, 3, 5, dtype=torch.float64, device="meta"))
    assert (output.shape, h.shape, c.shape) == ((4, 3, 8), (4, 3, 4), (4, 3, 4))


def run_library(twin: torch.nn.LSTM, x: Tensor, state: Any, lengths: Tensor | None) -> Run:
    if lengths is None:
        output, (h, c) = twin(x, state)
        return output, h, c
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    packed_output, (h, c) = twin(packed, state)
    output, _ = torch.nn.utils.rnn.pad_packed_sequence(packed_output, total_length=len(x))
    return output, h, c


shapes = st.tuples(st.integers(1, 7), st.integers(1, 4), st.integers(1, 3), st.booleans())


@pytest.mark.parametrize("backend", EVERY)
@given(shape=shapes, padded=st.booleans(), data=st.data())
@settings(max_examples=25, deadline=None)
def test_outputs_and_final_states_are_those_of_nn_lstm(
    backend: str, shape: tuple[int, int, int, bool], padded: bool, data: st.DataObject
) -> None:
    steps, batch, layers, bidirectional = shape
    lstm = make(backend, bidirectional, layers)
    x, state = inputs(lstm, steps, batch)
    lengths = None
    if padded:
        drawn = data.draw(st.lists(st.integers(1, steps), min_size=batch, max_size=batch))
        lengths = torch.tensor(drawn)
    output, (h, c) = lstm(x, state, lengths)
    wanted = run_library(library_twin(lstm), x, state, lengths)
    torch.testing.assert_close((output, h, c), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", ["torch", *DERIVED])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [None, [6, 1, 4]])
@pytest.mark.parametrize("ids", [False, True])
def test_every_gradient_is_that_of_autograd_through_the_reference(
    backend: str, bidirectional: bool, lengths: list[int] | None, ids: bool
) -> None:
    lstm, reference = make(backend, bidirectional), make("reference", bidirectional)
    x, state = inputs(lstm, 6, 3)
    if ids:
        x = torch.randint(5, (6, 3), generator=torch.Generator().manual_seed(1))
    long = None if lengths is None else torch.tensor(lengths)
    ours, wanted = all_gradients(lstm, x, state, long), all_gradients(reference, x, state, long)
    assert set(ours) == {"h_0", "c_0", *([] if ids else ["x"]), *dict(lstm.named_parameters())}
    for name, gradient in ours.items():
        assert gradient.abs().max() > 1e-4, f"{name} is zero: it would pass any comparison"
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-10, atol=1e-12, msg=name)


@pytest.mark.parametrize("backend", DERIVED)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_never_reaches_a_result_or_a_gradient(backend: str, bidirectional: bool) -> None:
    """A batch of mixed lengths gives each sequence exactly what it gets alone."""
    lstm = make(backend, bidirectional)
    lengths = [6, 1, 4]
    x, state = inputs(lstm, 6, 3)
    poisoned = x.clone()
    for column, length in enumerate(lengths):
        poisoned[length:, column] = 1e6
    output, (h, c) = lstm(poisoned, state, torch.tensor(lengths))
    for column, length in enumerate(lengths):
        alone = slice(column, column + 1)
        out_alone, (h_alone, c_alone) = lstm(
            x[:length, alone], (state[0][:, alone], state[1][:, alone])
        )
        torch.testing.assert_close(output[:length, alone], out_alone, rtol=0, atol=1e-14)
        torch.testing.assert_close(h[:, alone], h_alone, rtol=0, atol=1e-14)
        torch.testing.assert_close(c[:, alone], c_alone, rtol=0, atol=1e-14)
        assert (output[length:, column] == 0).all()
    clean, dirty = (all_gradients(lstm, q, state, torch.tensor(lengths)) for q in (x, poisoned))
    for name, gradient in clean.items():
        torch.testing.assert_close(dirty[name], gradient, rtol=0, atol=1e-14, msg=name)


@pytest.mark.parametrize("backend", EVERY)
def test_ids_are_one_hot_vectors(backend: str) -> None:
    lstm = make(backend)
    ids = torch.randint(5, (6, 3), generator=torch.Generator().manual_seed(3))
    one_hot = torch.nn.functional.one_hot(ids, 5).double()
    torch.testing.assert_close(lstm(ids), lstm(one_hot), rtol=1e-14, atol=1e-14)
    _, state = inputs(lstm, 6, 3)
    by_id, by_product = (all_gradients(lstm, q, state, None) for q in (ids, one_hot))
    for name, gradient in by_id.items():
        torch.testing.assert_close(gradient, by_product[name], rtol=1e-12, atol=1e-13, msg=name)


@pytest.mark.parametrize("derived", DERIVED)
@pytest.mark.parametrize("size", [(20, 8, 24), (60, 5, 96)])
def test_float32_is_at_most_twice_as_far_from_float64_as_the_kernel_of_torch(
    derived: str, size: tuple[int, int, int]
) -> None:
    steps, batch, hidden = size
    errors = {}
    for backend in (derived, "torch"):
        worst: dict[str, float] = {}
        for seed in range(3):
            torch.manual_seed(seed)
            exact = LSTM(5, hidden, 2, backend="reference", forget_bias=1.0).double()
            rounded = LSTM(5, hidden, 2, backend=backend)
            rounded.load_state_dict(exact.state_dict())
            exact.load_state_dict(rounded.state_dict())  # the very same weights
            x, state = inputs(rounded, steps, batch, seed)
            wanted = all_gradients(exact, x.double(), (state[0].double(), state[1].double()), None)
            found = all_gradients(rounded, x, state, None)
            for name, gradient in wanted.items():
                error = (found[name].double() - gradient).norm() / gradient.norm()
                worst[name] = max(worst.get(name, 0.0), error.item())
        errors[backend] = worst
    for name, error in errors[derived].items():
        assert 0 < error <= 2 * errors["torch"][name], name


@pytest.mark.parametrize("backend", DERIVED)
def test_a_derived_backward_pass_passes_finite_differences(backend: str) -> None:
    """Rung 3: torch.autograd.gradcheck, float64, both directions, padded and not."""
    lstm = make(backend, bidirectional=True)
    names = [name for name, _ in lstm.named_parameters()]
    x, state = inputs(lstm, 3, 2)
    for lengths in (None, torch.tensor([3, 2])):

        def outputs(
            x: Tensor, h: Tensor, c: Tensor, *weights: Tensor, lengths: Tensor | None = lengths
        ) -> Run:
            parameters = dict(zip(names, weights, strict=True))
            output, (h_n, c_n) = torch.func.functional_call(lstm, parameters, (x, (h, c), lengths))
            return output, h_n, c_n

        leaves = [leaf.clone().requires_grad_() for leaf in (x, *state)]
        assert torch.autograd.gradcheck(outputs, (*leaves, *lstm.parameters()))


@pytest.mark.parametrize("backend", EVERY)
def test_ids_may_be_stored_in_a_byte(backend: str) -> None:
    lstm = make(backend)
    ids = torch.tensor([[0, 4], [2, 1]])
    assert torch.equal(lstm(ids)[0], lstm(ids.to(torch.uint8))[0])


@pytest.mark.parametrize("backend", EVERY)
def test_one_step_at_a_time_is_the_whole_sequence(backend: str) -> None:
    lstm = make(backend)
    ids = torch.randint(5, (6, 3), generator=torch.Generator().manual_seed(3))
    whole, final = lstm(ids)
    state = lstm.zero_state(3)
    for t, row in enumerate(ids):
        output, state, gates = lstm.step(row, state)
        torch.testing.assert_close(output, whole[t], rtol=1e-12, atol=1e-12)
        assert len(gates) == 2
    torch.testing.assert_close(state, final, rtol=1e-12, atol=1e-12)


def test_the_gates_explain_the_state() -> None:
    lstm = make("manual", layers=1)
    x, (h, c) = inputs(lstm, 1, 3)
    h_1, c_1, gates = lstm.cell(0)(x[0], (h[0], c[0]))
    torch.testing.assert_close(c_1, gates.f * c[0] + gates.i * gates.g)
    torch.testing.assert_close(h_1, gates.o * torch.tanh(c_1))
    w_ih, w_hh, b = (
        lstm.get_parameter(f"{kind}_l0")[4:8] for kind in ("weight_ih", "weight_hh", "bias_ih")
    )
    z_f = x[0] @ w_ih.T + h[0] @ w_hh.T + b
    torch.testing.assert_close(gates.f, 1 / (1 + torch.exp(-z_f)))


@pytest.mark.parametrize("backend", DERIVED)
def test_a_second_derivative_is_refused_in_words(backend: str) -> None:
    lstm = make(backend)
    output, _ = lstm(torch.zeros(2, 1, dtype=torch.int64))
    with pytest.raises(CharseqError, match="backend='reference'"):
        torch.autograd.grad(output.sum(), lstm.get_parameter("weight_hh_l0"), create_graph=True)


def test_the_forget_gate_starts_open() -> None:
    lstm = LSTM(3, 4, 2, forget_bias=1.5)
    for layer in (0, 1):
        bias = lstm.get_parameter(f"bias_ih_l{layer}")
        assert bias.view(4, 4).tolist() == [[0.0] * 4, [1.5] * 4, [0.0] * 4, [0.0] * 4]
    assert lstm.get_parameter("weight_hh_l1").abs().max() <= 0.5


@pytest.mark.kernel("avx512_bf16")
def test_products_are_of_bfloat16_in_training_and_only_there() -> None:
    torch.manual_seed(0)
    lstm = LSTM(5, 40, 2, bidirectional=True, backend="fused")
    x, state = inputs(lstm, 6, 3)
    exact = lstm(x, state)[0]
    lstm.bfloat16_products = True
    rounded = lstm(x, state)[0]
    assert 1e-4 < (rounded - exact).norm() / exact.norm() < 1e-2
    assert rounded.dtype == torch.float32
    lstm.eval()
    assert torch.equal(lstm(x, state)[0], exact)
    lstm.train()
    lstm.backend = "manual"  # has no such products
    torch.testing.assert_close(lstm(x, state)[0], exact, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m(torch.zeros(3, 2, 4)), "4 features, not 5"),
        (lambda m: m(torch.zeros(3, dtype=torch.int64)), "is not .T, B. ids"),
        (lambda m: m(torch.zeros(0, 2, 5)), "at least 1"),
        (lambda m: m(torch.zeros(3, 2, 5), (torch.zeros(2, 1, 4), torch.zeros(2, 2, 4))), "h_0"),
        (
            lambda m: m(torch.zeros(3, 2, 5), (torch.zeros(2, 2, 4).double(),) * 2),
            r"h_0 is torch\.float64, not torch\.float32",
        ),
        (lambda m: m(torch.zeros(3, 2, 5), None, torch.tensor([3])), "lengths"),
        (lambda m: m(torch.zeros(3, 2, 5), None, torch.tensor([4, 1])), "between 1 and T = 3"),
        (lambda m: m(torch.tensor([[9]])), "id 9 is not in 0 to 4"),
        (lambda m: m(torch.tensor([[-1]])), "id -1 is not in 0 to 4"),
        (lambda m: m(torch.tensor([[True]])), "torch.bool"),
        (lambda m: m(torch.zeros(3, 2, 5).double()), "torch.float64, not torch.float32"),
        (lambda m: LSTM(0, 3), "at least 1"),
        (lambda m: LSTM(3, 3, dropout=1.0), "LSTM: dropout must"),
        (lambda m: LSTM(3, 3, input_dropout=-0.1), "LSTM: input_dropout must .* not -0.1"),
        (lambda m: LSTM(3, 3, weight_drop=1.0), "LSTM: weight_drop must"),
        (lambda m: LSTM(3, 3, backend="cudnn"), "no backend 'cudnn'"),
    ],
)
def test_a_wrong_shape_is_named(call: Any, words: str) -> None:
    with pytest.raises(CharseqError, match=words):
        call(LSTM(5, 4, 2))


def test_reference_unrolls_over_one_hot_vectors_without_gathering() -> None:
    """The definition itself is checked against the equations, written once more by hand."""
    torch.manual_seed(0)
    w_ih, w_hh, b = torch.randn(8, 3).double(), torch.randn(8, 2).double(), torch.randn(8).double()
    h = c = torch.zeros(1, 2, dtype=torch.float64)
    ids = torch.tensor([[2], [0], [1]])
    output, _, _ = reference_lstm(ids, (h, c), w_ih, w_hh, b)
    for t, ident in enumerate([2, 0, 1]):
        z = w_ih[:, ident] + w_hh @ h[0] + b
        i, f, g, o = 1 / (1 + (-z[:2]).exp()), 1 / (1 + (-z[2:4]).exp()), z[4:6].tanh(), z[6:]
        c = f * c + i * g
        h = c.tanh() / (1 + (-o).exp())
        torch.testing.assert_close(output[t], h)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_weights_of_nn_lstm_can_be_loaded(bidirectional: bool) -> None:
    theirs = torch.nn.LSTM(3, 4, 2, bidirectional=bidirectional)
    ours = torch.nn.Sequential(LSTM(3, 4, 2, bidirectional=bidirectional))
    state = {f"0.{name}": tensor for name, tensor in theirs.state_dict().items()}
    ours.load_state_dict(state)
    assert any("bias_hh" in name for name in state)  # what was given is left alone
    x = torch.randn(5, 2, 3)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])


def test_what_is_no_tensor_and_no_size_is_told() -> None:
    with pytest.raises(CharseqError, match="input is list, not a tensor"):
        LSTM(3, 4)([[1, 2]])
    with pytest.raises(CharseqError, match="must be whole numbers"):
        LSTM(3, 4.5)  # type: ignore[arg-type]

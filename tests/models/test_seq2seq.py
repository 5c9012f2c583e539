"""The encoder-decoder against a plain one, its padding, its loss and its gradients."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_seq2seq import encode, plain_logits, plain_step
from torch import Tensor

from charseq.errors import CharseqError
from charseq.lstm.layer import Weights
from charseq.models.decoder_state import DecoderState
from charseq.models.pointer import Pointer
from charseq.models.seq2seq import Seq2Seq
from charseq.text.pair_batches import PairBatch, collate, pad
from charseq.text.pairs import Pairs
from charseq.text.ragged import Ragged

SOURCES, TARGETS, HIDDEN = 6, 5, 4
COPIES = [1, 2, 4, -1, 2, -1]  # two ways to write 2, two that cannot be copied
PAIRS = [([1, 2, 3, 4, 5], [2, 3]), ([4], [2, 2, 4]), ([3, 1, 5], []), ([2, 5], [4, 3, 2, 1])]

Pair = tuple[list[int], list[int]]


def make(seed: int = 0, scale: float = 1.5, **options: Any) -> Seq2Seq:
    """A small model in float64, in evaluation mode, with no weight at zero."""
    torch.manual_seed(seed)
    options = dict[str, Any](num_layers=2, forget_bias=0.5, backend="manual") | options
    model = Seq2Seq(SOURCES, TARGETS, HIDDEN, **options).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3).mul_(scale)
    return model


def make_batch(pairs: Sequence[Pair]) -> PairBatch:
    source, target = (Ragged.from_rows([pair[side] for pair in pairs]) for side in (0, 1))
    rows = np.arange(len(pairs))
    return collate(Pairs([], source, target, rows), rows)


def tensors(batch: PairBatch) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.from_numpy(batch.source),
        torch.from_numpy(batch.source_lengths),
        torch.from_numpy(batch.inputs),
    )


def gradients(model: Seq2Seq, loss: Tensor) -> dict[str, Tensor]:
    parameters = dict(model.named_parameters())
    found = torch.autograd.grad(loss, list(parameters.values()))
    return dict(zip(parameters, found, strict=True))


VARIANTS: list[dict[str, Any]] = [
    {"attention": "none", "bidirectional": False, "num_layers": 1},
    {"attention": "none", "bidirectional": True, "embedding_size": 3},
    *(
        {
            "attention": attention,
            "bidirectional": bidirectional,
            "num_layers": layers,
            "input_feeding": feeding,
        }
        for attention in ("dot", "general", "additive")
        for bidirectional in (False, True)
        for layers in (1, 2)
        for feeding in (False, True)
    ),
    {"attention": "general", "input_feeding": True, "embedding_size": 3},
    {"attention": "general", "copy_table": COPIES},
    {"attention": "dot", "copy_table": COPIES, "input_feeding": True},
    {"attention": "additive", "copy_table": COPIES, "embedding_size": 3},
    {"attention": "dot", "copy_table": [-1] * SOURCES},
    {"attention": "general", "coverage": True},
    {"attention": "additive", "coverage": True, "copy_table": COPIES, "input_feeding": True},
    {"attention": "monotonic"},
    {"attention": "monotonic", "bidirectional": False, "num_layers": 1, "embedding_size": 3},
    {"attention": "monotonic", "copy_table": COPIES},
    {"attention": "monotonic", "copy_table": COPIES, "embedding_size": 3},
]
of_every_variant = pytest.mark.parametrize(
    "options", VARIANTS, ids=lambda options: "-".join(map(str, options.values()))
)


@of_every_variant
def test_logits_are_those_of_a_plain_model(options: dict[str, Any]) -> None:
    """A padded batch against torch.nn.LSTM, LSTMCell and loops over one pair at a time."""
    model = make(**options)
    found = model(*tensors(make_batch(PAIRS)))
    for column, (source, target) in enumerate(PAIRS):
        wanted = plain_logits(model, source, target)
        torch.testing.assert_close(found[: len(wanted), column], wanted, rtol=1e-11, atol=1e-12)


@of_every_variant
def test_decoding_step_by_step_gives_the_logits_of_teacher_forcing(options: dict[str, Any]) -> None:
    model = make(**options)
    source, lengths, inputs = tensors(make_batch(PAIRS))
    whole = model(source, lengths, inputs)
    ids, state = model.begin(source, lengths)
    assert ids.tolist() == [0] * len(PAIRS)
    for t, row in enumerate(inputs):
        logits, state = model.step(row, state)
        torch.testing.assert_close(logits, whole[t], rtol=1e-11, atol=1e-12)
        if options["attention"] == "none":
            assert state.attention is None


@pytest.mark.parametrize(
    "options",
    [
        {"attention": "additive"},
        {"attention": "additive", "input_feeding": True},
        {"attention": "additive", "input_feeding": True, "coverage": True},
        {"attention": "monotonic"},
    ],
)
def test_several_hypotheses_of_a_source_are_decoded_side_by_side(options: dict[str, Any]) -> None:
    """Three of each source, then two others of two of the sources, each as if it were alone."""
    model = make(copy_table=COPIES, **options)
    source, lengths = (torch.from_numpy(part) for part in pad([pair[0] for pair in PAIRS]))
    _, state = model.begin(source, lengths)
    state = state.select(torch.arange(len(PAIRS)).repeat_interleave(3))
    written = torch.tensor([[0] * 12, [1, 2, 3, 4, 3, 2, 1, 1, 2, 2, 4, 3]])
    for ids in written:
        _, state = model.step(ids, state)
    rows = torch.tensor([11, 9, 5, 5])  # of the sources 3 and 1
    sources = [3, 3, 1, 1]
    logits, state = model.step(torch.tensor([2, 3, 4, 1]), state.select(rows, torch.tensor([3, 1])))
    assert state.attention is not None
    for row, last, source_of, read in zip(
        rows.tolist(), [2, 3, 4, 1], sources, range(4), strict=True
    ):
        symbols = [int(written[1, row]), last]
        wanted = plain_logits(model, PAIRS[source_of][0], symbols)[-1]
        torch.testing.assert_close(logits[read], wanted, rtol=1e-11, atol=1e-12)
        if options["attention"] == "monotonic":
            assert state.attention[read].sum().item() == pytest.approx(1.0)
            continue
        weights = plain_attention(model, PAIRS[source_of][0], symbols)
        padding = [0.0] * (len(source) - len(weights))
        assert state.attention[read].tolist() == pytest.approx(weights + padding, rel=1e-10)


def plain_attention(model: Seq2Seq, source: list[int], target: list[int]) -> list[float]:
    """The weights of the last step."""
    w = {name: p.detach() for name, p in model.named_parameters()}
    values, h, c = encode(w, source)
    feed = torch.zeros_like(h[-1])
    covered, weights = [0.0] * len(source), [0.0] * len(source)
    for ident in [0, *target]:
        covered = [a + b for a, b in zip(covered, weights, strict=True)]
        _, h, c, feed, weights = plain_step(w, model, source, values, ident, h, c, feed, covered)
    return weights


def test_selecting_rows_and_sources_takes_all_that_belongs_to_them() -> None:
    model = make(attention="additive", input_feeding=True, copy_table=COPIES)
    _, state = model.begin(*tensors(make_batch(PAIRS))[:2])
    _, state = model.step(torch.tensor([1, 2, 3, 4]), state)
    rows, sources = torch.tensor([2, 2, 0, 0]), torch.tensor([2, 0])
    taken = state.select(rows, sources)
    assert torch.equal(taken.h, state.h[:, [2, 2, 0, 0]])
    assert torch.equal(taken.c, state.c[:, [2, 2, 0, 0]])
    for name in ("feed", "attention"):
        assert torch.equal(getattr(taken, name), getattr(state, name)[[2, 2, 0, 0]])
    assert taken.memory is not None
    for part, whole in zip(taken.memory, state.memory or (), strict=True):
        assert part is not None
        assert whole is not None
        assert torch.equal(part, whole[[2, 0]])
    assert state.select(rows).memory is state.memory
    bare = DecoderState(state.h, state.c, None, None).select(rows, sources)
    assert (bare.feed, bare.memory, bare.attention) == (None, None, None)


symbols = st.integers(1, SOURCES - 1)
some_pairs = st.lists(
    st.tuples(
        st.lists(symbols, min_size=1, max_size=6),
        st.lists(st.integers(1, TARGETS - 1), max_size=5),
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize("backend", ["manual", "reference"])
@pytest.mark.parametrize(
    "options",
    [
        {"attention": "none"},
        {"attention": "general", "bidirectional": False},
        {"attention": "additive", "embedding_size": 3, "copy_table": COPIES},
        {"attention": "dot", "input_feeding": True, "copy_table": COPIES},
        {"attention": "general", "coverage": True, "copy_table": COPIES},
        {"attention": "monotonic", "copy_table": COPIES},
    ],
    ids=lambda options: options["attention"],
)
@given(pairs=some_pairs, smoothing=st.sampled_from([0.0, 0.2]))
@settings(max_examples=12)
def test_a_batch_gives_each_pair_what_it_gets_alone(
    backend: str, options: dict[str, Any], pairs: list[Pair], smoothing: float
) -> None:
    """Logits, loss, and the gradient of every parameter: that of the batch is the sum."""
    model = make(**options, backend=backend).train()
    batch = make_batch(pairs)
    together, count, _ = model.loss(batch, None, smoothing)
    logits = model(*tensors(batch))
    found = gradients(model, together)
    losses, wanted, counts = [], {name: torch.zeros_like(g) for name, g in found.items()}, 0
    for column, pair in enumerate(pairs):
        alone = make_batch([pair])
        loss, steps, _ = model.loss(alone, None, smoothing)
        torch.testing.assert_close(
            logits[:steps, column], model(*tensors(alone))[:, 0], rtol=1e-11, atol=1e-12
        )
        losses.append(loss.detach())
        counts += steps
        for name, gradient in gradients(model, loss).items():
            wanted[name] += gradient
    torch.testing.assert_close(together.detach(), torch.stack(losses).sum(), rtol=1e-12, atol=0)
    assert count == counts == sum(len(target) + 1 for _, target in pairs)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-9, atol=1e-12, msg=name)


@pytest.mark.parametrize(
    "options",
    [
        {"attention": "none"},
        {"attention": "general", "copy_table": COPIES},
        {"attention": "additive", "input_feeding": True, "embedding_size": 3},
        {"attention": "monotonic", "copy_table": COPIES},
    ],
    ids=lambda options: options["attention"],
)
def test_what_stands_in_the_padding_is_never_seen(options: dict[str, Any]) -> None:
    model = make(**options)
    clean, dirty = make_batch(PAIRS), make_batch(PAIRS)
    for column, (source, target) in enumerate(PAIRS):
        dirty.source[len(source) :, column] = SOURCES - 2  # a symbol that could be copied
        dirty.inputs[len(target) + 1 :, column] = 3
    results = []
    for batch in (clean, dirty):
        loss = model.loss(batch)[0]
        results.append((loss, gradients(model, loss), model.begin(*tensors(batch)[:2])[1]))
    (loss, grads, state), (other_loss, other_grads, other_state) = results
    assert loss.item() == other_loss.item()
    for name, gradient in grads.items():
        torch.testing.assert_close(other_grads[name], gradient, rtol=0, atol=1e-14, msg=name)
    assert torch.equal(state.h, other_state.h)


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_loss_is_the_smoothed_cross_entropy_of_the_target_and_its_end(
    copy: bool, smoothing: float
) -> None:
    model = make(copy_table=COPIES if copy else None)
    loss, count, state = model.loss(make_batch(PAIRS), None, smoothing)
    wanted = 0.0
    for source, target in PAIRS:
        p = plain_logits(model, source, target).softmax(-1)
        for row, right in zip(p.tolist(), [*target, 0], strict=True):
            even = -sum(np.log(row)) / TARGETS
            wanted += (1 - smoothing) * -np.log(row[right]) + smoothing * even
    assert loss.item() == pytest.approx(wanted, rel=1e-12)
    assert (count, state) == (13, None)


@pytest.mark.parametrize(
    "options",
    [
        {"attention": "general", "copy_table": COPIES, "num_layers": 1},
        {"attention": "additive", "input_feeding": True, "embedding_size": 3},
        {"attention": "none"},
        {"attention": "general", "coverage": True, "copy_table": COPIES, "num_layers": 1},
        {"attention": "monotonic", "copy_table": COPIES, "num_layers": 1},
    ],
    ids=lambda options: options["attention"],
)
def test_gradients_of_the_loss_pass_finite_differences(options: dict[str, Any]) -> None:
    model = make(**options, scale=1.0)
    batch = make_batch(PAIRS[:2])
    found = gradients(model, model.loss(batch, None, 0.1)[0])
    step = 6e-6
    for name, parameter in model.named_parameters():
        entries = parameter.detach().view(-1)
        wanted = torch.empty_like(entries)
        for place in range(len(entries)):
            sides = []
            for sign in (1, -1):
                entries[place] += sign * step
                with torch.no_grad():
                    sides.append(model.loss(batch, None, 0.1)[0].item())
                entries[place] -= sign * step
            wanted[place] = (sides[0] - sides[1]) / (2 * step)
        assert found[name].abs().max() > 1e-6, f"{name} is zero: it would pass any comparison"
        torch.testing.assert_close(found[name].reshape(-1), wanted, rtol=1e-6, atol=1e-8, msg=name)


# Copying


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


def test_a_symbol_that_neither_way_foresees_has_a_finite_loss_and_gradient() -> None:
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


# What is dropped in training


def test_nothing_is_dropped_outside_training() -> None:
    dropping = make(dropout=0.5, input_dropout=0.5, weight_drop=0.5, scheduled_sampling=1.0)
    plain = make()
    for model in (dropping, plain):
        with torch.no_grad():
            model.decoder.output.bias[0] = -50.0  # it foresees symbols, which could be sampled
    batch = make_batch(PAIRS)
    assert dropping.loss(batch)[0].item() == plain.loss(batch)[0].item()
    assert dropping.train().loss(batch)[0].item() != plain.loss(batch)[0].item()


def zero_inputs(model: Seq2Seq, factor: float = 0.0) -> None:
    """Multiply what reads the symbols, and nothing that reads the feed."""
    with torch.no_grad():
        model.decoder.lstm.get_parameter("weight_ih_l0")[:, : model.decoder.input_size] *= factor
        for name, parameter in model.encoder.lstm.named_parameters():
            if name.startswith("weight_ih_l0"):
                parameter.mul_(factor)


@pytest.mark.parametrize("feeding", [False, True])
@pytest.mark.parametrize("embedding_size", [None, 3])
def test_with_all_inputs_dropped_nothing_is_read(feeding: bool, embedding_size: int | None) -> None:
    options: dict[str, Any] = {"input_feeding": feeding, "embedding_size": embedding_size}
    model = make(input_dropout=1 - 1e-12, **options)
    batch = tensors(make_batch(PAIRS))
    usual, dropped = model(*batch), model.train()(*batch)
    zero_inputs(model)
    wanted = model.eval()(*batch)
    assert not torch.allclose(wanted, usual)
    torch.testing.assert_close(dropped, wanted)


@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_input_dropout_zeroes_whole_symbols_and_scales_the_rest(side: str) -> None:
    """With one-hot inputs a symbol is read as 0, or as 1 / (1 - p) = 4/3 of itself."""
    model = make(input_dropout=0.25, num_layers=1, bidirectional=side == "encoder")
    source, lengths = torch.full((1, 400), 2), None
    inputs = torch.zeros(1, 400, dtype=torch.int64)

    def run() -> Tensor:
        if side == "encoder":
            output: Tensor = model.encoder(source, lengths)[0][0]
            return output
        memory, (h, c) = make(num_layers=1, bidirectional=False).encode(source, lengths)
        logits: Tensor = model.decoder(inputs, memory, (h, c))[0]
        return logits

    model.train()
    found = run()
    model.eval()
    zero_inputs(model, 4 / 3)
    read = run()[0]
    zero_inputs(model, 0.0)
    zero = run()[0]
    is_read, is_zero = (torch.isclose(found, one).all(1) for one in (read, zero))
    assert (is_read ^ is_zero).all()
    assert is_zero.double().mean().item() == pytest.approx(0.25, abs=0.06)


@pytest.mark.parametrize("feeding", [False, True])
def test_one_draw_of_the_weight_drop_serves_all_steps_of_a_call(feeding: bool) -> None:
    """Two equal columns stay equal through all steps; a second call differs."""
    model = make(weight_drop=0.5, input_feeding=feeding, attention="dot").train()
    drawn = []
    real = model.decoder.lstm.draw_weights

    def spy() -> list[Weights]:
        drawn.append(real())
        return drawn[-1]

    model.decoder.lstm.draw_weights = spy  # type: ignore[method-assign]
    source, lengths, inputs = tensors(make_batch([PAIRS[0]] * 2))
    memory, state = model.encode(source, lengths)
    first = model.decoder(inputs, memory, state)
    assert len(drawn) == 1
    second = model.decoder(inputs, memory, state)
    assert not torch.allclose(first, second)
    with torch.no_grad():
        for layer, (_, w_hh, _) in enumerate(drawn[0]):
            model.decoder.lstm.get_parameter(f"weight_hh_l{layer}").copy_(w_hh)
    model.eval()
    torch.testing.assert_close(model.decoder(inputs, memory, state), first)


@pytest.mark.parametrize("feeding", [False, True])
def test_locked_dropout_is_one_mask_for_all_steps_and_differs_by_sequence(feeding: bool) -> None:
    """With input feeding the masks between the layers are made by the decoder itself."""
    torch.manual_seed(0)
    model = Seq2Seq(
        SOURCES,
        TARGETS,
        64,
        2,
        attention="dot",
        dropout=0.5,
        locked_dropout=True,
        input_feeding=feeding,
    )
    masks = model.decoder._masks(5, torch.ones(2, 3, 64))
    assert [len(of_step) for of_step in masks] == [1] * 5
    assert all(torch.equal(of_step[0], masks[0][0]) for of_step in masks)
    assert set(masks[0][0].flatten().tolist()) == {0.0, 2.0}
    assert not torch.equal(masks[0][0][0], masks[0][0][1])
    model.encoder.lstm.locked_dropout = model.decoder.lstm.locked_dropout = False
    masks = model.decoder._masks(5, torch.ones(2, 3, 64))
    assert not torch.equal(masks[0][0], masks[1][0])


def test_dropout_between_layers_with_input_feeding_is_that_without() -> None:
    """With weights of zero for the feed, and the same draws, both ways give the same."""
    plain, fed = (
        make(attention="dot", input_feeding=feeding, dropout=0.5, locked_dropout=True).train()
        for feeding in (False, True)
    )
    weights = dict(plain.named_parameters())
    wide = torch.zeros_like(fed.decoder.lstm.get_parameter("weight_ih_l0"))
    wide[:, :TARGETS] = weights["decoder.lstm.weight_ih_l0"].detach()
    with torch.no_grad():
        for name, parameter in fed.named_parameters():
            parameter.copy_(wide if name == "decoder.lstm.weight_ih_l0" else weights[name])
    results = []
    for model in (plain, fed):
        torch.manual_seed(3)
        results.append(model(*tensors(make_batch(PAIRS))))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("locked", [False, True])
def test_dropout_acts_on_the_memory_and_on_what_the_output_layer_reads(locked: bool) -> None:
    """With one layer there is nothing else that it could act on."""
    torch.manual_seed(0)
    model = Seq2Seq(SOURCES, TARGETS, 64, dropout=0.5, locked_dropout=locked)
    read: list[Tensor] = []
    model.decoder.output.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    source, lengths, inputs = tensors(make_batch([PAIRS[0]] * 4))
    plain, (h, _) = model.eval().encoder(source, lengths)
    memory, state = model.encode(source, lengths)
    dropped, (h_dropped, _) = model.train().encoder(source, lengths)
    assert torch.equal(h, h_dropped)
    for training in (False, True):
        model.decoder.train(training)(inputs, memory, state)
    for whole, part in ((plain, dropped), read):
        kept = part != 0
        torch.testing.assert_close(part[kept], 2 * whole[kept])
        assert kept.float().mean().item() == pytest.approx(0.5, abs=0.1)
        assert bool((kept == kept[:1]).all()) == locked


def test_scheduled_sampling_never_and_always() -> None:
    model = make(attention="general").train()
    with torch.no_grad():
        model.decoder.output.bias.copy_(torch.tensor([2.0, 0.0, 0.0, 0.0, 2.0]))
    source, lengths, inputs = tensors(make_batch(PAIRS))
    memory, state = model.encode(source, lengths)
    foreseen = model.decoder(inputs, memory, state).argmax(-1)
    assert (foreseen == 0).any()
    assert (foreseen > 0).any()
    model.scheduled_sampling = 0.0
    assert torch.equal(model._replace(inputs, memory, state), inputs)
    model.scheduled_sampling = 1.0
    found = model._replace(inputs, memory, state)
    assert torch.equal(found[0], inputs[0])
    for t in range(1, len(inputs)):
        for column in range(len(PAIRS)):
            guess = foreseen[t - 1, column]
            assert found[t, column] == (inputs[t, column] if guess == 0 else guess)
    batch = make_batch(PAIRS)
    loss, count, _ = model.loss(batch)
    targets = torch.from_numpy(batch.targets)
    wanted = torch.nn.functional.cross_entropy(
        model(source, lengths, found).flatten(0, 1), targets.flatten(), reduction="sum"
    )
    torch.testing.assert_close(loss, wanted)
    assert count == 13


def test_scheduled_sampling_replaces_at_its_rate() -> None:
    model = make(attention="none", scheduled_sampling=0.25).train()
    with torch.no_grad():
        model.decoder.output.bias[3] = 50.0  # it foresees nothing else
    inputs = torch.zeros(11, 400, dtype=torch.int64)
    memory, state = model.encode(torch.ones(2, 400, dtype=torch.int64), None)
    found = model._replace(inputs, memory, state)
    assert set(found[1:].flatten().tolist()) == {0, 3}
    assert (found[1:] == 3).double().mean().item() == pytest.approx(0.25, abs=0.03)


# How it begins, and what it refuses


def test_a_new_model_attends_by_likeness_and_starts_without_biases() -> None:
    model = Seq2Seq(SOURCES, TARGETS, 8, attention="general", forget_bias=1.5, backend="manual")
    assert model.decoder.attention is not None
    assert torch.equal(model.decoder.attention.query.weight, torch.eye(8))
    for name, parameter in model.named_parameters():
        if "lstm.bias" in name:
            assert set(parameter.tolist()) == {0.0, 1.5}
        elif name.endswith("bias"):
            assert (parameter == 0).all(), name
    assert (model.vocab_size, model.device, model.backend) == (
        TARGETS,
        torch.device("cpu"),
        "manual",
    )


def test_the_copy_table_is_no_weight() -> None:
    model = Seq2Seq(SOURCES, TARGETS, 8, copy_table=COPIES)
    assert "copy_table" not in model.state_dict()
    assert model.copy_table is not None
    assert model.copy_table.tolist() == COPIES


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hidden_size": 5}, "hidden_size 5 is odd"),
        ({"attention": "bilinear"}, "no attention 'bilinear'; choose one of none, dot"),
        ({"attention": "none", "input_feeding": True}, "input_feeding needs attention that weighs"),
        ({"attention": "none", "copy_table": COPIES}, "copy needs attention"),
        ({"copy_table": [1]}, "1 entries for 6 source ids"),
        ({"copy_table": [5, *COPIES[1:]]}, "not in -1 to 4"),
        ({"scheduled_sampling": 1.5}, "between 0 and 1, not 1.5"),
        ({"weight_drop": 1.0}, "weight_drop must be at least 0 and below 1"),
        ({"embedding_size": 0}, "input_size"),
    ],
)
def test_a_wrong_setting_is_named(options: dict[str, Any], words: str) -> None:
    options = {"hidden_size": 4} | options
    with pytest.raises(CharseqError, match=words):
        Seq2Seq(SOURCES, TARGETS, **options)

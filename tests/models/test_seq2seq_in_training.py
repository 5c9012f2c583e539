"""What a model of pairs does in training alone: it drops, and reads its own predictions."""

from typing import Any

import pytest
import torch
from small_seq2seq import (
    PAIRS,
    SOURCES,
    TARGETS,
    make,
    make_batch,
    tensors,
)
from torch import Tensor

from charseq.lstm.layer import Weights
from charseq.models.decoder import Decoder
from charseq.models.seq2seq import Seq2Seq


def test_nothing_is_dropped_outside_training() -> None:
    dropping = make(dropout=0.5, input_dropout=0.5, weight_drop=0.5, scheduled_sampling=1.0)
    plain = make()
    for model in (dropping, plain):
        with torch.no_grad():
            model.decoder.output.bias[0] = -50.0  # it predicts symbols, which could be sampled
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
    assert isinstance(model.decoder, Decoder)
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
    predicted = model.decoder(inputs, memory, state).argmax(-1)
    assert (predicted == 0).any()
    assert (predicted > 0).any()
    model.scheduled_sampling = 0.0
    assert torch.equal(model._replace(inputs, memory, state), inputs)
    model.scheduled_sampling = 1.0
    found = model._replace(inputs, memory, state)
    assert torch.equal(found[0], inputs[0])
    for t in range(1, len(inputs)):
        for column in range(len(PAIRS)):
            guess = predicted[t - 1, column]
            assert found[t, column] == (inputs[t, column] if guess == 0 else guess)
    batch = make_batch(PAIRS)
    loss, count, _ = model.loss(batch)
    targets = torch.from_numpy(batch.targets)
    wanted = torch.nn.functional.cross_entropy(
        model(source, lengths, found).flatten(0, 1), targets.flatten(), reduction="sum"
    )
    torch.testing.assert_close(loss, wanted)
    assert count == 13


def test_scheduled_sampling_reads_no_unknown_symbol() -> None:
    """Decoding writes none either, so the model does not learn to read it."""
    model = make(attention="none", scheduled_sampling=1.0).train()
    with torch.no_grad():
        model.decoder.output.bias.copy_(torch.tensor([0.0, 90.0, 0.0, 50.0, 0.0]))
    inputs = torch.full((5, 3), 2)
    memory, state = model.encode(torch.ones(2, 3, dtype=torch.int64), None)
    assert set(model._replace(inputs, memory, state)[1:].flatten().tolist()) == {3}


def test_scheduled_sampling_replaces_at_its_rate() -> None:
    model = make(attention="none", scheduled_sampling=0.25).train()
    with torch.no_grad():
        model.decoder.output.bias[3] = 50.0  # it predicts nothing else
    inputs = torch.zeros(11, 400, dtype=torch.int64)
    memory, state = model.encode(torch.ones(2, 400, dtype=torch.int64), None)
    found = model._replace(inputs, memory, state)
    assert set(found[1:].flatten().tolist()) == {0, 3}
    assert (found[1:] == 3).double().mean().item() == pytest.approx(0.25, abs=0.03)

"""The encoder-decoder against a plain one, its padding, its loss and its gradients."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_seq2seq import encode, plain_logits, plain_step
from small_seq2seq import (
    COPIES,
    PAIRS,
    SOURCES,
    TARGETS,
    Pair,
    gradients,
    make,
    make_batch,
    tensors,
)

from charseq.errors import CharseqError
from charseq.models.decoder_state import DecoderState
from charseq.models.seq2seq import Seq2Seq
from charseq.text.pair_batches import pad

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
    [{"attention": "dot"}, {"attention": "dot", "input_feeding": True}, {"attention": "monotonic"}],
)
def test_with_zoneout_decoding_keeps_the_part_that_teacher_forcing_keeps(
    options: dict[str, Any],
) -> None:
    options = options | {"zoneout": 0.3}
    test_decoding_step_by_step_gives_the_logits_of_teacher_forcing(options)
    model, without = make(**options), make(**options | {"zoneout": 0.0})
    batch = tensors(make_batch(PAIRS))
    assert not torch.allclose(model(*batch), without(*batch))
    torch.manual_seed(1)
    first, second = model.train()(*batch), model(*batch)
    assert not torch.allclose(first, second)  # each draws anew
    first.sum().backward()
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)


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

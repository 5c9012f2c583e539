"""Weights that follow the text: against the equations written out, in float64, without a leak."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_evaluate import VOCAB, make_model, make_text
from torch import Tensor

import charseq.inference.dynamic as dynamic
from charseq.errors import CharseqError, NotFiniteError
from charseq.inference.dynamic import Dynamics, Rule, evaluate_dynamic, mean_square_gradients
from charseq.inference.evaluate import evaluate
from charseq.models.language_model import LanguageModel
from charseq.text.vocab import Ids

Weights = dict[str, Tensor]
State = tuple[Tensor, Tensor]
RULES: list[Rule] = ["rms", "sgd"]


def weights_of(model: LanguageModel) -> Weights:
    return {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}


def read(w: Weights, ids: list[int], state: State) -> tuple[list[Tensor], State]:
    """Log-probabilities behind each id, of one layer, by its equations; and the state."""
    (h, c), rows = state, []
    for symbol in ids:
        z = w["lstm.weight_ih_l0"][:, symbol] + w["lstm.weight_hh_l0"] @ h + w["lstm.bias_ih_l0"]
        i, f, g, o = z.view(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        rows.append((w["output.weight"] @ h + w["output.bias"]).log_softmax(0))
    return rows, (h, c)


def zero_state(w: Weights) -> State:
    size = w["lstm.weight_hh_l0"].shape[1]
    return torch.zeros(size).double(), torch.zeros(size).double()


def gradient(w: Weights, text: list[int], state: State) -> tuple[list[float], Weights, State]:
    """The nats of a segment behind its first symbol, the gradient of their mean, and the state."""
    rows, (h, c) = read(w, text[:-1], state)
    nats = [-row[came] for row, came in zip(rows, text[1:], strict=True)]
    mean = torch.stack(nats).mean()
    grads = dict(zip(w, torch.autograd.grad(mean, list(w.values())), strict=True))
    return [cost.item() for cost in nats], grads, (h.detach(), c.detach())


def by_hand(
    model: LanguageModel, ids: list[int], how: Dynamics, squares: Weights | None
) -> list[float]:
    """The nats of every character, segment after segment; ``squares`` None: of those scored."""
    trained, w = weights_of(model), weights_of(model)
    state, costs, seen = zero_state(w), [], []
    for at in range(0, len(ids) - 1, how.segment):
        nats, g, state = gradient(w, ids[at : at + how.segment + 1], state)
        costs += nats
        seen.append(g)
        ms = squares or {n: torch.stack([one[n] ** 2 for one in seen]).mean(0) for n in w}
        root = {name: square.sqrt() for name, square in ms.items()}
        mean = torch.cat([r.flatten() for r in root.values()]).mean()
        for name in w:
            step, pull = g[name], torch.ones_like(g[name])
            if how.rule == "rms":
                step = g[name] / (root[name] + dynamic.EPSILON)
                pull = torch.minimum(root[name] / mean, torch.tensor(1 / how.decay))
            new = w[name] - how.learning_rate * step
            new = new + how.decay * pull * (trained[name] - w[name])
            w[name] = new.detach().requires_grad_()
    return costs


def in_order(model: LanguageModel, of: Weights) -> list[Tensor]:
    return [of[name] for name, _ in model.named_parameters()]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("segment", [1, 4, 100])
def test_the_weights_move_as_the_paper_says(rule: Rule, segment: int) -> None:
    model, ids = make_model(1), make_text(40)
    generator = torch.Generator().manual_seed(1)
    squares = {
        name: torch.rand(p.shape, generator=generator).double() ** 4
        for name, p in model.named_parameters()
    }
    # So strong a decay that some weights are drawn back all the way: R is cut off at 1 / λ.
    for decay in (0.01, 0.6):
        how = Dynamics(rule, 0.05, decay, segment)
        expected = by_hand(model, ids.tolist(), how, squares)
        _, found = evaluate_dynamic(model, ids, how, mean_square=in_order(model, squares))
        assert found.characters == 39
        assert found.nats == pytest.approx(np.mean(expected), rel=1e-9)


def test_without_a_training_text_the_squares_are_those_of_what_was_scored() -> None:
    model, ids = make_model(1), make_text(40)
    how = Dynamics("rms", 0.02, 0.1, 5)
    _, found = evaluate_dynamic(model, ids, how)
    assert found.nats == pytest.approx(np.mean(by_hand(model, ids.tolist(), how, None)), rel=1e-9)


def test_squared_gradients_are_the_mean_over_segments_with_their_states(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dynamic, "WARMUP", 6)
    model, ids = make_model(1), make_text(50)
    found = mean_square_gradients(model, ids, 5, count=4)
    w = weights_of(model)
    squares = {name: torch.zeros_like(p) for name, p in w.items()}
    for start in (6, 18, 31, 44):  # evenly between the first with six in front and the last
        _, state = read(w, ids[start - 6 : start].tolist(), zero_state(w))
        h, c = state[0].detach(), state[1].detach()
        _, g, _ = gradient(w, ids[start : start + 6].tolist(), (h, c))
        for name in squares:
            squares[name] += g[name] ** 2 / 4
    for one, other in zip(found, in_order(model, squares), strict=True):
        torch.testing.assert_close(one, other.detach(), rtol=1e-9, atol=1e-15)
        assert one.abs().sum() > 0


@settings(max_examples=15)
@given(length=st.integers(2, 40), segment=st.integers(1, 12), rule=st.sampled_from(RULES))
def test_without_a_learning_rate_nothing_changes(length: int, segment: int, rule: Rule) -> None:
    model, ids = make_model(), make_text(length)
    how = Dynamics(rule, 0.0, 0.5, segment)
    static, found = evaluate_dynamic(model, ids, how)
    assert found == static  # exactly
    usual = evaluate(model, ids)
    assert static.nats == pytest.approx(usual.nats, rel=1e-12)
    assert (static.accuracy, static.characters) == (usual.accuracy, usual.characters)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("segment", [1, 3, 7])
def test_nothing_is_learned_from_what_is_not_scored_yet(rule: Rule, segment: int) -> None:
    """Over all that could come next the probabilities are 1 in sum.

    Were a segment learned from before it is scored, each would be predicted too well.
    """
    model, ids = make_model(1), make_text(30)
    how = Dynamics(rule, 0.05, 0.01, segment)

    def cost(text: Ids) -> float:
        found = evaluate_dynamic(model, text, how)[1]
        return found.nats * found.characters

    for end in (20, 21, 22):
        before = cost(ids[:end])
        after = [cost(np.append(ids[:end], np.uint8(symbol))) for symbol in range(VOCAB)]
        assert np.exp(before - np.array(after)).sum() == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize(("rule", "learning_rate"), [("rms", 0.02), ("sgd", 0.5)])
def test_what_repeats_itself_is_predicted_better_and_the_model_stays_as_it_is(
    rule: Rule, learning_rate: float
) -> None:
    model = make_model().train()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    random = torch.get_rng_state()
    ids = np.tile(make_text(11), 30)
    how = Dynamics(rule, learning_rate, 0.001, 10)
    squares = mean_square_gradients(model, ids, 10)
    static, found = evaluate_dynamic(model, ids, how, mean_square=squares)
    assert found.nats < 0.85 * static.nats
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training
    assert torch.equal(torch.get_rng_state(), random)
    assert evaluate_dynamic(model, ids, how, mean_square=squares) == (static, found)


def test_progress_ends_at_all_characters() -> None:
    seen: list[tuple[int, int]] = []
    how = Dynamics(segment=7)
    evaluate_dynamic(make_model(), make_text(50), how, progress=lambda *at: seen.append(at))
    assert seen[0] == (7, 49)
    assert all(before < after for before, after in pairwise(seen))
    assert seen[-1] == (49, 49)


def test_arguments_out_of_range_are_refused_and_divergence_is_told() -> None:
    model, ids = make_model(), make_text(30)
    for wrong in (Dynamics(segment=0), Dynamics(decay=1.1), Dynamics(learning_rate=-1.0)):
        with pytest.raises(CharseqError, match="dynamic evaluation: the segment must be"):
            evaluate_dynamic(model, ids, wrong)
    with pytest.raises(CharseqError, match="at least 2"):
        evaluate_dynamic(model, ids[:1], Dynamics())
    with pytest.raises(NotFiniteError, match=r"diverged after \d+ characters; take a lower"):
        evaluate_dynamic(model.float(), ids, Dynamics("sgd", 3e38, 0.0, 5))

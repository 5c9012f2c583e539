"""Every character but the first is scored once, whatever the way the text is cut."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import charseq.inference.evaluate as evaluation
from charseq.errors import CharseqError
from charseq.inference.evaluate import evaluate, surprisal
from charseq.models.language_model import LanguageModel
from charseq.text.vocab import Ids

VOCAB = 7


def make_model(num_layers: int = 2) -> LanguageModel:
    """Small, in float64, and far from indifferent: its weights are several times the usual."""
    generator = torch.Generator().manual_seed(5)
    model = LanguageModel(VOCAB, 6, num_layers, dropout=0.5).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator).double())
    return model


def make_text(length: int) -> Ids:
    return np.random.default_rng(length).integers(VOCAB, size=length).astype(np.uint8)


def naive(
    model: LanguageModel, ids: Ids, fresh: set[int], first: int = 0
) -> list[tuple[float, int]]:
    """One character at a time by ``model.step``; the state is zeroed in front of ``fresh``.

    Returns the nats of each character, and whether it was the likeliest.
    """
    scores = []
    state = model.lstm.zero_state(1)
    with torch.no_grad():
        for at in range(first, len(ids) - 1):
            if at in fresh:
                state = model.lstm.zero_state(1)
            logits, state = model.step(torch.tensor([int(ids[at])]), state)
            row = logits[0].numpy()
            nats = math.log(np.exp(row - row.max()).sum()) + row.max() - row[ids[at + 1]]
            scores.append((float(nats), int(row.argmax() == ids[at + 1])))
    return scores


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few characters in each forward pass, so that short texts take many of them."""
    monkeypatch.setattr(evaluation, "CHUNK_FLOATS", 48 * 5)


@settings(deadline=None, max_examples=20)
@given(length=st.integers(2, 40))
def test_stateful_equals_one_character_at_a_time(length: int) -> None:
    model, ids = make_model(), make_text(length)
    nats, hits = zip(*naive(model, ids, set()), strict=True)
    score = evaluate(model, ids)
    assert score.characters == length - 1
    assert score.nats == pytest.approx(np.mean(nats), rel=1e-12)
    assert score.accuracy == pytest.approx(np.mean(hits), rel=1e-12)
    np.testing.assert_allclose(surprisal(model, ids), nats, rtol=1e-10)


@settings(deadline=None, max_examples=20)
@given(length=st.integers(2, 40), window=st.integers(1, 70))
def test_windows_start_from_a_zero_state(length: int, window: int) -> None:
    model, ids = make_model(1), make_text(length)
    nats, hits = zip(*naive(model, ids, set(range(0, length, window))), strict=True)
    score = evaluate(model, ids, window=window)
    assert score.characters == length - 1
    assert score.nats == pytest.approx(np.mean(nats), rel=1e-12)
    assert score.accuracy == pytest.approx(np.mean(hits), rel=1e-12)


@settings(deadline=None, max_examples=25)
@given(length=st.integers(2, 40), streams=st.integers(1, 12), warmup=st.integers(0, 12))
def test_streams_read_the_characters_in_front_of_their_piece(
    length: int, streams: int, warmup: int
) -> None:
    model, ids = make_model(1), make_text(length)
    pieces = np.array_split(np.arange(length - 1), min(streams, length - 1))
    while len(pieces) > 1 and min(map(len, pieces)) < warmup:
        pieces = np.array_split(np.arange(length - 1), len(pieces) - 1)
    nats: list[float] = []
    for piece in pieces:
        first = max(0, int(piece[0]) - warmup)
        read = naive(model, ids[: piece[-1] + 2], set(), first)
        nats += [nat for nat, _ in read[-len(piece) :]]
    score = evaluate(model, ids, streams=streams, warmup=warmup)
    assert score.characters == length - 1 == len(nats)
    assert score.nats == pytest.approx(np.mean(nats), rel=1e-12)


def test_a_memory_map_on_disk_gives_the_same_as_an_array(tmp_path: object) -> None:
    model, ids = make_model(), make_text(50)
    path = f"{tmp_path}/ids.npy"
    np.save(path, ids)
    assert evaluate(model, np.load(path, mmap_mode="r")) == evaluate(model, ids)


def test_dropout_is_off_and_the_mode_and_the_random_numbers_are_left_alone() -> None:
    model, ids = make_model().train(), make_text(50)
    before = torch.get_rng_state()
    assert evaluate(model, ids) == evaluate(model, ids)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    model.eval()
    evaluate(model, ids)
    assert not model.training


def test_progress_ends_at_all_characters() -> None:
    seen: list[tuple[int, int]] = []
    evaluate(make_model(), make_text(50), progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert len(seen) > 1
    assert seen[-1] == (49, 49)


@pytest.mark.parametrize("length", [0, 1])
def test_a_text_with_nothing_to_predict_is_refused(length: int) -> None:
    with pytest.raises(CharseqError, match=f"has {length} characters; it needs at least 2"):
        evaluate(make_model(), make_text(length))
    with pytest.raises(CharseqError, match="at least 2"):
        surprisal(make_model(), make_text(length))


def test_arguments_out_of_range_are_refused() -> None:
    model, ids = make_model(), make_text(9)
    with pytest.raises(CharseqError, match="give `window` or `streams`"):
        evaluate(model, ids, window=3, streams=2)
    for wrong in ({"window": 0}, {"streams": 0}, {"warmup": -1}):
        with pytest.raises(CharseqError, match="at least 1"):
            evaluate(model, ids, **wrong)  # type: ignore[arg-type]

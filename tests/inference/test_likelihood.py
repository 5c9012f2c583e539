"""The loss of right answers, in batches that have room."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charseq.inference import likelihood
from charseq.inference.likelihood import batches_by_cost, cross_entropy
from charseq.models.seq2seq import ATTENTIONS, Seq2Seq
from charseq.text.pairs import Pairs
from charseq.text.ragged import Ragged


@given(costs=st.lists(st.integers(0, 5_000_000), max_size=60), most=st.integers(1, 9))
def test_a_batch_has_room_or_one_row(costs: list[int], most: int) -> None:
    found = batches_by_cost(np.array(costs, dtype=np.int64), most)
    assert sorted(place for batch in found for place in batch) == list(range(len(costs)))
    for batch in found:
        dearest = max(costs[place] for place in batch)
        assert len(batch) <= most
        assert len(batch) == 1 or len(batch) * dearest <= likelihood.BUDGET
    flat = [costs[place] for batch in found for place in batch]
    assert flat == sorted(flat, reverse=True)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_the_loss_does_not_depend_on_the_room(
    attention: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the sum of what each pair costs by itself."""
    torch.manual_seed(0)
    model = Seq2Seq(6, 5, 8, attention=attention, backend="manual").double().eval()
    rng = np.random.default_rng(0)
    sources = [rng.integers(1, 6, rng.integers(1, 9)) for _ in range(20)]
    targets = [rng.integers(2, 5, rng.integers(1, 7)) for _ in range(20)]
    pairs = Pairs([], Ragged.from_rows(sources), Ragged.from_rows(targets), np.arange(20))
    wanted = 0.0
    for source, target in zip(sources, targets, strict=True):
        inputs = torch.tensor([0, *target])[:, None]
        log_p = model(torch.from_numpy(source)[:, None], None, inputs)[:, 0].log_softmax(-1)
        wanted -= sum(log_p[t, y].item() for t, y in enumerate([*target, 0]))
    for budget in (likelihood.BUDGET, 1500, 1):
        monkeypatch.setattr(likelihood, "BUDGET", budget)
        nats, symbols = cross_entropy([model], pairs, np.arange(20), 7)
        assert nats == pytest.approx(wanted, rel=1e-12)
        assert symbols == sum(map(len, targets)) + 20


def test_additive_attention_is_known_to_be_dear() -> None:
    length = np.array([200])
    additive, general, none = (
        Seq2Seq(30, 30, 256, attention=attention).decoder.floats(length, length)[0]
        for attention in ("additive", "general", "none")
    )
    assert additive == 200 * 30 + 200 * 200 * 256  # (T, S, H): more than twice the budget
    assert additive > 2 * likelihood.BUDGET > 50 * general > 50 * none

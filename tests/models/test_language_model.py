"""The language model against the same network made of torch's own parts."""

import numpy as np
import pytest
import torch

from charseq.models.language_model import LanguageModel
from charseq.text.corpus import Batch


def make_batch(steps: int = 6, batch: int = 3, symbols: int = 5) -> Batch:
    ids = np.random.default_rng(0).integers(symbols, size=(steps + 1, batch))
    return Batch(inputs=ids[:-1], targets=ids[1:], starts_epoch=True)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_is_the_cross_entropy_of_the_softmax(smoothing: float) -> None:
    torch.manual_seed(0)
    model = LanguageModel(5, 4, 2).double()
    batch = make_batch()
    loss_sum, count, state = model.loss(batch, None, smoothing)
    logits, wanted_state = model(torch.from_numpy(batch.inputs))
    log_p = logits.log_softmax(-1).detach().numpy()
    picked = np.take_along_axis(log_p, batch.targets[..., None], -1)[..., 0]
    wanted = -((1 - smoothing) * picked + smoothing * log_p.mean(-1)).sum()
    assert loss_sum.item() == pytest.approx(wanted)
    assert count == 18
    torch.testing.assert_close(state, wanted_state)
    assert not state[0].requires_grad


def test_decoding_step_by_step_gives_the_logits_of_the_sequence() -> None:
    torch.manual_seed(0)
    model = LanguageModel(5, 4, 2).double().eval()
    ids = torch.from_numpy(make_batch().inputs)
    whole, _ = model(ids)
    for read in (1, 2, 4):
        first, state = model.begin(ids[:read])
        logits, state = model.step(first, state)
        torch.testing.assert_close(logits, whole[read - 1])
        for t in range(read, 6):
            logits, state = model.step(ids[t], state)
            torch.testing.assert_close(logits, whole[t])


def test_dropout_acts_in_training_only_and_on_the_last_layer_too() -> None:
    torch.manual_seed(0)
    model = LanguageModel(5, 64, 1, dropout=0.5)
    ids = torch.from_numpy(make_batch().inputs)
    a, b = model(ids)[0], model(ids)[0]
    assert not torch.equal(a, b)
    model.eval()
    assert torch.equal(model(ids)[0], model(ids)[0])

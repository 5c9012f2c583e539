"""Trainings whose numbers break or run away: told, and what was good is kept."""

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import stop_after
from text_runs import lines, run, settings, tensors
from torch import Tensor

from charseq.errors import NotFiniteError
from charseq.models.language_model import LanguageModel
from charseq.text.corpus import Batch
from charseq.training.diagnose import diagnose
from charseq.training.events import Evaluated, Stopped

pytestmark = pytest.mark.usefixtures("own_cache")


def test_a_gradient_that_is_not_finite_is_told_from_those_that_are(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The norms are those before clipping, which one infinity would turn into NaN everywhere."""
    real = torch.autograd.backward

    def broken(loss: Tensor) -> None:
        real(loss)
        model = caught_model[0]
        model.output.bias.grad[1] = float("inf")

    caught_model: list[Any] = []
    from charseq.models.build import build_model

    def remember(*arguments: Any) -> Any:
        caught_model.append(build_model(*arguments))
        return caught_model[0]

    monkeypatch.setattr("charseq.training.state.build_model", remember)
    monkeypatch.setattr(torch.autograd, "backward", broken)
    with pytest.raises(NotFiniteError) as caught:
        run(settings(text), tmp_path / "run")
    norms = {
        line.split()[3]: float(line.split()[2])
        for line in str(caught.value).splitlines()
        if line.startswith("gradient norm")
    }
    assert norms.pop("output.bias") == math.inf
    for name, norm in norms.items():
        wanted = caught_model[0].get_parameter(name).grad.norm().item()
        assert 0 < norm == pytest.approx(wanted, rel=5e-3), name


@pytest.mark.parametrize("where", ["weight", "state"])
def test_a_nan_is_diagnosed_and_the_last_good_checkpoint_kept(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:

    real, calls = LanguageModel.loss, iter(range(10_000))

    def poisoned(self: LanguageModel, batch: Any, state: Any, smoothing: float) -> Any:
        if next(calls) == 14:
            with torch.no_grad():
                if where == "weight":
                    self.lstm.get_parameter("weight_hh_l1")[12 + 3, 2] = float("nan")
                else:
                    state[1][1, 2, 3] = float("inf")
        return real(self, batch, state, smoothing)

    monkeypatch.setattr(LanguageModel, "loss", poisoned)
    with pytest.raises(NotFiniteError) as caught:
        run(settings(text, model__dropout=0.0), tmp_path / "run")
    message = str(caught.value)
    assert message.startswith("step 15:")
    assert "gradient norm" in message
    assert caught.value.exit_code == 3
    if where == "weight":
        assert "not finite: lstm.weight_hh_l1 (gates f)" in message
        assert "f of layer 1 at time step 0" in message
        assert "step 15: the numbers are not finite any more" in message
    else:
        assert "first in the forward pass: the carried state c_0" in message
    kept = tensors(tmp_path / "run" / "last.safetensors")
    assert all(tensor.isfinite().all() for tensor in kept.values() if tensor.is_floating_point())


def test_what_the_forward_pass_did_not_read_is_not_blamed() -> None:
    """Where the streams begin anew the loss leaves the carried state out."""
    model = LanguageModel(3, 4)
    with torch.no_grad():
        model.output.bias[1] = torch.nan
    h, c = model.lstm.zero_state(2)
    ids = np.zeros((5, 2), np.int64)
    carried = h, c + torch.inf
    told = diagnose(model, Batch(ids, ids, starts_epoch=True), carried)
    assert "first in the forward pass: the logits at time step 0" in told
    told = diagnose(model, Batch(ids, ids, starts_epoch=False), carried)
    assert "first in the forward pass: the carried state c_0" in told


@pytest.mark.parametrize("split", [[0.8, 0.1, 0.1], [1.0, 0.0, 0.0]])
def test_a_training_that_diverges_without_a_nan_is_noticed(
    text: Path, tmp_path: Path, split: list[float]
) -> None:
    """Also where the falling learning rate repairs it in the end, and where it is resumed."""
    config = settings(
        text,
        data__split=split,
        train__learning_rate=9.0,
        train__log_every=1,
        train__max_steps=100,
        train__average_decay=None,
    )
    end = run(config, tmp_path / "whole")[-1]
    run(config, tmp_path / "cut", should_stop=stop_after(33))
    resumed = run(config, tmp_path / "cut", resume=True)[-1]
    assert isinstance(end, Stopped)
    assert isinstance(resumed, Stopped)
    assert end.finished
    assert end.warning == resumed.warning
    # All steps have as many symbols: the mean of 20 steps' losses is that of their symbols.
    losses = [line["loss"] for line in lines(tmp_path / "whole") if line["event"] == "step"]
    means = [sum(losses[i : i + 20]) / 20 for i in range(0, 100, 20)]
    told = [one["train_loss"] for one in lines(tmp_path / "whole") if one["event"] == "evaluated"]
    assert told == pytest.approx(means if split[1] else [])
    guess = math.log(len(set(text.read_text())))
    assert losses[-1] < 2 * guess < max(means)
    worst = means.index(max(means))
    assert end.warning is not None
    assert f"before step {20 * worst + 20} its loss was {means[worst]:.1f} nats" in end.warning
    assert "lower train.learning_rate (now 9) or train.clip_norm (now 1)" in end.warning
    if not split[1]:  # where no look is due before the end
        train = config.train.model_copy(update={"eval_every": 1000})
        short = run(config.model_copy(update={"train": train}), tmp_path / "short")[-1]
        assert isinstance(short, Stopped)
        mean = sum(losses) / 100
        assert mean > 2 * guess
        assert f"before step 100 its loss was {mean:.1f} nats" in (short.warning or "")
    found = [line["diverged"] for line in lines(tmp_path / "whole") if line["event"] != "step"]
    assert found == ([mean > 2 * guess for mean in means] if split[1] else [])


def test_a_model_that_overfits_has_not_diverged(tmp_path: Path) -> None:
    """It is sure of what is wrong, but of the validation text alone."""
    rng = random.Random(1)
    noise = tmp_path / "noise.txt"
    noise.write_text("".join(rng.choice("abc") for _ in range(300)))
    config = settings(
        noise,
        data__split=[0.7, 0.3, 0.0],
        model__hidden_size=32,
        model__dropout=0.0,
        train__learning_rate=3e-2,
        train__schedule="constant",
        train__max_steps=400,
        train__average_decay=None,
    )
    events = run(config, tmp_path / "run")
    scores = [event for event in events if isinstance(event, Evaluated)]
    assert scores[-1].score.nats > 2 * math.log(3)
    assert not any(event.diverged for event in scores)
    assert isinstance(events[-1], Stopped)
    assert events[-1].warning is None

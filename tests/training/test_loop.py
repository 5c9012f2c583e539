"""Training as a user meets it: it learns, stops, resumes exactly, and refuses what cannot work."""

import json
import math
import random
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import stop_after
from torch import Tensor

from charseq.config import Config, config_from_json
from charseq.config.schema import LMConfig
from charseq.errors import CharseqError, NotFiniteError
from charseq.inference.evaluate import evaluate
from charseq.models.build import load_data, make_batches
from charseq.models.checkpoint import read_checkpoint
from charseq.models.language_model import LanguageModel
from charseq.text.corpus import load_corpus
from charseq.training.events import Evaluated, Event, Started, Step, Stopped
from charseq.training.limits import Limits
from charseq.training.loop import train


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Words of a tiny language in which every word is followed by its opposite."""
    rng = random.Random(0)
    pairs = ["hot cold. ", "day night. ", "up down. ", "left right. "]
    path = tmp_path / "opposites.txt"
    path.write_text("".join(rng.choice(pairs) for _ in range(700)))
    return path


def settings(text: Path, **changes: Any) -> LMConfig:
    """A small run of 60 steps; a change is named section__setting."""
    data: dict[str, dict[str, Any]] = {
        "data": {"text": str(text), "split": [0.8, 0.1, 0.1]},
        "model": {"hidden_size": 12, "num_layers": 2, "dropout": 0.3},
        "train": {
            "batch_size": 5,
            "seq_len": 11,
            "max_steps": 60,
            "learning_rate": 1e-2,
            "warmup_steps": 4,
            "eval_every": 20,
            "save_every": 10,
            "log_every": 7,
            "average_decay": 0.9,
        },
    }
    for name, value in changes.items():
        section, setting = name.split("__")
        data[section][setting] = value
    config = config_from_json(data, where="the test")
    assert isinstance(config, LMConfig)
    return config


def run(config: Config, folder: Path, **options: Any) -> list[Event]:
    return list(train(config, run=folder, device="cpu", **options))


def tensors(path: Path) -> dict[str, Tensor]:
    return read_checkpoint(path).tensors


def lines(folder: Path) -> list[dict[str, Any]]:
    """The log, without what a clock measured."""
    clocks = {"seconds", "seconds_left", "symbols_per_second"}
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in clocks} for line in found]


def test_a_model_learns_the_text(text: Path, tmp_path: Path) -> None:
    config = settings(text, train__max_steps=300, model__dropout=0.0, model__hidden_size=24)
    events = run(config, tmp_path / "run")
    start, end = events[0], events[-1]
    assert isinstance(start, Started)
    assert isinstance(end, Stopped)
    assert start.vocab_size == len(set(text.read_text()))
    assert end.finished
    best = next(e for e in events if isinstance(e, Evaluated) and e.step == end.best_step)
    assert end.best_score == best.score.summary()
    # Only which sentence comes is open: 2 bits in 10.5 characters on average, 0.19 in each.
    assert 0.19 < best.score.nats / math.log(2) < 0.5
    first = next(event for event in events if isinstance(event, Step))
    assert first.loss > 2.0


def test_30_steps_and_30_more_are_60_bit_for_bit(text: Path, tmp_path: Path) -> None:
    config = settings(text, train__shift_streams=True)
    run(config, tmp_path / "whole")
    for step in (13, 20, 30, 41, 60):  # at 20 and 60 within an evaluation
        interrupted = tmp_path / f"stopped{step}"
        stopped = run(config, interrupted, should_stop=stop_after(step))[-1]
        assert isinstance(stopped, Stopped)
        assert (stopped.step, stopped.finished) == (step, False)
        evaluated = [one["step"] for one in lines(interrupted) if one["event"] == "evaluated"]
        assert evaluated == [at for at in (20, 40) if at < step]
        torch.manual_seed(step)  # another process would not have the same generator either
        run(config, interrupted, resume=True)
        for name in ("last", "best"):
            wanted = tensors(tmp_path / "whole" / f"{name}.safetensors")
            found = tensors(interrupted / f"{name}.safetensors")
            assert wanted.keys() == found.keys()
            assert all(torch.equal(found[key], value) for key, value in wanted.items())
        assert lines(interrupted) == lines(tmp_path / "whole")
    assert len(lines(tmp_path / "whole")) == 60 // 7 + 1 + 60 // 20


def test_the_configuration_says_where_a_pass_begins(text: Path) -> None:
    """The first one at the beginning; with ``shift_streams`` the next where the seed says."""
    first, second = [], []
    for shift, seed in ((False, 0), (True, 0), (True, 1)):
        config = settings(text, train__shift_streams=shift, train__seed=seed)
        batches = make_batches(config, load_data(config))
        first.append(batches.batch(0).inputs.tolist())
        second.append(batches.batch(batches.steps_per_epoch).inputs.tolist())
    assert first[0] == first[1] == first[2] == second[0]
    assert all(one != other for one, other in combinations(second, 2))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    text: Path, tmp_path: Path
) -> None:
    names = {"a": 0, "b": 0, "c": 1}
    for name, seed in names.items():
        run(settings(text, train__seed=seed, train__max_steps=5), tmp_path / name)
    a, b, c = (tensors(tmp_path / name / "last.safetensors") for name in names)
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(a["model.output.weight"], c["model.output.weight"])


def test_the_validation_loss_is_that_of_the_weights_in_best(text: Path, tmp_path: Path) -> None:
    """With averaged weights: best holds the average, and its score is what was reported."""
    config = settings(text)
    events = run(config, tmp_path / "run")
    best = max((e for e in events if isinstance(e, Evaluated) and e.is_best), key=lambda e: e.step)
    checkpoint = read_checkpoint(tmp_path / "run" / "best.safetensors")
    model = checkpoint.model()
    assert isinstance(model, LanguageModel)
    score = evaluate(model, load_corpus(config.data).valid, streams=5)
    assert score == best.score
    last = tensors(tmp_path / "run" / "last.safetensors")
    assert not torch.equal(last["model.output.weight"], last["average.output.weight"])


def test_state_is_carried_from_window_to_window_and_zeroed_at_each_epoch(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    real = LanguageModel.read

    def spy(self: LanguageModel, ids: Any, state: Any) -> Any:
        result = real(self, ids, state)
        if self.training:
            seen.append((state, result[1]))
        return result

    monkeypatch.setattr(LanguageModel, "read", spy)
    start = run(settings(text, train__batch_size=60, train__seq_len=12), tmp_path / "run")[0]
    assert isinstance(start, Started)
    assert 3 < start.steps_per_epoch < 20
    assert len(seen) == 60
    for step, (state, _) in enumerate(seen):
        if step % start.steps_per_epoch == 0:
            assert state is None
        else:
            for carried, left in zip(state, seen[step - 1][1], strict=True):
                assert torch.equal(carried, left)
                assert carried.requires_grad is False


@pytest.mark.parametrize(
    ("changes", "reason", "steps"),
    [
        ({"train__max_steps": 3}, "all 3 steps", 3),
        ({"train__max_steps": None, "train__max_epochs": 0.1}, "steps are done", 11),
        ({"train__max_minutes": 1e-9}, "minutes are over", 1),
        ({"train__max_steps": None, "train__max_minutes": 1e-9}, "minutes are over", 1),
        (
            {"train__learning_rate": 1e-12, "train__patience": 2, "train__eval_every": 1},
            "better",
            3,
        ),
    ],
)
def test_every_limit_stops_the_training(
    text: Path, tmp_path: Path, changes: dict[str, Any], reason: str, steps: int
) -> None:
    changes = {"train__average_decay": None, **changes}
    events = run(settings(text, **changes), tmp_path / "run")
    stopped = events[-1]
    assert isinstance(stopped, Stopped)
    assert reason in stopped.reason
    assert stopped.step >= steps
    assert stopped.step == steps or "train__patience" in changes
    assert stopped.finished
    assert (tmp_path / "run" / "best.safetensors").exists()
    again = run(settings(text, **changes), tmp_path / "run", resume=True)
    assert [type(event) for event in again] == [Started, Stopped]  # nothing is trained twice


def test_an_evaluation_at_the_end_of_the_time_is_bounded(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charseq.training.limits.LEAST_GRACE", 0.0)
    config = settings(text, train__max_minutes=1e-9)
    stopped = run(config, tmp_path / "run")[-1]
    assert isinstance(stopped, Stopped)
    assert stopped.reason == "1e-09 minutes are over, and no time to evaluate was left"
    assert (stopped.step, stopped.finished, stopped.best_score) == (1, True, None)
    progress = read_checkpoint(tmp_path / "run" / "last.safetensors").extra["progress"]
    assert (progress["step"], progress["evaluated_step"]) == (1, 0)
    assert Limits(config.train, None).is_long_over(0.1)
    hour = Limits(settings(text, train__max_minutes=60).train, None)
    assert not hour.is_long_over(3959)
    assert hour.is_long_over(3960)  # a tenth more


def test_a_finished_run_goes_on_when_its_limit_is_raised(text: Path, tmp_path: Path) -> None:
    run(settings(text, train__max_steps=10), tmp_path / "run")
    events = run(settings(text, train__max_steps=20), tmp_path / "run", resume=True)
    assert isinstance(events[0], Started)
    assert events[0].step == 10
    assert isinstance(events[-1], Stopped)
    assert events[-1].step == 20


def test_a_training_is_never_overwritten(text: Path, tmp_path: Path) -> None:
    config = settings(text, train__max_steps=2)
    run(config, tmp_path / "run")
    before = (tmp_path / "run" / "last.safetensors").read_bytes()
    with pytest.raises(CharseqError, match=r"add --resume .* or --run"):
        run(config, tmp_path / "run")
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before


def test_two_trainings_in_one_folder(text: Path, tmp_path: Path) -> None:
    first = train(settings(text), run=tmp_path / "run", device="cpu")
    next(first)
    with pytest.raises(CharseqError, match=r"process \d+ trains in this folder"):
        run(settings(text), tmp_path / "run")
    first.close()  # type: ignore[attr-defined]
    assert run(settings(text, train__max_steps=2), tmp_path / "run", resume=True)


def test_a_damaged_last_checkpoint_falls_back_to_the_previous(text: Path, tmp_path: Path) -> None:
    config = settings(text)
    run(config, tmp_path / "whole")
    run(config, tmp_path / "run", should_stop=stop_after(30))
    last = tmp_path / "run" / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-7])
    events = run(config, tmp_path / "run", resume=True)
    start = events[0]
    assert isinstance(start, Started)
    assert start.step == 20
    assert start.notice is not None
    assert "going on from previous.safetensors" in start.notice
    wanted, found = (tensors(tmp_path / r / "last.safetensors") for r in ("whole", "run"))
    assert all(torch.equal(found[key], value) for key, value in wanted.items())
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")
    # The damaged file did not take the place of the good one at the next save.
    assert (
        read_checkpoint(tmp_path / "run" / "previous.safetensors").extra["progress"]["step"] == 50
    )


def test_where_every_checkpoint_is_damaged_each_is_named(text: Path, tmp_path: Path) -> None:
    run(settings(text), tmp_path / "run")
    for name in ("last", "previous"):
        path = tmp_path / "run" / f"{name}.safetensors"
        path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(CharseqError) as caught:
        run(settings(text), tmp_path / "run", resume=True)
    last, previous, advice = str(caught.value).splitlines()
    assert "last.safetensors: " in last
    assert "previous.safetensors: " in previous
    assert advice == "there is no other to go on from; train anew with --run"


def test_an_average_that_begins_late_begins_with_the_weights_as_they_are(
    text: Path, tmp_path: Path
) -> None:
    run(settings(text, train__average_decay=None, train__max_steps=10), tmp_path / "run")
    before = tensors(tmp_path / "run" / "last.safetensors")["model.output.weight"]
    run(
        settings(text, train__average_decay=0.999999, train__max_steps=11),
        tmp_path / "run",
        resume=True,
    )
    after = tensors(tmp_path / "run" / "last.safetensors")
    now, average = after["model.output.weight"], after["average.output.weight"]
    # decay (1 + 10) / (10 + 10) at step 10: between the two, and nowhere near the random start
    torch.testing.assert_close(average, before + (1 - 11 / 20) * (now - before))


def test_weights_alone_cannot_be_resumed(text: Path, tmp_path: Path) -> None:
    config = settings(text, train__max_steps=5)
    run(config, tmp_path / "run")
    best = tmp_path / "run" / "best.safetensors"
    (tmp_path / "run" / "last.safetensors").write_bytes(best.read_bytes())
    with pytest.raises(CharseqError, match="holds weights only"):
        run(config, tmp_path / "run", resume=True)


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


def test_a_wrong_path_leaves_no_folder(text: Path, tmp_path: Path) -> None:
    with pytest.raises(CharseqError, match="missing"):
        run(settings(tmp_path / "missing.txt"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model__hidden_size": 13}, "model.hidden_size was 12 and is 13"),
        ({"train__seq_len": 10}, "train.seq_len was 11 and is 10"),
        ({"train__shift_streams": True}, "train.shift_streams was False and is True"),
        ({"data__split": [0.7, 0.2, 0.1]}, "the data, or how it is read and split, has changed"),
    ],
)
def test_resuming_with_another_network_or_text_is_refused(
    text: Path, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    run(settings(text, train__max_steps=2), tmp_path / "run")
    with pytest.raises(CharseqError, match=words):
        run(settings(text, **changes), tmp_path / "run", resume=True)


@pytest.mark.parametrize("where", ["weight", "state"])
def test_a_nan_is_diagnosed_and_the_last_good_checkpoint_kept(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    from charseq.models.language_model import LanguageModel

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


def test_validation_that_is_needed_but_not_there(text: Path, tmp_path: Path) -> None:
    with pytest.raises(CharseqError, match=r"train\.patience needs validation data"):
        run(settings(text, data__split=[1.0, 0.0, 0.0], train__patience=2), tmp_path / "run")
    events = run(settings(text, data__split=[1.0, 0.0, 0.0], train__max_steps=3), tmp_path / "two")
    assert not any(isinstance(event, Evaluated) for event in events)
    assert not (tmp_path / "two" / "best.safetensors").exists()


def test_the_plateau_schedule_lowers_the_rate_when_nothing_gets_better(
    text: Path, tmp_path: Path
) -> None:
    config = settings(
        text,
        train__schedule="plateau",
        train__decay=0.5,
        train__learning_rate=1.0,
        train__clip_norm=None,
        train__warmup_steps=0,
        train__eval_every=5,
        train__log_every=1,
    )
    events = run(config, tmp_path / "run")
    failures = sum(not e.is_best for e in events if isinstance(e, Evaluated) and e.step < 60)
    last = [event for event in events if isinstance(event, Step)][-1]
    assert failures > 0
    assert last.learning_rate == 0.5**failures


def events_of_a_short_run(text: Path, folder: Path) -> Iterator[Event]:
    yield from train(settings(text, train__max_steps=2), run=folder, device="cpu")


def test_the_python_api_of_the_readme(text: Path, tmp_path: Path) -> None:
    import charseq

    assert charseq.Config is Config
    assert charseq.train is train
    kinds = [type(event).__name__ for event in events_of_a_short_run(text, tmp_path / "run")]
    assert kinds == ["Started", "Step", "Evaluated", "Saved", "Stopped"]
    model = charseq.load_language_model(tmp_path / "run")
    assert len(model.sample("hot ", length=9)) >= 9
    assert model.evaluate(split="valid").characters == len(load_corpus(model.config.data).valid) - 1
    assert set(charseq.__all__) <= set(dir(charseq))
    with pytest.raises(AttributeError, match="no attribute 'trane'"):
        charseq.trane  # noqa: B018


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
    guess = math.log(len(set(text.read_text())))
    assert losses[-1] < 2 * guess < max(means)
    worst = means.index(max(means))
    assert end.warning is not None
    assert f"before step {20 * worst + 20} its loss was {means[worst]:.1f} nats" in end.warning
    assert "lower train.learning_rate (now 9) or train.clip_norm (now 1)" in end.warning
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

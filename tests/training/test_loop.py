"""Training as a user meets it: it learns, chooses its best weights, and stops."""

import math
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from text_runs import run, settings, tensors

from charseq.config import Config
from charseq.config.schema import LMConfig
from charseq.errors import CharseqError
from charseq.inference.evaluate import evaluate
from charseq.models.build import load_data, make_batches
from charseq.models.checkpoint import read_checkpoint
from charseq.models.language_model import LanguageModel
from charseq.text.corpus import load_corpus
from charseq.training import loop
from charseq.training.events import Evaluated, Event, Started, Step, Stopped
from charseq.training.limits import Limits
from charseq.training.loop import train

pytestmark = pytest.mark.usefixtures("own_cache")


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
    at = SimpleNamespace(step=4, seconds=900.0, evaluations_since_best=0)
    assert hour.share_done(at) == 0.0  # the warm-up has four steps; the cosine begins at its top
    at.step, at.seconds = 8, 1800.0
    assert hour.share_done(at) == pytest.approx(1 / 3)
    at.step, at.seconds = 16, 3600.0
    assert hour.share_done(at) == 1.0
    assert hour.is_long_over(3960)  # a tenth more


def test_two_trainings_in_one_folder(text: Path, tmp_path: Path) -> None:
    first = train(settings(text), run=tmp_path / "run", device="cpu")
    next(first)
    with pytest.raises(CharseqError, match=r"process \d+ trains in this folder"):
        run(settings(text), tmp_path / "run")
    first.close()  # type: ignore[attr-defined]
    assert run(settings(text, train__max_steps=2), tmp_path / "run", resume=True)


def test_a_wrong_path_leaves_no_folder(text: Path, tmp_path: Path) -> None:
    with pytest.raises(CharseqError, match="missing"):
        run(settings(tmp_path / "missing.txt"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_without_validation_text_nothing_is_evaluated(text: Path, tmp_path: Path) -> None:
    events = run(settings(text, data__split=[1.0, 0.0, 0.0], train__max_steps=3), tmp_path / "run")
    assert not any(isinstance(event, Evaluated) for event in events)
    assert not (tmp_path / "run" / "best.safetensors").exists()


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
    with pytest.raises(CharseqError, match="config is str, not a configuration; "):
        next(train("mine.yaml"))  # type: ignore[arg-type]
    (tmp_path / "mine.yaml").write_text("data: {text: a.txt}")
    assert isinstance(charseq.load_config(str(tmp_path / "mine.yaml")), LMConfig)
    kinds = [type(event).__name__ for event in events_of_a_short_run(text, tmp_path / "run")]
    assert kinds == ["Started", "Step", "Evaluated", "Saved", "Stopped"]
    model = charseq.load_language_model(tmp_path / "run")
    assert len(model.sample("hot ", length=9)) == 9
    assert model.evaluate(split="valid").characters == len(load_corpus(model.config.data).valid) - 1
    assert set(charseq.__all__) <= set(dir(charseq))
    with pytest.raises(AttributeError, match="no attribute 'trane'"):
        charseq.trane  # noqa: B018


def test_a_callers_own_products_are_not_those_of_the_training(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it waits for the next step, torch multiplies as before."""
    inside: dict[str, set[str]] = {"update": set(), "validate": set()}
    for name, seen in inside.items():
        real = getattr(loop, name)

        def spy(*given: Any, real: Any = real, seen: set[str] = seen, **options: Any) -> Any:
            seen.add(torch.backends.mkldnn.matmul.fp32_precision)  # type: ignore[attr-defined]
            return real(*given, **options)

        monkeypatch.setattr(loop, name, spy)
    monkeypatch.setattr(loop, "has_fast_products", lambda _: True)
    for _ in train(settings(text), run=tmp_path / "run", device="cpu"):
        assert torch.get_float32_matmul_precision() == "highest"
    assert inside == {"update": {"bf16"}, "validate": {"bf16"}}
    # And where that caller has set them the new way, which torch does not let one mix with the old
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    try:
        list(train(settings(text), run=tmp_path / "other", device="cpu"))
    finally:
        torch.backends.cuda.matmul.fp32_precision = "none"

"""Numbers gone wrong: NaN and infinity are found, told, rolled back; spikes are logged."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import log_of, run, settings

from charseq.errors import NotFiniteError
from charseq.models.checkpoint import read_checkpoint, write_checkpoint
from charseq.models.language_model import LanguageModel
from charseq.training import rollback
from charseq.training.diagnose import diverged
from charseq.training.events import (
    Evaluated,
    RolledBack,
    Spike,
    Stopped,
)
from charseq.training.loop import train
from charseq.training.spikes import FEWEST, Usual

pytestmark = pytest.mark.usefixtures("own_cache")

Poison = Callable[[LanguageModel, torch.optim.Optimizer], None]


def break_weight(model: LanguageModel, _: torch.optim.Optimizer) -> None:
    model.lstm.get_parameter("weight_hh_l1").data[2 * 12 + 3, 2] = torch.nan


def break_embedding_of_the_output(model: LanguageModel, _: torch.optim.Optimizer) -> None:
    model.output.bias.data[1] = -torch.inf


def break_optimizer(model: LanguageModel, optimizer: torch.optim.Optimizer) -> None:
    optimizer.state[model.output.weight]["exp_avg"][1, 2] = torch.nan


def break_its_square(model: LanguageModel, optimizer: torch.optim.Optimizer) -> None:
    """Infinite: the weight never moves again, and no loss tells."""
    optimizer.state[model.lstm.get_parameter("bias_ih_l0")]["exp_avg_sq"][7] = torch.inf


def evaluated_at(folder: Path) -> list[int]:
    return [one["step"] for one in log_of(folder) if one["event"] == "evaluated"]


@contextmanager
def poisoned(at: list[int], how: Poison) -> Iterator[list[float]]:
    """Inside, these updates (from 0, whatever the step) are followed by harm; gives the rates."""
    real, taken, rates = torch.optim.AdamW.step, iter(range(10**6)), []

    def step(self: torch.optim.AdamW, *rest: Any) -> Any:
        models = [o for o in living if isinstance(o, LanguageModel)]
        result = real(self, *rest)
        rates.append(self.param_groups[0]["lr"])
        if next(taken) in at:
            how(models[-1], self)
        return result

    living: list[Any] = []
    made = LanguageModel.__init__

    def remember(self: LanguageModel, *arguments: Any, **options: Any) -> None:
        made(self, *arguments, **options)
        living.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LanguageModel, "__init__", remember)
        patch.setattr(torch.optim.AdamW, "step", step)
        yield rates


@pytest.mark.parametrize(
    ("how", "found", "step"),  # the harm follows step 14; step 20 is saved
    [
        (break_weight, "weights that are not finite: lstm.weight_hh_l1 (gates g)", 15),
        (break_embedding_of_the_output, "weights that are not finite: output.bias", 15),
        (break_optimizer, "weights that are not finite: output.weight", 16),
        (break_its_square, "the optimizer's exp_avg_sq.lstm.bias_ih_l0 is not finite", 20),
    ],
)
def test_what_is_not_finite_is_found_before_the_next_checkpoint(
    tmp_path: Path, how: Poison, found: str, step: int
) -> None:
    with poisoned([13], how), pytest.raises(NotFiniteError) as caught:
        run(settings(tmp_path), tmp_path / "run")
    message = str(caught.value)
    assert found in message
    assert message.startswith(f"step {step}: ")
    assert caught.value.exit_code == 3
    kept = read_checkpoint(tmp_path / "run" / "last.safetensors")
    assert kept.extra["progress"]["step"] == 10
    assert all(t.isfinite().all() for t in kept.tensors.values() if t.is_floating_point())


def test_a_rollback_goes_back_to_the_last_checkpoint_with_half_the_learning_rate(
    tmp_path: Path,
) -> None:
    config = settings(tmp_path, on_nan="rollback")
    with poisoned([13, 33], break_weight) as rates:
        events = run(config, tmp_path / "run")
    back = [event for event in events if isinstance(event, RolledBack)]
    assert [(one.step, one.learning_rate_factor, one.rollbacks) for one in back] == [
        (10, 0.5, 1),
        (20, 0.25, 2),
    ]
    assert "lstm.weight_hh_l1" in back[0].why
    assert isinstance(events[-1], Stopped)
    assert (events[-1].step, events[-1].finished) == (40, True)
    # 14 updates, back to 10; 20 more until the 34th, at step 30: back to what was saved there
    assert rates[:14] == [0.01] * 14
    assert set(rates[14:34]) == {0.005}
    assert set(rates[34:]) == {0.0025}
    steps = [line["step"] for line in log_of(tmp_path / "run") if line["event"] == "step"]
    assert steps == list(range(5, 41, 5))  # none lost, none twice
    told = [line for line in log_of(tmp_path / "run") if line["event"] == "rolled back"]
    assert [line["step"] for line in told] == [10, 20]


def test_the_evaluation_of_the_best_weights_outlives_a_rollback_behind_it(tmp_path: Path) -> None:
    config = settings(tmp_path, on_nan="rollback", eval_every=5)
    seen: set[type] = set()

    def rolled_back() -> bool:
        return RolledBack in seen

    with poisoned([18], break_weight):
        for event in train(config, run=tmp_path / "run", device="cpu", should_stop=rolled_back):
            seen.add(type(event))
    progress = read_checkpoint(tmp_path / "run/last.safetensors").extra["progress"]
    assert (progress["step"], progress["best_step"]) == (10, 15)
    assert evaluated_at(tmp_path / "run") == [5, 10, 15]


def test_rollbacks_are_bounded_also_over_a_resume(tmp_path: Path) -> None:
    config = settings(tmp_path, on_nan="rollback", max_rollbacks=2)
    with poisoned([12, 14], break_weight):
        list(
            train(
                config,
                run=tmp_path / "run",
                device="cpu",
                should_stop=iter([False] * 16 + [True] * 9).__next__,
            )
        )
    assert read_checkpoint(tmp_path / "run/last.safetensors").extra["progress"]["rollbacks"] == 2
    with poisoned([1], break_weight), pytest.raises(NotFiniteError):
        run(config, tmp_path / "run", resume=True)
    told = [line for line in log_of(tmp_path / "run") if line["event"] == "rolled back"]
    assert [line["rollbacks"] for line in told] == [1, 2]


def test_a_rollback_does_not_go_back_to_weights_that_are_thrown_far_off(tmp_path: Path) -> None:
    config = settings(tmp_path, on_nan="rollback", learning_rate=10.0, clip_norm=None)
    with poisoned([15], break_weight), pytest.raises(NotFiniteError):
        run(config, tmp_path / "run")
    loss = read_checkpoint(tmp_path / "run/last.safetensors").extra["progress"]["usual"]["loss"]
    assert loss > 10  # a blind guess costs 2 or 3
    assert not [line for line in log_of(tmp_path / "run") if line["event"] == "rolled back"]


def test_a_rollback_goes_back_two_checkpoints_where_the_last_is_far_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last_then_before = iter([True, False])
    monkeypatch.setattr(rollback, "diverged", lambda loss, size: next(last_then_before))
    with poisoned([33], break_weight):
        events = run(settings(tmp_path, on_nan="rollback"), tmp_path / "run")
    assert [one.step for one in events if isinstance(one, RolledBack)] == [20]
    assert isinstance(events[-1], Stopped)
    assert events[-1].step == 40


def test_the_first_steps_of_a_fine_tuning_are_not_thrown_far_off(tmp_path: Path) -> None:
    """Weights of other data cost there what they like."""
    run(settings(tmp_path), tmp_path / "other")
    best = tmp_path / "other" / "best.safetensors"
    origin = read_checkpoint(best)
    origin.tensors["model.output.weight"] *= 100
    write_checkpoint(best, origin)
    part = {"init_from": str(best), "warmup_steps": 30, "learning_rate": 1e-6}
    with poisoned([13], break_weight):
        events = run(settings(tmp_path, on_nan="rollback", **part), tmp_path / "run")
    assert [one.step for one in events if isinstance(one, RolledBack)] == [10]
    first = next(one for one in events if isinstance(one, Evaluated))
    assert diverged(first.score.nats, 10)


def test_an_evaluation_made_again_after_a_rollback_stands_there_once(tmp_path: Path) -> None:
    """Stopped between that evaluation and the next save: the best is still that of before."""
    config = settings(tmp_path, on_nan="rollback", save_every=7, eval_every=10)
    seen: list[int] = []

    def evaluated_again() -> bool:
        return seen == [10, 10]

    with poisoned([12], break_weight):
        for event in train(config, run=tmp_path / "run", device="cpu"):
            if isinstance(event, Evaluated):
                seen.append(event.step)
            if evaluated_again():
                break  # as if killed
    assert evaluated_at(tmp_path / "run") == [10, 10]
    run(config, tmp_path / "run", resume=True)
    # That of the best weights, from before the rollback, and what became of it
    assert evaluated_at(tmp_path / "run") == [10, 10, 20, 30, 40]


def test_before_the_first_checkpoint_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    with poisoned([3], break_weight), pytest.raises(NotFiniteError, match="none was written yet"):
        run(settings(tmp_path, on_nan="rollback"), tmp_path / "run")


def test_a_spike_is_logged_once_and_does_not_become_usual() -> None:
    rng, usual = random.Random(0), Usual()
    losses = [2.0 + rng.gauss(0, 0.05) for _ in range(2000)]
    assert sum(usual.take_in(loss) for loss in losses) == 0
    assert usual.loss == pytest.approx(2.0, abs=0.03)
    assert usual.deviation == pytest.approx(0.05 * (2 / 3.14159) ** 0.5, rel=0.3)
    assert [usual.take_in(3.0) for _ in range(3)] == [True] * 3
    assert not usual.take_in(2.05)
    sure = Usual()  # of a model that is nearly always right, a batch is ten times as hard as usual
    assert not any(sure.take_in(loss) for loss in [0.001] * 100 + [0.015])
    early = Usual()
    assert not any(early.take_in(loss) for loss in [1.0] * (FEWEST - 1) + [50.0])


def test_a_spike_in_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = LanguageModel.loss, iter(range(10**6))

    def jump(self: LanguageModel, *arguments: Any) -> Any:
        loss, count, state = real(self, *arguments)
        return (loss + 9.0 * count if next(calls) == 70 else loss), count, state

    monkeypatch.setattr(LanguageModel, "loss", jump)
    events = run(settings(tmp_path, max_steps=80), tmp_path / "run")
    (spike,) = (event for event in events if isinstance(event, Spike))
    assert spike.step == 71
    assert spike.loss - spike.usual == pytest.approx(9.0, abs=1.0)
    (line,) = (line for line in log_of(tmp_path / "run") if line["event"] == "spike")
    assert line == {"event": "spike", "step": 71, "loss": spike.loss, "usual": spike.usual}


def test_a_gradient_that_is_infinite_while_the_loss_is_not_is_told_as_that(tmp_path: Path) -> None:
    def break_gradient(model: LanguageModel, _: torch.optim.Optimizer) -> None:
        broken = torch.full_like(model.output.weight, torch.inf)
        model.output.weight.register_hook(lambda _: broken)  # type: ignore[no-untyped-call]

    with poisoned([13], break_gradient), pytest.raises(NotFiniteError) as caught:
        run(settings(tmp_path), tmp_path / "run")
    assert str(caught.value).startswith("step 15: ")
    assert "the norm of the gradient is inf" in str(caught.value)

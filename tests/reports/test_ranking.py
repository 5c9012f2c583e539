"""The settings of a sweep in order: means and spreads against numpy's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charseq.config import config_from_json
from charseq.reports.ranking import rank
from charseq.training.history import Evaluation, Run, State


def made(
    nats: float | None, seed: int = 0, state: State = "done", task: str = "lm", **more: Any
) -> Run:
    """A run whose best evaluation has this loss; ``more`` is a setting, or another measure."""
    measures: dict[str, Any] = {"accuracy": 0.5, "seconds": 1.0}
    measures |= {key: more.pop(key) for key in ("accuracy", "ser") if key in more}
    data: dict[str, Any] = {"task": task, "train": {"seed": seed}}
    data["data"] = {"text": "a.txt"} if task == "lm" else {"train": "a.tsv"}
    data["model"] = more
    evaluations: tuple[Evaluation, ...] = ()
    if nats is not None:
        evaluations = (
            Evaluation(event="evaluated", step=10, nats=nats, is_best=True, **measures),
            Evaluation(event="evaluated", step=20, nats=nats + 1, is_best=False, **measures),
        )
    config = config_from_json(data, where="the test")
    return Run(Path(f"runs/{seed}"), state, config=config, evaluations=evaluations)


def test_settings_are_ranked_by_their_means_over_seeds() -> None:
    narrow, wide = [1.5, 1.7, 1.9], [1.1, 1.3]
    runs = [made(x, seed, hidden_size=8) for seed, x in enumerate(narrow)]
    runs += [made(x, seed, hidden_size=16) for seed, x in enumerate(wide)]
    runs += [made(None, 2, "stopped", hidden_size=16), made(None, 0, "not started", hidden_size=4)]
    found = rank(runs, "loss")
    assert [one.values for one in found] == [{"model.hidden_size": size} for size in (16, 8, 4)]
    for one, values in zip(found, (wide, narrow), strict=False):
        spread = one.spread("loss")
        assert spread is not None
        assert spread.mean == pytest.approx(np.mean(values))
        assert spread.sd == pytest.approx(np.std(values, ddof=1))
        assert one.evaluated[0][1].nats == min(values)
    assert [len(one.runs) for one in found] == [3, 3, 1]
    assert found[2].spread("loss") is None
    assert found[0].name == "hidden_size=16"


def test_one_seed_has_no_spread() -> None:
    [one] = rank([made(1.5)], "loss")
    spread = one.spread("loss")
    assert spread is not None
    assert spread.sd is None
    assert (one.values, one.name) == ({}, "as configured")


def test_what_is_right_ranks_from_the_highest_and_the_loss_decides_between_equals() -> None:
    runs = [
        made(2.0, task="seq2seq", hidden_size=2, accuracy=0.1, ser=0.5),
        made(1.0, task="seq2seq", hidden_size=4, accuracy=0.1, ser=0.6),
        made(3.0, task="seq2seq", hidden_size=6, accuracy=0.9, ser=0.7),
    ]
    assert [one.values["model.hidden_size"] for one in rank(runs, "accuracy")] == [6, 4, 2]
    assert [one.values["model.hidden_size"] for one in rank(runs, "ser")] == [2, 4, 6]


def test_names_say_as_much_as_they_must() -> None:
    runs = [made(1.0, hidden_size=8, dropout=0.1), made(2.0, hidden_size=8, dropout=0.3)]
    assert [one.name for one in rank(runs, "loss")] == ["dropout=0.1", "dropout=0.3"]


def test_a_run_that_cannot_be_read_is_left_out() -> None:
    assert rank([Run(Path("x"), "unreadable", "why")], "loss") == []

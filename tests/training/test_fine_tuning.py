"""Fine-tuning: a training that begins with the weights of another, and then needs it no more."""

import math
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import stop_after

from charseq.config import Config, config_from_json, load_config
from charseq.errors import CharseqError
from charseq.inference.load import load_language_model, load_seq2seq
from charseq.models.checkpoint import read_checkpoint
from charseq.training.events import Evaluated, Event, Started
from charseq.training.loop import train

STILL = {"learning_rate": 1e-12, "weight_decay": 0.0, "max_steps": 3, "eval_every": 3}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    rng = random.Random(0)
    for name, letters in (("abc", "bdf"), ("more", "acdeg")):
        words = ["".join(rng.choices(letters, k=rng.randint(1, 4))) for _ in range(300)]
        Path(f"{name}.txt").write_text(" ".join(words) + "\n")
        lines = sorted({f"{word}\t{word[::-1].upper()}\n" for word in words})
        Path(f"{name}.tsv").write_text("".join(lines))


def settings(task: str, data: str, **training: Any) -> Config:
    sections: dict[str, Any] = {
        "task": task,
        "data": {"text": f"{data}.txt"} if task == "lm" else {"train": f"{data}.tsv"},
        "model": {"hidden_size": 8, "dropout": 0.2},
        "train": {
            "batch_size": 4,
            "max_steps": 24,
            "warmup_steps": 0,
            "learning_rate": 1e-2,
            "eval_every": 8,
            "save_every": 6,
            "average_decay": 0.9,
            "monitor": "loss",
            **({"seq_len": 8} if task == "lm" else {}),
            **training,
        },
    }
    sections["data"]["split"] = [0.8, 0.2, 0.0]
    return config_from_json(sections, where="the test")


def run(config: Config, folder: str, **options: Any) -> list[Event]:
    return list(train(config, run=folder, device="cpu", **options))


def first_loss(events: list[Event]) -> float:
    return next(event.score.nats for event in events if isinstance(event, Evaluated))


TASKS = pytest.mark.parametrize("task", ["lm", "seq2seq"])


@TASKS
def test_without_new_symbols_it_begins_where_the_other_was_best(task: str) -> None:
    """``best`` holds the averaged weights, and it is these that are begun with."""
    before = run(settings(task, "abc"), "runs/first")
    best = min(event.score.nats for event in before if isinstance(event, Evaluated))
    events = run(settings(task, "abc", init_from="runs/first", seed=5, **STILL), "runs/second")
    assert first_loss(events) == pytest.approx(best, rel=1e-6)
    scratch = run(settings(task, "abc", seed=5, **STILL), "runs/scratch")
    assert first_loss(scratch) > best + 0.05
    start = events[0]
    assert isinstance(start, Started)
    assert start.step == 0
    assert start.taken is not None
    assert start.taken.checkpoint == "runs/first/best.safetensors"
    assert start.taken.step == max(e.step for e in before if isinstance(e, Evaluated) and e.is_best)
    assert start.taken.grown == 0
    assert not any(start.taken.new_symbols.values())


@TASKS
def test_what_was_begun_with_may_be_gone_and_resuming_is_bit_for_bit(task: str) -> None:
    run(settings(task, "abc"), "runs/first")
    config = settings(task, "more", init_from="runs/first")
    run(config, "runs/whole")
    run(config, "runs/cut", should_stop=stop_after(11))
    shutil.rmtree("runs/first")
    torch.manual_seed(99)
    again = load_config(Path("runs/cut/config.yaml"))
    assert again == config
    resumed = run(again, "runs/cut", resume=True)
    assert isinstance(resumed[0], Started)
    assert (resumed[0].step, resumed[0].taken) == (11, None)
    for name in ("best", "last"):
        wanted, found = (
            read_checkpoint(Path(f"runs/{folder}/{name}.safetensors"))
            for folder in ("whole", "cut")
        )
        assert wanted.vocab == found.vocab
        assert wanted.tensors.keys() == found.tensors.keys()
        assert all(torch.equal(found.tensors[key], t) for key, t in wanted.tensors.items())
        assert wanted.extra["init_from"] == found.extra["init_from"]
        assert found.extra["init_from"]["checkpoint"] == "runs/first/best.safetensors"
        assert found.extra["init_from"]["step"] == 24


@TASKS
def test_one_file_is_all_that_the_tuned_model_needs(task: str, tmp_path: Path) -> None:
    """It knows the symbols of both, and converts or reads either."""
    run(settings(task, "abc"), "runs/first")
    events = run(settings(task, "more", init_from="runs/first/last.safetensors"), "runs/second")
    alone = tmp_path / "elsewhere" / "model.safetensors"
    alone.parent.mkdir()
    text, source = "bad fed cage\n", "badcafeg"
    if task == "lm":
        nats = load_language_model("runs/second").evaluate(text).nats
    else:
        (before,) = load_seq2seq("runs/second").convert([source], unknown="error")
    Path("runs/second/best.safetensors").rename(alone)
    shutil.rmtree("runs")
    for file in [*tmp_path.glob("*.txt"), *tmp_path.glob("*.tsv")]:
        file.unlink()
    start = events[0]
    assert isinstance(start, Started)
    assert start.taken is not None
    if task == "lm":
        assert start.taken.new_symbols == {"text": tuple("aceg")}
        assert load_language_model(alone).evaluate(text).nats == nats
    else:
        assert start.taken.new_symbols == {"source": tuple("aceg"), "target": tuple("ACEG")}
        (after,) = load_seq2seq(alone).convert([source], unknown="error")
        assert after.outputs[0].log_probability == before.outputs[0].log_probability
        assert after.outputs[0].text == before.outputs[0].text


def test_a_run_keeps_what_it_began_with() -> None:
    run(settings("lm", "abc"), "runs/first")
    run(settings("lm", "more", init_from="runs/first"), "runs/second")
    for other, said in (("runs/other", "runs/other"), (None, "null")):
        config = settings("lm", "more", init_from=other, max_steps=30)
        with pytest.raises(CharseqError, match=f"init_from was runs/first and is {said}; set it"):
            run(config, "runs/second", resume=True)
    plain = settings("lm", "abc", init_from="runs/second", max_steps=30)
    with pytest.raises(CharseqError, match="init_from was null and is runs/second; set it back"):
        run(plain, "runs/first", resume=True)
    with Path("more.txt").open("a") as file:
        file.write("ü")
    config = settings("lm", "more", init_from="runs/first", max_steps=30)
    with pytest.raises(CharseqError, match="the data, or how it is read and split, has changed"):
        run(config, "runs/second", resume=True)


def test_what_cannot_be_begun_with_leaves_no_folder() -> None:
    with pytest.raises(CharseqError, match=r"train\.init_from: runs/none: there is no such"):
        run(settings("lm", "abc", init_from="runs/none"), "runs/second")
    run(settings("lm", "abc", max_steps=2), "runs/first")
    with pytest.raises(CharseqError, match="task is lm there and seq2seq here"):
        run(settings("seq2seq", "abc", init_from="runs/first"), "runs/second", resume=True)
    assert not Path("runs/second").exists()
    # Nothing was begun in the folder: with --resume too the training begins with the other.
    events = run(settings("lm", "more", init_from="runs/first"), "runs/second", resume=True)
    assert isinstance(events[0], Started)
    assert events[0].taken is not None


def test_weights_that_are_sure_of_other_data_have_not_diverged() -> None:
    Path("sure.txt").write_text("ab" * 2000 + "\n")
    Path("other.txt").write_text("aabb" * 100 + "\n")
    run(settings("lm", "sure", max_steps=200, eval_every=100, learning_rate=5e-2), "runs/sure")
    changes = {"init_from": "runs/sure", "warmup_steps": 12, "eval_every": 4, "learning_rate": 1e-4}
    events = run(settings("lm", "other", **changes), "runs/other")
    scores = [event for event in events if isinstance(event, Evaluated)]
    assert scores[0].score.nats > 2 * math.log(4)  # this would have been called worse than guessing
    early = [event.diverged for event in scores if event.step <= 12]
    assert early == [False] * 3

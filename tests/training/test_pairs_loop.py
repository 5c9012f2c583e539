"""Training on pairs: the same loop, promises and files as for a text."""

import json
import math
import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import stop_after
from text_runs import changed

from charseq.config import config_from_json, load_config
from charseq.config.schema import Seq2SeqConfig
from charseq.errors import CharseqError, NotFiniteError
from charseq.inference.load import load_seq2seq
from charseq.models.checkpoint import read_checkpoint, write_checkpoint
from charseq.training.events import Evaluated, Event, Started, Stopped
from charseq.training.history import read_run
from charseq.training.loop import train


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Every string of one to four of three letters, and its reverse: 120 pairs."""
    strings = [""]
    for string in strings:
        if len(string) < 4:
            strings += [string + letter for letter in "abc"]
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{s}\t{s[::-1]}\n" for s in strings[1:]), encoding="utf-8")
    return path


def settings(pairs: Path, **changes: Any) -> Seq2SeqConfig:
    """A small run of 60 steps; a change is named section__setting."""
    data: dict[str, Any] = {
        "task": "seq2seq",
        "data": {"train": str(pairs), "split": [0.8, 0.1, 0.1]},
        "model": {"hidden_size": 8, "num_layers": 2, "dropout": 0.3, "weight_drop": 0.2},
        "train": {
            "batch_size": 5,
            "max_steps": 60,
            "learning_rate": 1e-2,
            "warmup_steps": 4,
            "eval_every": 20,
            "save_every": 10,
            "log_every": 7,
            "average_decay": 0.9,
            "scheduled_sampling": 0.2,
        },
    }
    config = config_from_json(changed(data, changes), where="the test")
    assert isinstance(config, Seq2SeqConfig)
    return config


def run(config: Seq2SeqConfig, folder: Path, **options: Any) -> list[Event]:
    return list(train(config, run=folder, device="cpu", **options))


def evaluations(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == "evaluated"]


def test_a_model_learns_to_reverse_strings_it_has_not_seen(pairs: Path, tmp_path: Path) -> None:
    config = settings(
        pairs,
        model__hidden_size=32,
        model__num_layers=1,
        model__dropout=0.0,
        model__weight_drop=0.0,
        train__scheduled_sampling=0.0,
        train__max_steps=300,
        train__batch_size=16,
        train__eval_every=100,
    )
    events = run(config, tmp_path / "run")
    start, end = events[0], events[-1]
    assert isinstance(start, Started)
    assert (start.train_size, start.valid_size, start.unit) == (96, 12, "pairs")
    assert start.steps_per_epoch == 6
    assert isinstance(end, Stopped)
    trained = load_seq2seq(tmp_path / "run")
    score, judged = trained.evaluate(trained.split_pairs("test"))
    assert score.accuracy >= 0.9
    assert [one.prediction for one in judged if one.right] == [
        one.example.source[::-1] for one in judged if one.right
    ]


def test_30_steps_and_30_more_are_60_bit_for_bit(pairs: Path, tmp_path: Path) -> None:
    config = settings(pairs, model__copy=True, model__embedding_size=6, model__input_dropout=0.1)
    run(config, tmp_path / "whole")
    for step in (13, 20, 60):  # at 20 and 60 within an evaluation
        stopped = run(config, tmp_path / f"cut{step}", should_stop=stop_after(step))[-1]
        assert isinstance(stopped, Stopped)
        assert (stopped.step, stopped.finished) == (step, False)
        evaluated = [line["step"] for line in evaluations(tmp_path / f"cut{step}")]
        assert evaluated == [at for at in (20, 40) if at < step]
        torch.manual_seed(step)
        run(config, tmp_path / f"cut{step}", resume=True)
        for name in ("last", "best"):
            wanted = read_checkpoint(tmp_path / "whole" / f"{name}.safetensors").tensors
            found = read_checkpoint(tmp_path / f"cut{step}" / f"{name}.safetensors").tensors
            assert wanted.keys() == found.keys()
            for key, tensor in wanted.items():
                assert torch.equal(tensor, found[key]), key


def test_spliced_pairs_are_trained_on_and_resumed_with(tmp_path: Path) -> None:
    """Each letter becomes its capital, so that any two words with two letters in common splice."""
    path = tmp_path / "capitals.tsv"
    words = ["".join(word) for word in product("abc", "de", "fg", "hij")]
    path.write_text("".join(f"{word}\t{word.upper()}\n" for word in words[::5]))
    config = settings(path, data__split=[1, 0, 0], train__spliced_pairs=4)
    start = run(config, tmp_path / "whole")[0]
    assert isinstance(start, Started)
    assert (start.train_size, start.spliced_pairs, start.spliced_pairs_asked) == (8, 4, 4)
    assert start.steps_per_epoch == math.ceil((8 + 4) / 5)
    run(config, tmp_path / "cut", should_stop=stop_after(13))
    run(config, tmp_path / "cut", resume=True)
    wanted, found = (
        read_checkpoint(tmp_path / name / "last.safetensors").tensors for name in ("whole", "cut")
    )
    assert all(torch.equal(tensor, found[key]) for key, tensor in wanted.items())
    fewer = settings(path, data__split=[1, 0, 0], train__spliced_pairs=3)
    with pytest.raises(CharseqError, match=r"train\.spliced_pairs was 4 and is 3"):
        run(fewer, tmp_path / "cut", resume=True)
    start = run(settings(path, data__split=[1, 0, 0], train__spliced_pairs=99), tmp_path / "all")[0]
    assert isinstance(start, Started)
    assert 4 < start.spliced_pairs <= len(words) - 8


@pytest.mark.parametrize(
    ("monitor", "key", "sign"),
    [("loss", "nats", 1), ("accuracy", "accuracy", -1), ("ser", "ser", 1)],
)
def test_the_best_checkpoint_follows_the_monitored_value(
    pairs: Path, tmp_path: Path, monitor: str, key: str, sign: int
) -> None:
    config = settings(
        pairs,
        train__monitor=monitor,
        train__eval_every=10,
        train__learning_rate=3e-2,
        train__max_steps=120,
        train__batch_size=16,
        train__schedule="constant",
        train__scheduled_sampling=0.0,
        model__hidden_size=16,
        model__num_layers=1,
        model__dropout=0.0,
        model__weight_drop=0.0,
    )
    events = run(config, tmp_path / "run")
    found = evaluations(tmp_path / "run")
    first_best = min(found, key=lambda line: (sign * line[key], line["nats"]))
    assert len({line[key] for line in found}) > 2
    end = events[-1]
    assert isinstance(end, Stopped)
    assert end.best_step == first_best["step"]
    score, _ = load_seq2seq(tmp_path / "run").evaluate(
        load_seq2seq(tmp_path / "run").split_pairs("valid"), beam=1
    )
    assert getattr(score, key) == pytest.approx(first_best[key], rel=1e-6)
    best = next(e for e in events if isinstance(e, Evaluated) and e.step == end.best_step)
    assert end.best_score == best.score.summary()


def test_among_equally_right_the_lower_loss_is_better(pairs: Path, tmp_path: Path) -> None:
    """At first nothing is right: patience must not run out while the loss falls."""
    config = settings(pairs, train__eval_every=10, train__patience=2, train__learning_rate=2e-3)
    events = run(config, tmp_path / "run")
    found = evaluations(tmp_path / "run")
    assert {line["accuracy"] for line in found} == {0.0}
    losses = [line["nats"] for line in found]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 6
    assert all(line["is_best"] for line in found)
    assert isinstance(events[-1], Stopped)
    assert events[-1].best_step == 60


def test_another_monitor_begins_its_own_comparison(pairs: Path, tmp_path: Path) -> None:
    run(settings(pairs, train__monitor="loss"), tmp_path / "run")
    longer = settings(pairs, train__monitor="ser", train__max_steps=80)
    events = run(longer, tmp_path / "run", resume=True)
    assert isinstance(events[-1], Stopped)
    assert events[-1].best_step == 80


def test_other_sources_to_judge_begin_their_own_comparison(pairs: Path, tmp_path: Path) -> None:
    """Of three sources the first weights may have the most by chance, of all of them not."""
    run(settings(pairs, train__eval_limit=3, train__monitor="loss"), tmp_path / "run")
    best = read_checkpoint(tmp_path / "run" / "best.safetensors").extra["progress"]
    assert best["judged"] == 3
    run(
        settings(pairs, train__eval_limit=None, train__monitor="loss", train__max_steps=80),
        tmp_path / "run",
        resume=True,
    )
    *_, last = evaluations(tmp_path / "run")
    assert last["is_best"]
    assert last["pairs"] > 3
    longer = settings(pairs, train__eval_limit=None, train__monitor="loss", train__max_steps=81)
    run(longer, tmp_path / "run", resume=True)
    best = read_checkpoint(tmp_path / "run" / "last.safetensors").extra["progress"]
    assert best["judged"] == last["pairs"]


def test_an_evaluation_converts_no_more_sources_than_the_limit(pairs: Path, tmp_path: Path) -> None:
    run(settings(pairs, train__eval_limit=3), tmp_path / "run")
    assert {line["pairs"] for line in evaluations(tmp_path / "run")} == {3}


def test_without_validation_pairs_there_is_nothing_to_wait_for(pairs: Path, tmp_path: Path) -> None:
    events = run(settings(pairs, data__split=[1.0, 0.0, 0.0]), tmp_path / "run")
    assert not any(isinstance(event, Evaluated) for event in events)
    few = [1 - 1e-9, 1e-9, 0.0]
    with pytest.raises(CharseqError, match=r"train\.patience needs validation data"):
        run(settings(pairs, data__split=few, train__patience=2), tmp_path / "other")


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("encoder.lstm.weight_hh_l0_reverse", "the encoder's output at source step 0"),
        ("encoder.bridge_h.0.weight", "the decoder's first h"),
        ("decoder.lstm.bias_ih_l1", "h of the decoder's layer 1 at target step 0"),
        ("decoder.output.bias", "the logits at target step 0"),
    ],
)
def test_a_nan_is_traced_to_where_it_comes_from(
    pairs: Path, tmp_path: Path, name: str, first: str
) -> None:
    config = settings(pairs, train__max_steps=10)
    run(config, tmp_path / "run")
    last = tmp_path / "run" / "last.safetensors"
    checkpoint = read_checkpoint(last)
    tensors = {key: tensor.clone() for key, tensor in checkpoint.tensors.items()}
    tensors[f"model.{name}"].view(-1)[-1] = torch.nan
    write_checkpoint(last, replace(checkpoint, tensors=tensors))
    with pytest.raises(NotFiniteError) as caught:
        run(settings(pairs, train__max_steps=20), tmp_path / "run", resume=True)
    message = str(caught.value)
    assert f"weights that are not finite: {name}" in message
    assert f"first in the forward pass: {first}\n" in message


def test_a_run_is_not_resumed_with_another_network_or_other_pairs(
    pairs: Path, tmp_path: Path
) -> None:
    run(settings(pairs, train__max_steps=10), tmp_path / "run")
    other = settings(pairs, train__max_steps=20, model__attention="dot", train__batch_size=6)
    with pytest.raises(
        CharseqError,
        match=r"model\.attention was general and is dot; train\.batch_size was 5 and is 6",
    ):
        run(other, tmp_path / "run", resume=True)
    with pairs.open("a", encoding="utf-8") as file:
        file.write("aaaaa\taaaaa\n")
    with pytest.raises(CharseqError, match="the data, or how it is read and split, has changed"):
        run(settings(pairs, train__max_steps=20), tmp_path / "run", resume=True)


@pytest.mark.parametrize(("targets", "copies"), [("abcX", True), ("abXY", False)])
def test_auto_copies_where_both_sides_have_the_same_symbols(
    tmp_path: Path, targets: str, copies: bool
) -> None:
    """Three of four target symbols are source symbols, or two."""
    path = tmp_path / "pairs.tsv"
    translate = str.maketrans("abcd", targets)
    words = ["".join(word) for word in product("abcd", repeat=2)]
    path.write_text("".join(f"{w}\t{w.translate(translate)}\n" for w in words), encoding="utf-8")
    config = settings(path, data__split=[1, 0, 0], model__copy="auto", train__max_steps=2)
    start = run(config, tmp_path / "run")[0]
    assert isinstance(start, Started)
    assert start.auto_copy == (copies, 2 + copies, 4, False)
    trained = load_seq2seq(tmp_path / "run")
    assert (trained.models[0].decoder.pointer is not None) is copies
    assert trained.config.model.copy is copies  # so that it is read as it was trained
    assert load_config(tmp_path / "run" / "config.yaml") == config
    run(
        config.model_copy(update={"train": config.train.model_copy(update={"max_steps": 3})}),
        tmp_path / "run",
        resume=True,
    )
    blind = config.model.model_copy(update={"attention": "none"})
    start = run(config.model_copy(update={"model": blind}), tmp_path / "none")[0]
    assert isinstance(start, Started)
    assert start.auto_copy is None  # whatever the symbols


def test_a_fine_tuning_copies_if_the_trained_model_does(tmp_path: Path) -> None:
    """Its targets share no symbol with their sources, so that auto alone would not."""
    trained, other = tmp_path / "trained.tsv", tmp_path / "other.tsv"
    trained.write_text("".join(f"{a}{b}\t{b}{a}\n" for a, b in product("abc", repeat=2)))
    other.write_text("".join(f"{a}{b}\tXY{'Z' * len(a)}\n" for a, b in product("abc", repeat=2)))
    part = {"data__split": [1, 0, 0], "model__copy": "auto"}
    run(settings(trained, **part, train__max_steps=2), tmp_path / "begun")
    part["train__init_from"] = str(tmp_path / "begun")
    start = run(settings(other, **part, train__max_steps=1), tmp_path / "run")[0]
    assert isinstance(start, Started)
    assert start.auto_copy == (True, 3, 6, True)
    shutil.rmtree(tmp_path / "begun")  # what resuming does not need
    start = run(settings(other, **part, train__max_steps=2), tmp_path / "run", resume=True)[0]
    assert isinstance(start, Started)
    assert start.auto_copy == (True, 3, 6, True)
    assert load_seq2seq(tmp_path / "run").models[0].decoder.pointer is not None


def test_other_data_are_told_as_such_where_auto_comes_to_something_else(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    config = settings(path, data__split=[1, 0, 0], model__copy="auto", train__max_steps=2)
    path.write_text("".join(f"{a}{b}\t{b}{a}\n" for a, b in product("abc", repeat=2)))
    run(config, tmp_path / "run")
    path.write_text("".join(f"{a}{b}\tX{a}Y\n" for a, b in product("abc", repeat=2)))
    with pytest.raises(CharseqError, match="the data, or how it is read and split, has"):
        run(config, tmp_path / "run", resume=True)


def test_settings_that_a_resumed_training_changes_are_said(pairs: Path, tmp_path: Path) -> None:
    config = settings(pairs, train__max_steps=2)
    run(config, tmp_path / "run")
    longer = settings(pairs, train__max_steps=3, model__dropout=0.1, data__split=[0.8, 0.1, 0.1])
    start = run(longer, tmp_path / "run", resume=True)[0]
    assert isinstance(start, Started)
    assert start.changed == ("model.dropout was 0.3 and is 0.1", "train.max_steps was 2 and is 3")
    start = run(longer, tmp_path / "run", resume=True)[0]
    assert isinstance(start, Started)
    assert start.changed == ()
    # Of a run that has ended nothing changes
    other = settings(pairs, train__max_steps=3, model__dropout=0.9)
    start = run(other, tmp_path / "run", resume=True)[0]
    assert isinstance(start, Started)
    assert start.changed == ()


def test_a_run_whose_share_to_validate_came_out_empty_is_done(pairs: Path, tmp_path: Path) -> None:
    config = settings(pairs, data__split=[0.998, 0.002, 0], train__max_steps=2)
    start = run(config, tmp_path / "run")[0]
    assert isinstance(start, Started)
    assert start.valid_size == 0
    found = read_run(tmp_path / "run")
    assert (found.state, found.ended, found.step) == ("done", True, 2)


def test_auto_does_not_take_the_place_of_what_a_run_began_with(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{a}{b}\t{b}{a}\n" for a, b in product("abc", repeat=2)))
    part = {"data__split": [1, 0, 0], "train__max_steps": 2}
    run(settings(path, **part, model__copy=False), tmp_path / "run")
    with pytest.raises(CharseqError, match=r"cannot go on: model\.copy was false and is true"):
        run(settings(path, **part, model__copy="auto"), tmp_path / "run", resume=True)

"""A contender of ``charseq bench`` is what it is said to be."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from charseq.config import config_from_json, config_to_json
from charseq.config.schema import LMConfig
from charseq.config.schema.lm import TextDataConfig
from charseq.models.build import build_model
from charseq.reports import bench_work
from charseq.reports.bench_work import _endless, _library, _products
from charseq.text.vocab import Vocab


def text(**model: Any) -> LMConfig:
    train = {"batch_size": 2, "seq_len": 3, "patience": 1, "schedule": "plateau", "clip_norm": None}
    data = {"data": {"text": "t"}, "model": {"hidden_size": 8, **model}, "train": train}
    config = config_from_json(data, where="the test")
    assert isinstance(config, LMConfig)
    return config


@pytest.mark.parametrize("sizes", [{}, {"num_layers": 2, "embedding_size": 3, "dropout": 0.5}])
def test_nn_lstm_learns_as_many_weights(
    sizes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[torch.Tensor] = []
    optimizer = torch.optim.AdamW

    def spy(parameters: Any, **options: Any) -> torch.optim.Optimizer:
        learnt.extend(parameters)
        return optimizer(learnt, **options)

    monkeypatch.setattr(torch.optim, "AdamW", spy)
    config, vocab = text(**sizes), Vocab("char", tuple("abcde"))
    turns = _library(config, vocab.size)
    ours = sum(parameter.numel() for parameter in build_model(config, vocab).parameters())
    second_biases = config.model.num_layers * 4 * 8
    assert sum(parameter.numel() for parameter in learnt) == ours + second_biases
    before = [parameter.detach().clone() for parameter in learnt]
    assert len(turns["train"](2)) == 2
    assert not any(torch.equal(*both) for both in zip(before, learnt, strict=True))
    assert turns["write"](0.0) > 0


def test_a_training_that_only_steps() -> None:
    config = _endless(text(backend="reference"), "manual", "fp32")
    train = config.train
    assert config.model.backend == "manual"
    assert min(train.max_steps or 0, train.eval_every, train.save_every) == 10**9
    assert (train.log_every, train.patience, train.schedule) == (1, None, "constant")
    config_from_json(config_to_json(config), where="the test")  # and the schema allows it


def test_the_peak_is_of_a_product_that_takes_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    def seconds(a: torch.Tensor, _: float, *, fast: bool) -> float:
        return (a.shape[0] / 1024) ** 3 * (0.004 if fast else 0.005)

    monkeypatch.setattr(bench_work, "_product_seconds", seconds)
    ready, turns = _products()
    assert ready == {"size": 2048}  # 0.032 seconds; one of 1024 takes less than 0.02
    assert turns["multiply"](0.0) == pytest.approx(2 * 1024**3 / 0.004)


def answers(lines: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any) -> list[Any]:
    """What a process answers to these lines."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    bench_work.main()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_line_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "abc.txt"
    path.write_text("abc" * 50)
    config = text().model_copy(update={"data": TextDataConfig(text=str(path))})
    spec = {
        "contender": "manual",
        "config": config_to_json(config),
        "vocab": Vocab("char", tuple("abc")).to_json(),
        "threads": 1,
        "run": str(tmp_path / "run"),
    }
    first, *rest = answers([json.dumps(spec), "train 3", "write 0", "train 1"], monkeypatch, capsys)
    assert first == {
        "parameters": 32 * (3 + 8 + 1) + 3 * 8 + 3,
        "vocab_size": 3,
        "threads": 1,
        "turns": ["train", "write"],
    }
    assert [len(found) if isinstance(found, list) else 1 for found in rest] == [3, 1, 1]
    log = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in log] == [1, 2, 3, 4, 5, 6]


def test_an_error_is_an_answer_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec: Any = {"contender": "manual", "config": {"data": {}}, "threads": None}
    (answer,) = answers([json.dumps(spec)], monkeypatch, capsys)
    assert answer["error"].startswith("the benchmark: data.text:")

"""A small training of the text, its settings one by one, and what it leaves in its folder."""

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from charseq.config import Config, config_from_json
from charseq.config.schema import LMConfig
from charseq.models.checkpoint import read_checkpoint
from charseq.training.events import Event
from charseq.training.loop import train


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
    config = config_from_json(changed(data, changes), where="the test")
    assert isinstance(config, LMConfig)
    return config


def changed(data: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Settings with changes, each named section__setting."""
    for name, value in changes.items():
        section, setting = name.split("__")
        data[section][setting] = value
    return data


def run(config: Config, folder: Path, **options: Any) -> list[Event]:
    return list(train(config, run=folder, device="cpu", **options))


def tensors(path: Path) -> dict[str, Tensor]:
    return read_checkpoint(path).tensors


def lines(folder: Path) -> list[dict[str, Any]]:
    """The log, without what a clock measured."""
    clocks = {"seconds", "seconds_left", "symbols_per_second"}
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in clocks} for line in found]

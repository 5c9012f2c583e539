"""A small training of a text, for the tests of what goes wrong with one; when any is stopped."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook

from charseq.config import config_from_json
from charseq.config.schema import LMConfig
from charseq.training.events import Event
from charseq.training.loop import train


def settings(folder: Path, **train_settings: Any) -> LMConfig:
    text = folder / "text.txt"
    if not text.exists():
        rng = random.Random(0)
        text.write_text("".join(rng.choice(["hot cold. ", "day night. "]) for _ in range(500)))
    data = {
        "data": {"text": str(text)},
        "model": {"hidden_size": 12, "num_layers": 2},
        "train": {
            "batch_size": 4,
            "seq_len": 9,
            "max_steps": 40,
            "warmup_steps": 0,
            "learning_rate": 0.01,
            "schedule": "constant",
            "eval_every": 20,
            "save_every": 10,
            "log_every": 5,
            **train_settings,
        },
    }
    config = config_from_json(data, where="the test")
    assert isinstance(config, LMConfig)
    return config


def run(config: LMConfig, folder: Path, **options: Any) -> list[Event]:
    return list(train(config, run=folder, device="cpu", **options))


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def stop_after(steps: int) -> Callable[[], bool]:
    """A ``should_stop`` that says so once that many updates have been made."""
    made: list[object] = []
    hook = register_optimizer_step_post_hook(lambda *_: made.append(None))

    def should_stop() -> bool:
        if len(made) >= steps:
            hook.remove()
        return len(made) >= steps

    return should_stop

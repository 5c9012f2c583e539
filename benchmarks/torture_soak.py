"""Train for very many small steps and saves, and see whether anything grows."""

import resource
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass
class Soak:
    """What was held, at the end and by step."""

    steps: int = 0
    saves: int = 0
    resident_megabytes: float = 0.0
    kilobytes_per_1000_steps: float = 0.0  # the slope of a line through the second half
    handles_at_first: int = 0
    handles: int = 0
    left_behind: int = 0  # temporary files


def soak(text: Path, folder: Path, steps: int, saves: int) -> Soak:
    """``steps`` updates of a tiny model, ``saves`` checkpoints, a tenth as many evaluations."""
    from charseq.config import config_from_json
    from charseq.training.events import Saved
    from charseq.training.loop import train

    every = steps // saves
    config = config_from_json(
        {
            "data": {"text": str(text)},
            "model": {"hidden_size": 8},
            "train": {
                "batch_size": 2,
                "seq_len": 4,
                "max_steps": steps,
                "save_every": every,
                "eval_every": 10 * every,
                "log_every": 10,
            },
        },
        where="the soak",
    )
    result = Soak(steps=steps)
    sizes = np.ones((saves + 1, 2))  # steps and kilobytes; written to already, so it grows no more
    for event in train(config, run=folder):
        if isinstance(event, Saved):
            sizes[result.saves] = event.step, resident_kilobytes()
            result.saves += 1
            result.handles = len(list(Path("/proc/self/fd").iterdir()))
            result.handles_at_first = result.handles_at_first or result.handles
    later = sizes[result.saves // 2 : result.saves]
    if len(later) > 1:
        result.kilobytes_per_1000_steps = float(1000 * np.polyfit(later[:, 0], later[:, 1], 1)[0])
    result.resident_megabytes = resident_kilobytes() / 1024
    result.left_behind = len(list(folder.glob("*.tmp"))) + len(list(folder.glob(".*.tmp")))
    return result


def resident_kilobytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024

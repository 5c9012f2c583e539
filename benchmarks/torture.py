"""Kill trainings, damage checkpoints, feed nonsense, train for long: does charseq keep its word?

    python benchmarks/torture.py                          # all of it, about fifteen minutes
    python benchmarks/torture.py --only kills --share 0.1
    python benchmarks/torture.py --seed 1 --json torture.json

    kills     200 trainings of each task's small configuration die by SIGKILL, most of them inside a
              save that is stretched for that; each goes on by `charseq train --resume`
    damage    1,000 flipped bits, 200 truncations, 200 overwritten blocks, and files of other kinds
    disks     a small tmpfs that is full, then not; one that is read-only. Where mounts are not
              allowed that is said, and nothing tried
    fuzz      100,000 configurations and checkpoints: only a CharseqError may come out
    soak      100,000 steps and 1,000 saves: memory, file handles, temporary files

The exit code is 1 where a promise was broken. What is promised: docs/reliability.md.
"""

import argparse
import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

KILLS, FUZZED, STEPS, SAVES = 200, 100_000, 100_000, 1_000
CONFIGS = Path(__file__).parent.parent / "configs"
# About three hundred steps, a save every six, so that most moments are near one
TRAIN = {
    "batch_size": 4, "max_steps": 300, "save_every": 6, "eval_every": 30, "log_every": 1,
    "average_decay": 0.9, "warmup_steps": 5,
}  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    options.add_argument("--only", action="append", choices=list(PARTS))
    options.add_argument("--share", type=float, default=1.0, help="of what each part does")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--json", type=Path, metavar="FILE")
    chosen = options.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["CHARSEQ_CACHE_DIR"] = str(Path(scratch) / "cache")
        for name in chosen.only or PARTS:
            folder = Path(scratch) / name
            folder.mkdir()
            results[name] = PARTS[name](folder, chosen.share, chosen.seed)
    broken = show(results)
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=2) + "\n")
    return int(broken)


def kills(folder: Path, share: float, seed: int) -> list[dict[str, Any]]:
    from torture_kills import torture

    import charseq.cli.after_train
    import charseq.training.loop  # noqa: F401  each start is a fork of what is imported here

    rows = []
    for task, config in small_configs(folder).items():
        found = torture(config, folder / task, max(2, round(KILLS * share)), seed)
        ok = found.different == 0 and found.left_behind == 0
        rows.append({"what": task, **dataclasses.asdict(found), "ok": ok})
    return rows


def damage(folder: Path, share: float, seed: int) -> list[dict[str, Any]]:
    from torture_files import damage

    found = damage(trained(folder)[0], folder, share, seed)
    rows: list[dict[str, Any]] = [
        {"what": kind, "tried": tried, "refused": found.refused.get(kind, 0)}
        for kind, tried in found.tried.items()
    ]
    for row in rows:
        row["ok"] = row["tried"] == row["refused"]
    bounds = {"slowest": found.slowest, "megabytes": found.megabytes}
    return [*rows, {"what": "bounds", **bounds, "ok": found.slowest < 1 and found.megabytes < 100}]


def disks(folder: Path, share: float, seed: int) -> list[dict[str, Any]]:  # noqa: ARG001
    from torture_disks import disks

    place = folder / "disk"
    place.mkdir()
    return disks(small_configs(folder)["language model"], place)


def fuzz(folder: Path, share: float, seed: int) -> list[dict[str, Any]]:
    from torture_fuzz import fuzz_bytes, fuzz_configs, fuzz_meanings

    checkpoints, count = trained(folder), round(FUZZED * share)
    parts = {
        "configurations": fuzz_configs(sorted(CONFIGS.glob("*.yaml")), folder, count // 2, seed),
        "checkpoints, bytes": fuzz_bytes(checkpoints, folder, count * 4 // 10, seed),
        "checkpoints, meaning": fuzz_meanings(checkpoints, folder, count // 10, seed),
    }
    rows = []
    for what, found in parts.items():
        for told in found.escaped[:3]:
            print(told, file=sys.stderr)
        row = {**dataclasses.asdict(found), "escaped": len(found.escaped)}
        ok = not found.escaped and found.slowest < 5
        if what == "checkpoints, bytes":  # every file was changed
            ok = ok and found.accepted == 0
        rows.append({"what": what, **row, "ok": ok})
    return rows


def soak(folder: Path, share: float, seed: int) -> list[dict[str, Any]]:  # noqa: ARG001
    from torture_soak import soak

    found = soak(write_text(folder), folder / "run", round(STEPS * share), round(SAVES * share))
    flat = abs(found.kilobytes_per_1000_steps) < 10 and found.handles == found.handles_at_first
    ok = flat and found.left_behind == 0
    return [{"what": "language model", **dataclasses.asdict(found), "ok": ok}]


PARTS: dict[str, Callable[[Path, float, int], list[dict[str, Any]]]] = {
    "kills": kills,
    "damage": damage,
    "disks": disks,
    "fuzz": fuzz,
    "soak": soak,
}


def small_configs(folder: Path) -> dict[str, Path]:
    """A configuration of each task that trains for a second."""
    text = {
        "task": "lm",
        "data": {"text": str(write_text(folder))},
        "model": {"hidden_size": 16, "num_layers": 2, "dropout": 0.2},
        "train": {**TRAIN, "seq_len": 12},
    }
    pairs = {
        "task": "seq2seq",
        "data": {"train": str(write_pairs(folder))},
        "model": {"hidden_size": 8, "dropout": 0.2},
        "train": {**TRAIN, "scheduled_sampling": 0.1},
    }
    found = {}
    for name, config in (("language model", text), ("pairs", pairs)):
        found[name] = folder / f"{config['task']}.yaml"
        found[name].write_text(json.dumps(config))  # JSON is YAML
    return found


def trained(folder: Path) -> list[Path]:
    """A checkpoint of each task, with all that resuming needs."""
    from charseq.config import load_config
    from charseq.training.loop import train

    found = []
    for path in small_configs(folder).values():
        run = folder / path.stem
        config = load_config(path, ["train.max_steps=12", "train.eval_every=6"])
        list(train(config, run=run, device="cpu"))
        found.append(run / "last.safetensors")
    return found


def write_text(folder: Path) -> Path:
    import random

    rng, path = random.Random(0), folder / "text.txt"
    words = ["hot", "cold", "day", "night", "up", "down", "left", "right", "é", "\n"]
    path.write_text(" ".join(rng.choice(words) for _ in range(3000)), encoding="utf-8")
    return path


def write_pairs(folder: Path) -> Path:
    import random

    rng, path = random.Random(0), folder / "pairs.tsv"
    sources = {"".join(rng.choices("abcdef", k=rng.randrange(1, 7))) for _ in range(400)}
    path.write_text("".join(f"{source}\t{source[::-1]}\n" for source in sorted(sources)))
    return path


def show(results: dict[str, list[dict[str, Any]]]) -> bool:
    """Print a table for each part; whether a promise was broken."""
    console = Console()
    for part, rows in results.items():
        keys = list(dict.fromkeys(key for row in rows for key in row if key not in ("what", "ok")))
        table = Table(part, *(key.replace("_", " ") for key in keys), "kept")
        for row in rows:
            cells = [_cell(row.get(key)) for key in keys]
            table.add_row(row["what"], *cells, "yes" if row["ok"] else "[red]NO[/red]")
        console.print(table)
    return not all(row["ok"] for rows in results.values() for row in rows)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.3f}" if isinstance(value, float) else f"{value:,}"


if __name__ == "__main__":
    sys.exit(main())

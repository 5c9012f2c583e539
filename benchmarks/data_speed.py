"""Speed of a large text on its way into a training: counted, encoded, mapped, cut into batches.

    python benchmarks/data_speed.py                              # 1 GB a text, about a minute
    python benchmarks/data_speed.py --size 200 --json data.json  # in MB

Two texts are drawn from a fixed seed, UTF-8: one in ASCII, with the letters as frequent as in this
paragraph, and one in which 5 % of the characters are others, of two and three bytes. They and the
cache of ids stand in a folder that is removed at the end; it needs twice the size on the disk.
A text has just been written, so the disk is not read. Each is worked on in a process of its own:

    count     which characters occur, and the sha256 of the file
    encode    characters to ids in the cache, brought to the disk
    again     `load_corpus`, as every later training starts: count, then map the cached ids
    memory    the peak of the process so far, before it imports torch
    batch     one of the default shape from the memory map, the median of a thousand
    step      one of `charseq train` with its default model; how much of it is the batch

MB/s are those of the file's bytes: 10^6.
"""

import argparse
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from charseq.config import config_from_json
from charseq.config.schema import LMConfig
from charseq.text.characters import count_characters
from charseq.text.corpus import Streams, load_corpus
from charseq.text.encode import encode_file
from charseq.text.read import read_chunks
from charseq.text.vocab import Vocab

TEXTS = {"ASCII": 0.0, "5 % others": 0.05}  # the share of other characters
LETTERS = (__doc__ or "").split("\n\n")[2]
OTHERS = "éèêàçäöüßñøåłžşğµ°§×«»αβγδεικλνορστυабвгдеиклмнопрсту–—“”‘’…€漢字仮名交文中国"
BLOCK = 1 << 18  # characters drawn at once
BATCHES = 1000


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--size", type=float, default=1000, metavar="MB", help="of each text")
    parser.add_argument("--folder", type=Path, help="where the texts go for the time being")
    parser.add_argument("--steps", type=int, default=12, help="training steps to time; 0: none")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--work", type=Path, metavar="TEXT", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work:
        print(json.dumps(work(options.work, options.steps)))
        return
    size = int(options.size * 1e6)
    results = [measure(name, size, options.folder, options.steps) for name in TEXTS]
    from charseq.reports import bench

    machine = {**bench.machine(), "numpy": np.__version__, "megabytes": size / 1e6}
    show(results, machine)
    if options.json:
        options.json.write_text(json.dumps({**machine, "results": results}, indent=2) + "\n")


def measure(name: str, size: int, parent: Path | None, steps: int) -> dict[str, Any]:
    """Write a text, and let a process of its own work on it."""
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        path = Path(folder) / "text.txt"
        write_text(path, size, TEXTS[name])
        result = subprocess.run(
            [sys.executable, __file__, "--work", str(path), "--steps", str(steps)],
            env={**os.environ, "CHARSEQ_CACHE_DIR": folder},
            stdout=subprocess.PIPE,
            check=True,
        )
        return {"text": name, **json.loads(result.stdout)}


def write_text(path: Path, size: int, others: float) -> None:
    """At least ``size`` bytes of UTF-8; a block of them more at most."""
    rng = np.random.default_rng(0)
    letters, strange = (np.frombuffer(t.encode("utf-16-le"), "<u2") for t in (LETTERS, OTHERS))
    with path.open("wb") as file:
        while file.tell() < size:
            text = letters[rng.integers(len(letters), size=BLOCK)]
            if others:
                at = rng.random(BLOCK) < others
                text[at] = strange[rng.integers(len(strange), size=at.sum())]
            file.write(text.tobytes().decode("utf-16-le").encode())


def work(path: Path, steps: int) -> dict[str, Any]:
    """Every stage of one text, in the order in which a training takes them."""
    config = config_from_json({"data": {"text": str(path)}, "train": {"log_every": 1}}, where="")
    assert isinstance(config, LMConfig)
    seconds: dict[str, float] = {}
    digest = hashlib.sha256()
    began = time.perf_counter()
    vocab = Vocab.from_counts(count_characters(read_chunks(path, observe=digest.update)))
    seconds["count"] = time.perf_counter() - began
    began = time.perf_counter()
    ids = encode_file(path, vocab, sha256=digest.hexdigest())
    seconds["encode"] = time.perf_counter() - began
    peak = peak_memory()
    began = time.perf_counter()
    corpus = load_corpus(config.data)
    seconds["again"] = time.perf_counter() - began
    streams = Streams(corpus.train, config.train.batch_size, config.train.seq_len)
    batches = []
    for step in range(BATCHES):
        began = time.perf_counter()
        streams.batch(step)
        batches.append(time.perf_counter() - began)
    size = path.stat().st_size
    return {
        "bytes": size,
        "characters": len(ids),
        "symbols": vocab.size,
        "seconds": seconds,
        "megabytes_per_second": {stage: size / 1e6 / took for stage, took in seconds.items()},
        "peak_megabytes": peak,
        "batch": [config.train.batch_size, config.train.seq_len],
        "batch_seconds": statistics.median(batches),
        "step_seconds": step_seconds(config, path.parent / "run", steps) if steps else None,
    }


def step_seconds(config: LMConfig, run: Path, steps: int) -> float:
    """The median step of a training, without the first three."""
    from charseq.training.events import Step
    from charseq.training.loop import train

    symbols = config.train.batch_size * config.train.seq_len
    taken = (event for event in train(config, run=run) if isinstance(event, Step))
    timed = islice(taken, 3, 3 + steps)
    return statistics.median(symbols / event.symbols_per_second for event in timed)


def peak_memory() -> float:
    """The most memory that this process has held so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def show(results: list[dict[str, Any]], machine: dict[str, Any]) -> None:
    table = Table(title=", ".join(f"{key} {value}" for key, value in machine.items()))
    table.add_column("text")
    for heading in ("count\nMB/s", "encode\nMB/s", "again\nMB/s", "memory\nMB", "batch\nµs"):
        table.add_column(heading, justify="right")
    table.add_column("step\nms", justify="right")
    table.add_column("batch\nof step", justify="right")
    for result in results:
        batch, step = result["batch_seconds"], result["step_seconds"]
        table.add_row(
            result["text"],
            *(f"{speed:,.0f}" for speed in result["megabytes_per_second"].values()),
            f"{result['peak_megabytes']:.0f}",
            f"{batch * 1e6:.0f}",
            f"{step * 1e3:.1f}" if step else "",
            f"{batch / step:.2%}" if step else "",
        )
    Console().print(table)


if __name__ == "__main__":
    main()

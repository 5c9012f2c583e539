"""Contenders that take turns, each in a process of its own; what the speed benchmarks share.

Settings that matter (threads, malloc, the precision of products) belong to a process, so a script
starts itself once for each contender with ``--work CONTENDER SHAPE``, and every process answers
each line that it reads with a number. They are asked A B C, A B C, …, so that a machine that slows
down slows all.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch


class Contenders:
    """The processes of a script, one for each name, while the context lasts."""

    def __init__(self, script: str, names: Iterable[str], shape: str, threads: int) -> None:
        command = [sys.executable, script, "--threads", str(threads), "--work"]
        self._processes = {
            name: subprocess.Popen(
                [*command, name, shape], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for name in names
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.communicate()

    def ask(self, name: str, what: str) -> float:
        """The number that a contender answers a line with."""
        process = self._processes[name]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(what + "\n")
        process.stdin.flush()
        return float(process.stdout.readline())

    def rounds(self, count: int, what: str, warm_up: int = 3) -> dict[str, list[float]]:
        """Ask all of them in turn; the answers of each, without those of the first rounds."""
        answers: dict[str, list[float]] = {name: [] for name in self._processes}
        for turn in range(count + warm_up):
            for name, numbers in answers.items():
                number = self.ask(name, what)
                if turn >= warm_up:  # before: caches fill, the optimizer makes its state
                    numbers.append(number)
        return answers


def answer(how: Callable[[str], float]) -> None:
    """What a contender's process does: it answers every line with a number."""
    for line in sys.stdin:
        print(how(line.rstrip("\n")), flush=True)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, Any]:
    """Ours / theirs, round by round: the median and the quartiles."""
    low, median, high = np.quantile(np.divide(ours, theirs), [0.25, 0.5, 0.75]).tolist()
    return {"median": median, "quartiles": [low, high]}


def show_ratio(figures: dict[str, Any]) -> str:
    """As 1.23 (1.20–1.25)."""
    low, high = figures["quartiles"]
    return f"{figures['median']:.2f} ({low:.2f}–{high:.2f})"


def parser(description: str, *, rounds: int) -> argparse.ArgumentParser:
    """The options that all of them have."""
    made = argparse.ArgumentParser(description=description.split("\n", maxsplit=1)[0])
    made.add_argument("--rounds", type=int, default=rounds)
    made.add_argument("--threads", type=int, default=torch.get_num_threads())
    made.add_argument("--json", type=Path, metavar="FILE")
    made.add_argument("--work", nargs=2, metavar=("CONTENDER", "SHAPE"), help=argparse.SUPPRESS)
    return made


def machine(threads: int) -> dict[str, object]:
    """On what it was measured."""
    from charseq.lstm import kernel
    from charseq.reports import bench

    built = kernel.why_not() or kernel.load().instructions
    return {**bench.machine(), "threads": threads, "kernel": built}


def write_json(path: Path | None, on: dict[str, object], results: list[Any]) -> None:
    """What was measured, as a file; nothing where no file is wanted."""
    if path:
        path.write_text(json.dumps({**on, "results": results}, indent=2) + "\n")

"""Speed of a whole training step: charseq's LSTM beside torch.nn.LSTM, interleaved.

    python benchmarks/train_speed.py                         # three shapes, about five minutes
    python benchmarks/train_speed.py --shape 64,128,256,1 --rounds 30 --json speed.json

Every contender is a process of its own, because the settings that matter belong to a process:

    nn.LSTM          as users run it: one-hot vectors, cross_entropy, AdamW, clipping
    nn.LSTM tuned    the same, and malloc keeps what it frees (charseq.training.speed)
    manual           charseq's training step as `charseq train` runs it
    torch            the same, with backend: torch

The processes take turns, A B C D, A B C D, …, so that a machine that slows down slows all. A turn
is one step that fetches the caches back and three that are timed. A figure is the median over the
rounds; a ratio is the median of the ratios round by round, with its quartiles; `nn.LSTM` = 1.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

SHAPES = ["50,50,128,2", "64,128,256,1", "64,128,512,2", "32,256,1024,1"]
CONTENDERS = ["nn.LSTM", "nn.LSTM tuned", "manual", "fused"]
SYMBOLS = 65
TIMED = 3  # steps of a turn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--shape", action="append", metavar="B,T,H,LAYERS")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--work", nargs=2, metavar=("CONTENDER", "SHAPE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.work:
        work(*options.work)
        return
    results = [measure(s, options.rounds, options.threads) for s in options.shape or SHAPES]
    machine = {
        "processor": processor(),
        "threads": options.threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    show(results, machine)
    if options.json:
        options.json.write_text(json.dumps({**machine, "results": results}, indent=2) + "\n")


def measure(shape: str, rounds: int, threads: int) -> dict[str, object]:
    """Let the contenders take steps in turn; seconds a step, by contender."""
    command = [sys.executable, __file__, "--threads", str(threads), "--work"]
    processes = {
        name: subprocess.Popen(
            [*command, name, shape], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in CONTENDERS
    }
    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for turn in range(rounds + 3):
        for name, process in processes.items():
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("step\n")
            process.stdin.flush()
            took = float(process.stdout.readline())
            if turn >= 3:  # the first steps fill caches and make the optimizer's state
                seconds[name].append(took)
    for process in processes.values():
        process.communicate()
    batch, steps, _, _ = map(int, shape.split(","))
    ratios = {
        name: [base / took for base, took in zip(seconds["nn.LSTM"], seconds[name], strict=True)]
        for name in CONTENDERS
    }
    return {
        "shape": shape,
        "contenders": {
            name: {
                "chars_per_second": batch * steps / statistics.median(seconds[name]),
                "ratio": statistics.median(ratios[name]),
                "ratio_quartiles": statistics.quantiles(ratios[name], n=4)[::2],
            }
            for name in CONTENDERS
        },
    }


def work(contender: str, shape: str) -> None:
    """Take a turn for each line read, and print the seconds that a step took."""
    batch, steps, hidden, layers = map(int, shape.split(","))
    torch.manual_seed(0)
    step = (
        library_step(batch, steps, hidden, layers, tuned=contender.endswith("tuned"))
        if contender.startswith("nn.LSTM")
        else charseq_step(batch, steps, hidden, layers, contender)
    )
    if not contender.startswith("nn.LSTM"):
        from charseq.training.speed import fast_products

        with fast_products(torch.device("cpu")):
            take_turns(step)
    else:
        take_turns(step)


def take_turns(step: Callable[[], float]) -> None:
    for _ in sys.stdin:
        step()
        began = time.perf_counter()
        for _ in range(TIMED):
            step()
        print((time.perf_counter() - began) / TIMED, flush=True)


def library_step(
    batch: int, steps: int, hidden: int, layers: int, *, tuned: bool
) -> Callable[[], float]:
    """The ten lines that a user of torch writes."""
    if tuned:
        from charseq.training.speed import keep_freed_memory

        keep_freed_memory()
    lstm = torch.nn.LSTM(SYMBOLS, hidden, layers)
    output = torch.nn.Linear(hidden, SYMBOLS)
    parameters = [*lstm.parameters(), *output.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)
    text = torch.randint(SYMBOLS, (steps + 1, batch))
    state = None

    def step() -> float:
        nonlocal state
        x = torch.nn.functional.one_hot(text[:-1], SYMBOLS).float()
        h, (h_n, c_n) = lstm(x, state)
        state = (h_n.detach(), c_n.detach())
        logits = output(h)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), text[1:].flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        return loss.item()

    return step


def charseq_step(
    batch: int, steps: int, hidden: int, layers: int, backend: str
) -> Callable[[], float]:
    """A step of ``charseq.training.loop``, with the process set as it sets it."""
    import numpy as np

    from charseq.config import config_from_json
    from charseq.models.language_model import LanguageModel
    from charseq.text.corpus import Streams
    from charseq.training.optim import make_optimizer
    from charseq.training.speed import keep_freed_memory

    keep_freed_memory()
    model = LanguageModel(SYMBOLS, hidden, layers, backend=backend)
    config = config_from_json({"data": {"text": "random"}}, where="the benchmark")
    optimizer = make_optimizer(model, config.train)
    ids = np.random.default_rng(0).integers(SYMBOLS, size=batch * steps * 4 + 1, dtype=np.uint8)
    streams = Streams(ids, batch, steps)
    state = None
    taken = 0

    def step() -> float:
        nonlocal state, taken
        optimizer.zero_grad()
        loss_sum, count, state = model.loss(streams.batch(taken), state)
        torch.autograd.backward(loss_sum / count)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        loss, _ = torch.stack([loss_sum.detach(), norm]).tolist()
        optimizer.step()
        taken += 1
        return float(loss)

    return step


def processor() -> str:
    """The name of the processor, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def show(results: list[dict[str, object]], machine: dict[str, object]) -> None:
    console = Console()
    table = Table(title="characters per second, and the ratio to nn.LSTM")
    table.add_column("B,T,H,layers")
    for name in CONTENDERS:
        table.add_column(name, justify="right")
    for result in results:
        cells = [str(result["shape"])]
        contenders = result["contenders"]
        assert isinstance(contenders, dict)
        for figures in contenders.values():
            low, high = figures["ratio_quartiles"]
            cells.append(
                f"{figures['chars_per_second']:,.0f}\n{figures['ratio']:.2f} ({low:.2f}–{high:.2f})"
            )
        table.add_row(*cells)
    console.print(table)
    console.print(", ".join(f"{name}: {value}" for name, value in machine.items()), markup=False)


if __name__ == "__main__":
    main()

"""Speed of writing one text, a symbol at a time: charseq beside a loop around torch.nn.LSTM.

    python benchmarks/sample_speed.py                        # two sizes, about three minutes
    python benchmarks/sample_speed.py --shape 1024,2 --threads 2 --rounds 30 --json speed.json

Every contender is a process of its own, and they take turns (``turns.py``):

    nn.LSTM          as users write it: a one-hot vector, nn.LSTM, a softmax, torch.multinomial
    charseq          what `charseq sample` prints, by the compiled kernel
    charseq bf16     the same with `--precision bf16`, where the processor has it
    charseq torch    the same where there is no kernel
    read             no model: memory of the size of the weights, read as fast as torch.sum reads it

A turn takes about a quarter of a second. A figure is the median over the rounds; a ratio is the
median of the ratios round by round, with its quartiles. Every weight is read for every character,
so a model that is larger than a core's own cache is bounded by how fast its weights can be read:
for those the last columns are the bytes of weights that charseq reads a second, and what share that
is of ``read``.
"""

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from turns import Contenders, answer, machine, parser, ratio, show_ratio, write_json

from charseq.inference.decode import Writer, generate_text
from charseq.inference.torch_stream import TorchStream
from charseq.lstm import kernel
from charseq.lstm.drawing import Drawing
from charseq.lstm.stream import Stream
from charseq.models.language_model import LanguageModel
from charseq.text.vocab import Vocab

SHAPES = ["128,1", "512,2"]
VOCAB = Vocab("char", tuple(map(chr, range(33, 33 + 65))))
SECONDS = 0.25  # of a turn
CACHE = 2 << 20  # bytes of weights that a core may keep to itself
OURS = {"charseq": 4, "charseq bf16": 2, "charseq torch": 4}  # bytes of a weight
READ = {"charseq": "read", "charseq bf16": "read bf16"}


def main() -> None:
    options = parser(__doc__ or "", rounds=20)
    options.set_defaults(threads=1)
    options.add_argument("--shape", action="append", metavar="H,LAYERS")
    chosen = options.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(chosen.threads)  # for the processes to come
    torch.set_num_threads(chosen.threads)
    if chosen.work:
        answer(work(*chosen.work))
        return
    names = ["nn.LSTM", "charseq torch", *READ, *READ.values()]
    if kernel.why_not():
        names = ["nn.LSTM", "charseq torch"]
    elif "bfloat16" not in kernel.load().kinds:
        names = ["nn.LSTM", "charseq torch", "charseq", "read"]
    results = [measure(s, names, chosen.rounds, chosen.threads) for s in chosen.shape or SHAPES]
    show(results)
    on = machine(chosen.threads)
    print(", ".join(f"{name}: {value}" for name, value in on.items()))
    write_json(chosen.json, on, results)


def measure(shape: str, names: list[str], rounds: int, threads: int) -> dict[str, Any]:
    """Let the contenders write in turn; characters a second, and bytes of weights a second."""
    with Contenders(__file__, names, shape, threads) as contenders:
        answers = contenders.rounds(rounds, "write")
    figures = {}
    for name in ["nn.LSTM", *(name for name in OURS if name in answers)]:
        speeds = answers[name]
        figures[name] = {
            "chars_per_second": statistics.median(speeds),
            "to_library": ratio(speeds, answers["nn.LSTM"]),
        }
        size = weight_bytes(shape, OURS.get(name, 4))
        if name in READ and size > CACHE:
            figures[name] |= {
                "weight_bytes": size,
                "read_per_second": size * statistics.median(speeds),
                "share_of_read": ratio([s * size for s in speeds], answers[READ[name]]),
            }
    return {"shape": shape, "contenders": figures}


def weight_bytes(shape: str, each: int) -> int:
    """The bytes that a step reads: all weights but those of the one-hot vector."""
    units, layers = map(int, shape.split(","))
    return each * (4 * units * units * (2 * layers - 1) + VOCAB.size * units)


def work(contender: str, shape: str) -> Callable[[str], float]:
    """A turn: characters, or of memory bytes, a second."""
    torch.manual_seed(0)
    units, layers = map(int, shape.split(","))
    if contender.startswith("read"):
        each = OURS["charseq bf16" if contender.endswith("bf16") else "charseq"]
        memory = torch.rand(weight_bytes(shape, each) // 4)
        return for_a_while(lambda: (memory.sum(), memory.nbytes)[1])
    if contender == "nn.LSTM":
        return for_a_while(library(units, layers))
    model = LanguageModel(VOCAB.size, units, layers)
    pieces = generate_text(
        writer(model, contender),
        VOCAB,
        "",
        length=10**12,
        drawing=Drawing(),
        seed=0,
    )
    return for_a_while(lambda: len(next(pieces)))


def writer(model: LanguageModel, contender: str) -> Writer:
    if contender == "charseq torch":
        return TorchStream(model)
    weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
    return Stream(weights, bfloat16=contender == "charseq bf16")


def for_a_while(step: Callable[[], int]) -> Callable[[str], float]:
    """How much it does a second, in as many steps as fit into a turn."""

    def turn(_: str) -> float:
        step()
        done, began = 0, time.perf_counter()
        while (took := time.perf_counter() - began) < SECONDS:
            done += step()
        return done / took

    return turn


def library(units: int, layers: int) -> Callable[[], int]:
    """The loop that a user of torch writes."""
    lstm = nn.LSTM(VOCAB.size, units, layers)
    output = nn.Linear(units, VOCAB.size)
    symbol, state = torch.zeros(1, dtype=torch.long), None

    @torch.no_grad()
    def step() -> int:
        nonlocal symbol, state
        x = nn.functional.one_hot(symbol, VOCAB.size).float()[None]
        h, state = lstm(x, state)
        p = torch.softmax(output(h[-1, 0]), -1)
        symbol = torch.multinomial(p, 1)
        symbol.item()  # it is shown
        return 1

    return step


def show(results: list[dict[str, Any]]) -> None:
    table = Table(title="one text: characters per second")
    for column in ("H,layers", "", "a second", "to nn.LSTM", "weights read", "of what can be"):
        table.add_column(column, justify="left" if column in ("H,layers", "") else "right")
    for result in results:
        for name, figures in result["contenders"].items():
            cells = [f"{figures['chars_per_second']:,.0f}", show_ratio(figures["to_library"])]
            if "share_of_read" in figures:
                cells.append(f"{figures['read_per_second'] / 1e9:.1f} GB/s")
                cells.append(show_ratio(figures["share_of_read"]))
            table.add_row(result["shape"], name, *cells)
        table.add_section()
    Console().print(table)


if __name__ == "__main__":
    main()

"""Speed of a whole training step of a language model: charseq's LSTM beside torch.nn.LSTM.

    python benchmarks/train_speed.py                         # four shapes, about fifteen minutes
    python benchmarks/train_speed.py --shape 64,128,256,1 --rounds 30 --json speed.json
    python benchmarks/train_speed.py --device cuda           # against cuDNN, where there is a GPU

Every contender is a process of its own, and they take turns (``turns.py``):

    nn.LSTM          as users run it: one-hot vectors, cross_entropy, AdamW, clipping
    nn.LSTM tuned    the same, and malloc keeps what it frees (charseq.training.speed)
    nn.LSTM bf16     tuned, under torch.autocast to bfloat16
    manual, fused    charseq's training step as `charseq train` runs it, with that backend
    fused bf16       the same with `train.precision: bf16`
    peak             nothing but products of matrices: torch.mm of float32 at its fastest

and with --device cuda also nn.LSTM fp16; and torch and torch bf16, which are cuDNN behind charseq's
own step.

A turn is one step that fetches the caches back and three that are timed. A figure is the median
over the rounds; a ratio is the median of the ratios round by round, with its quartiles. The share
of the peak counts the products of a step alone, 6 B T (4H (I + H) for each layer + V H) operations,
where the first layer's one-hot I counts nothing; what is over 100 % multiplies bfloat16.
"""

import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from turns import Contenders, answer, machine, parser, ratio, show_ratio, write_json

from charseq.lstm import kernel

SHAPES = ["50,50,128,2", "64,128,256,1", "64,128,512,2", "32,256,1024,1"]
CUDA_SHAPES = [f"{b},128,{h},{n}" for b in (64, 256) for h in (256, 512, 1024) for n in (1, 2, 3)]
ON_CPU = ["nn.LSTM", "nn.LSTM tuned", "nn.LSTM bf16", "manual", "fused", "fused bf16"]
ON_CUDA = ["nn.LSTM", "nn.LSTM fp16", "nn.LSTM bf16", "manual", "torch", "torch bf16"]
PEAK = "peak"
SYMBOLS = 65
TIMED = 3  # steps of a turn


def main() -> None:
    options = parser(__doc__ or "", rounds=20)
    options.add_argument("--shape", action="append", metavar="B,T,H,LAYERS")
    options.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options.add_argument("--contender", action="append", choices=dict.fromkeys(ON_CPU + ON_CUDA))
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    if chosen.work:
        work(*chosen.work)
        return
    cuda = chosen.device == "cuda"
    names = chosen.contender or (ON_CUDA if cuda else ON_CPU)
    names = list(dict.fromkeys(["nn.LSTM", *names]))
    if not cuda and (missing := not_here(names)):
        print(f"{', '.join(missing)}: not on this processor, or there is no compiler")
        names = [name for name in names if name not in missing]
    results = []
    for shape in chosen.shape or (CUDA_SHAPES if cuda else SHAPES):
        results.append(measure(shape, names, chosen.rounds, chosen.threads, chosen.device))
        show(results[-1:], names)
    on = machine(chosen.threads)
    print(", ".join(f"{name}: {value}" for name, value in on.items()))
    write_json(chosen.json, on, results)


def not_here(names: list[str]) -> list[str]:
    """Those that this processor has no instructions for, or that cannot be compiled."""
    kinds = [] if kernel.why_not() else kernel.load().kinds
    can = {"fused": bool(kinds), "fused bf16": "bfloat16" in kinds}
    try:
        with torch.autocast("cpu", torch.bfloat16):
            torch.nn.LSTM(16, 16)(torch.zeros(1, 1, 16))
    except RuntimeError:
        can["nn.LSTM bf16"] = False
    return [name for name in names if not can.get(name, True)]


def measure(shape: str, names: list[str], rounds: int, threads: int, device: str) -> dict[str, Any]:
    """Let the contenders take steps in turn; characters a second, and billions of operations."""
    with Contenders(__file__, [*names, PEAK], f"{shape},{device}", threads) as contenders:
        answers = contenders.rounds(rounds, "step")
    peak = answers.pop(PEAK)
    per_character = operations(shape) / 1e9
    return {
        "shape": shape,
        "peak_gflops": statistics.median(peak),
        "contenders": {
            name: {
                "chars_per_second": statistics.median(speeds),
                "to_library": ratio(speeds, answers["nn.LSTM"]),
                "to_tuned": ratio(speeds, answers.get("nn.LSTM tuned", answers["nn.LSTM"])),
                "share_of_peak": ratio([speed * per_character for speed in speeds], peak)["median"],
            }
            for name, speeds in answers.items()
        },
    }


def operations(shape: str) -> int:
    """Floating-point operations of the products of a step, per character."""
    _, _, hidden, layers = map(int, shape.split(","))
    return 6 * (4 * hidden * hidden * (2 * layers - 1) + SYMBOLS * hidden)


def work(contender: str, shape_and_device: str) -> None:
    """Take a turn for each line read, and say how many characters a second it saw."""
    shape, device = shape_and_device.rsplit(",", 1)
    batch, steps, hidden, layers = map(int, shape.split(","))
    torch.manual_seed(0)
    if contender == PEAK:
        answer(lambda _: peak(torch.device(device)))
        return
    make = library_step if contender.startswith("nn.LSTM") else charseq_step
    step = make(batch, steps, hidden, layers, contender, torch.device(device))

    def turn(asked: str) -> float:  # noqa: ARG001  there is one thing to ask for
        step()
        began = time.perf_counter()
        for _ in range(TIMED):
            step()
        return batch * steps * TIMED / (time.perf_counter() - began)

    answer(turn)


def peak(device: torch.device) -> float:
    """Billions of operations a second in float32 products, in the best of a few."""
    size = 1536 if device.type == "cpu" else 8192
    torch.set_float32_matmul_precision("medium" if device.type == "cpu" else "highest")
    a, b = (torch.randn(size, size, device=device) for _ in range(2))
    out = torch.empty_like(a)
    seconds = []
    for _ in range(4):
        began = time.perf_counter()
        torch.mm(a, b, out=out)
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return 2 * size**3 / min(seconds) / 1e9


def library_step(
    batch: int, steps: int, hidden: int, layers: int, contender: str, device: torch.device
) -> Callable[[], float]:
    """The ten lines that a user of torch writes."""
    if contender != "nn.LSTM":
        from charseq.training.speed import keep_freed_memory

        keep_freed_memory()
    lstm = torch.nn.LSTM(SYMBOLS, hidden, layers).to(device)
    output = torch.nn.Linear(hidden, SYMBOLS).to(device)
    parameters = [*lstm.parameters(), *output.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)
    text = torch.randint(SYMBOLS, (steps + 1, batch), device=device)
    half = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(contender.split()[-1])
    state = None

    def step() -> float:
        nonlocal state
        with torch.autocast(device.type, half, enabled=half is not None):
            x = torch.nn.functional.one_hot(text[:-1], SYMBOLS).float()
            h, (h_n, c_n) = lstm(x, state)
            logits = output(h)
        state = (h_n.detach(), c_n.detach())
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), text[1:].flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        return loss.item()

    return step


def charseq_step(
    batch: int, steps: int, hidden: int, layers: int, contender: str, device: torch.device
) -> Callable[[], float]:
    """The update of ``charseq train``, with the process set as it sets it."""
    import numpy as np

    from charseq.config import config_from_json
    from charseq.text.corpus import Streams
    from charseq.text.vocab import Vocab
    from charseq.training.precision import resolve_precision, use_precision
    from charseq.training.speed import fast_products, has_fast_products, keep_freed_memory
    from charseq.training.state import TrainingState
    from charseq.training.update import update

    keep_freed_memory()
    products = fast_products if has_fast_products(device) else nullcontext
    backend, _, half = contender.partition(" ")
    network = {"hidden_size": hidden, "num_layers": layers, "backend": backend}
    config = config_from_json({"data": {"text": "random"}, "model": network}, where="the benchmark")
    state = TrainingState(config, Vocab("char", tuple(map(chr, range(SYMBOLS)))), "", device)
    wanted = resolve_precision(state.model, half or "fp32", device)
    precision = use_precision(state.model, wanted, device)
    ids = np.random.default_rng(0).integers(SYMBOLS, size=batch * steps * 4 + 1, dtype=np.uint8)
    streams = Streams(ids, batch, steps)

    def step() -> float:
        read = streams.batch(state.progress.step)
        state.progress.step += 1
        with products():
            return update(state, read, config.train.learning_rate, precision)[0]

    return step


def show(results: list[dict[str, Any]], names: list[str]) -> None:
    for result in results:
        title = f"{result['shape']} (B,T,H,layers); peak {result['peak_gflops']:.0f} GFLOP/s"
        table = Table("", "characters/s", title=title)
        for column in ("/ nn.LSTM", "/ nn.LSTM tuned", "share of the peak"):
            table.add_column(column, justify="right")
        for name in names:
            figures = result["contenders"][name]
            table.add_row(
                name,
                f"{figures['chars_per_second']:,.0f}",
                show_ratio(figures["to_library"]),
                show_ratio(figures["to_tuned"]),
                f"{figures['share_of_peak']:.0%}",
            )
        Console().print(table)


if __name__ == "__main__":
    main()

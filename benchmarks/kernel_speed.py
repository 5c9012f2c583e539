"""Speed of the parts of the compiled LSTM, one layer, one pass after another, against the peak.

    python benchmarks/kernel_speed.py                                  # one thread, a minute
    python benchmarks/kernel_speed.py --shape 64,128,256 --threads 2 --instructions avx2

For each part the best of several calls: milliseconds, billions of operations a second, and the
share of what torch.mm of float32 reaches at its best between the calls. To see what a change gives,
run it at both commits in turn.
"""

import functools
import time
from collections import defaultdict
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from turns import machine, parser, write_json

from charseq.lstm import fused, kernel
from charseq.training.speed import keep_freed_memory

SHAPES = ["50,50,128", "64,128,256", "64,128,512", "32,128,1024"]
# Of (T B, H) with (H, 4H), in each pass: over features there is one more for each in the other
PRODUCTS = {
    "forward over ids": 1,
    "forward over features": 2,
    "backward over ids": 2,
    "backward over features": 4,
}


def main() -> None:
    options = parser(__doc__ or "", rounds=8)
    options.set_defaults(threads=1)
    options.add_argument("--shape", action="append", metavar="B,T,H")
    options.add_argument("--instructions", help="lesser ones than the processor has")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.set_float32_matmul_precision("medium")
    keep_freed_memory()
    built = kernel.load(chosen.instructions) if chosen.instructions else kernel.load()
    kernel.load = lambda *_: built
    results = []
    for shape in chosen.shape or SHAPES:
        for kind in ("float32", "bfloat16"):
            if kind in built.kinds:
                results.append(measure(built, shape, kind, chosen.rounds))
                show(results[-1])
    on = {**machine(chosen.threads), "kernel": built.instructions}
    print(", ".join(f"{name}: {value}" for name, value in on.items()))
    write_json(chosen.json, on, results)


def measure(built: kernel.Kernel, shape: str, kind: str, rounds: int) -> dict[str, Any]:
    """Run a layer over features and over ids, both ways; the best time of each part."""
    batch, steps, hidden = map(int, shape.split(","))
    seconds: dict[str, list[float]] = defaultdict(list)
    call = built.call

    def timed(reads: str, name: str, kind: str, *arguments: object) -> None:
        began = time.perf_counter()
        call(name, kind, *arguments)
        seconds[f"{name} over {reads}"].append(time.perf_counter() - began)

    scale = hidden**-0.5
    weights = [
        (torch.rand(4 * hidden, *columns) * scale).requires_grad_()
        for columns in ((hidden,), (hidden,), ())
    ]
    state = (torch.zeros(batch, hidden), torch.zeros(batch, hidden))
    features = torch.randn(steps, batch, hidden).requires_grad_()
    ids = torch.randint(hidden, (steps, batch))
    upstream = torch.randn(steps, batch, hidden)
    peaks = []
    for _ in range(rounds):
        for reads, x in (("ids", ids), ("features", features)):
            built.call = functools.partial(timed, reads)  # type: ignore[method-assign]
            w_ih, w_hh, bias = weights
            output, _, _ = fused.lstm(x, state, w_ih, w_hh, bias, bfloat16=kind == "bfloat16")
            torch.autograd.backward(output, upstream)
        peaks.append(peak())
    built.call = call  # type: ignore[method-assign]
    operations = 8 * steps * batch * hidden * hidden
    best = {name: min(times) for name, times in seconds.items()}
    return {
        "shape": shape,
        "kind": kind,
        "peak_gflops": max(peaks),
        "parts": {
            name: {
                "milliseconds": 1e3 * took,
                "gflops": operations * PRODUCTS[name] / took / 1e9,
            }
            for name, took in best.items()
        },
    }


def peak() -> float:
    """Billions of operations a second of one product in float32."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    torch.mm(a, b)
    began = time.perf_counter()
    torch.mm(a, b)
    return 2 * 1024**3 / (time.perf_counter() - began) / 1e9


def show(result: dict[str, Any]) -> None:
    title = f"B,T,H {result['shape']}, {result['kind']}; peak {result['peak_gflops']:.0f} GFLOP/s"
    table = Table("part", "ms", "GFLOP/s", "of the peak", title=title)
    for name, part in result["parts"].items():
        speed = part["gflops"]
        share = f"{speed / result['peak_gflops']:.0%}"
        table.add_row(name, f"{part['milliseconds']:.2f}", f"{speed:.0f}", share)
    Console().print(table)


if __name__ == "__main__":
    main()

"""Why did that listing print only spaces? Train it with each of its faults, and without.

    python benchmarks/seed_question.py
    python benchmarks/seed_question.py --plot docs/images/seed_question.svg --json answer.json

One text of 101 characters is one sequence of 100 inputs; an LSTM of 32 units learns it by heart, or
not, in 600 full-batch steps, with the backward pass of ``charseq/lstm/faults.py``. The loss is the
sum over the text. About four minutes on two cores. ``docs/lstm.md`` reads the result.
"""

import argparse
import json
import math
import multiprocessing
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

from charseq.lstm import cell
from charseq.lstm.faults import loss_and_gradients

TEXT = (
    "the rain fell all night and by morning the river ran over the road"
    " so we stayed in and read and slept"
)
SYMBOLS = sorted(set(TEXT))
IDS = torch.tensor([SYMBOLS.index(symbol) for symbol in TEXT])[:, None]  # (T + 1, 1)
INPUTS, TARGETS = IDS[:-1], IDS[1:]
HIDDEN = 32
SAMPLE = 30  # characters printed
CURVE = 10  # steps between two points of a curve
AFTER = (1, 10, 50, 100)  # characters

OPTIMIZERS: dict[str, Callable[[Iterable[Tensor]], torch.optim.Optimizer]] = {
    "Adam 0.01": lambda parameters: torch.optim.Adam(parameters, lr=0.01),
    "SGD 0.01": lambda parameters: torch.optim.SGD(parameters, lr=0.01),
}

SOFTMAX, TANH, ONES = "softmax-derivative", "tanh-of-raw-cell", "ones-initial-state"
WORKAROUND = "no-hidden-gradient"
VARIANTS = {
    "as listed": (SOFTMAX, TANH, ONES),
    "workaround": (SOFTMAX, TANH, ONES, WORKAROUND),
    f"mended: {SOFTMAX}": (TANH, ONES),
    f"mended: {TANH}": (SOFTMAX, ONES),
    f"mended: {ONES}": (SOFTMAX, TANH),
    "all mended": (),
    f"only {SOFTMAX}": (SOFTMAX,),
    f"only {TANH}": (TANH,),
    f"only {ONES}": (ONES,),
    f"only {WORKAROUND}": (WORKAROUND,),
}
PLOTTED = 6  # the first of them

LEGEND = """
bits/char, range   mean and range of the seeds after the last step
max |c|            largest cell state behind the text, after the last step
cosine, size       of the gradient, against the true one, before the last step
spaces             last step (of every tenth) at which only spaces were printed
The last four are medians of the seeds."""

Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class Result:
    """One training run."""

    variant: str
    optimizer: str
    seed: int
    bpc: float | None  # bits per character after the last step; None if it diverged
    diverged: int | None  # the first step whose loss was not finite
    curve: list[float | None]  # bits per character at every tenth step
    sample: str  # greedy, from the first character of the text
    cells: list[float] | None  # largest |c_t| after AFTER characters of the text, after training
    spaces_until: int  # the last of the curve's steps at which the sample was all spaces, or 0
    error_kept: float  # |(p - y) p (1 - p)| / |p - y| before the first step
    cosine: float | None  # between this gradient and the true one, before the last step
    ratio: float | None  # of the norms of these two
    lstm_share: float | None  # of the norm of this gradient, what the LSTM's own weights get


def initial(seeds: int) -> Parameters:
    """Uniform weights, as ``nn.LSTM``, and zero biases; seeds side by side in front: (R, ...)."""
    runs = []
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)

        def uniform(*shape: int, generator: torch.Generator = generator) -> Tensor:
            draw = torch.rand(*shape, generator=generator, dtype=torch.float64)
            return (2 * draw - 1) / math.sqrt(HIDDEN)

        runs.append(
            {
                "weight_ih_l0": uniform(4 * HIDDEN, len(SYMBOLS)),
                "weight_hh_l0": uniform(4 * HIDDEN, HIDDEN),
                "bias_ih_l0": torch.zeros(4 * HIDDEN, dtype=torch.float64),
                "weight_out": uniform(len(SYMBOLS), HIDDEN),
                "bias_out": torch.zeros(len(SYMBOLS), dtype=torch.float64),
            }
        )
    return {name: torch.stack([run[name] for run in runs]) for name in runs[0]}


def gradients(parameters: Parameters, faults: Iterable[str]) -> tuple[Tensor, Parameters]:
    """Loss (R,), a sum in nats, and gradients of R runs at once."""
    named = frozenset(faults)
    zero = torch.zeros(1, 1, HIDDEN, dtype=torch.float64)

    def one(run: Parameters) -> tuple[Tensor, Parameters]:
        leaves = {**run, "h_0": zero, "c_0": zero}
        loss, found = loss_and_gradients(leaves, INPUTS, TARGETS, faults=named)
        return loss, {name: found[name] for name in run}

    with torch.no_grad():
        found: tuple[Tensor, Parameters] = torch.func.vmap(one)(parameters)
    return found


def train(variant: str, seeds: int, steps: int) -> list[Result]:
    """Every seed with every optimizer, side by side."""
    torch.set_num_threads(1)
    faults = VARIANTS[variant]
    groups = [initial(seeds) for _ in OPTIMIZERS]
    optimizers = [
        make(list(group.values())) for make, group in zip(OPTIMIZERS.values(), groups, strict=True)
    ]
    losses = []
    spaces_until: dict[int, int] = {}
    for done in range(steps + 1):
        parameters = {name: torch.cat([group[name] for group in groups]) for name in groups[0]}
        loss, found = gradients(parameters, faults)
        losses.append(loss / len(TARGETS) / math.log(2))
        if done % CURVE == 0:
            for run, sample in enumerate(greedy(parameters)):
                if not sample.strip():
                    spaces_until[run] = done
        if done == steps:
            break
        last = parameters, found
        for k, (optimizer, group) in enumerate(zip(optimizers, groups, strict=True)):
            for name, parameter in group.items():
                parameter.grad = found[name][k * seeds : (k + 1) * seeds]
            optimizer.step()
    bpc = torch.stack(losses)  # (steps + 1, R)
    cosines, ratios, shares = compare(last[1], gradients(last[0], ())[1])
    cells = read(parameters)[1].abs().amax(dim=2)[:, [n - 1 for n in AFTER]]
    samples = greedy(parameters)
    kept = error_kept(initial(seeds))
    results = []
    for run in range(bpc.shape[1]):
        bad = (~bpc[:, run].isfinite()).nonzero().flatten().tolist()
        results.append(
            Result(
                variant=variant,
                optimizer=list(OPTIMIZERS)[run // seeds],
                seed=run % seeds,
                bpc=finite(bpc[-1, run]),
                diverged=bad[0] if bad else None,
                curve=[finite(point) for point in bpc[::CURVE, run]],
                sample="" if bad else samples[run],
                cells=None if bad else cells[run].tolist(),
                spaces_until=spaces_until.get(run, 0),
                error_kept=kept[run % seeds].item(),
                cosine=finite(cosines[run]),
                ratio=finite(ratios[run]),
                lstm_share=finite(shares[run]),
            )
        )
    return results


def finite(value: Tensor) -> float | None:
    return value.item() if value.isfinite() else None


def compare(found: Parameters, true: Parameters) -> tuple[Tensor, Tensor, Tensor]:
    """Cosine of the angle between two gradients, ratio of their norms, and what share of the norm
    of the first belongs to the LSTM's own parameters, each (R,)."""
    a, b, lstm = (
        torch.cat([each[name].flatten(1) for name in each if name.endswith(end)], dim=1)
        for each, end in ((found, ""), (true, ""), (found, "_l0"))
    )
    largest = a.abs().amax(dim=1, keepdim=True)  # its square may be beyond float64
    size = (a / largest).norm(dim=1)
    cosines = nn.functional.cosine_similarity(a / largest, b, dim=1)
    return cosines, size * largest[:, 0] / b.norm(dim=1), (lstm / largest).norm(dim=1) / size


def step(run: Parameters, ids: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One character on: logits (1, V), h and c (1, H) of one run."""
    weights = (run[name] for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"))
    h, c, _ = cell.step(ids, (h, c), *weights)
    return h @ run["weight_out"].t() + run["bias_out"], h, c


def read(parameters: Parameters, length: int = 0) -> tuple[Tensor, Tensor]:
    """Logits (R, T, V) and cell states (R, T, H) over the text; with a length, over the first
    character and then the likeliest one after those so far, again and again."""
    runs = len(parameters["bias_out"])
    h = c = torch.zeros(runs, 1, HIDDEN, dtype=torch.float64)
    logits: list[Tensor] = []
    cells: list[Tensor] = []
    with torch.no_grad():
        for t in range(length or len(INPUTS)):
            ids = logits[-1].argmax(-1) if length and logits else INPUTS[t].expand(runs, 1)
            output, h, c = torch.func.vmap(step)(parameters, ids, h, c)
            logits.append(output)
            cells.append(c)
    return torch.cat(logits, dim=1), torch.cat(cells, dim=1)


def greedy(parameters: Parameters) -> list[str]:
    printed = read(parameters, SAMPLE)[0].argmax(-1)
    return ["".join(SYMBOLS[ident] for ident in run) for run in printed.tolist()]


def error_kept(parameters: Parameters) -> Tensor:
    """What is left of the error p - y behind the factor p (1 - p), by norm, for each run."""
    p = read(parameters)[0].softmax(dim=-1)
    error = p - nn.functional.one_hot(TARGETS.flatten(), len(SYMBOLS))
    kept: Tensor = (error * p * (1 - p)).flatten(1).norm(dim=1) / error.flatten(1).norm(dim=1)
    return kept


def entropy() -> float:
    """Bits per character of one who knows only how often each character comes."""
    share = torch.bincount(TARGETS.flatten()).double() / len(TARGETS)
    return -(share[share > 0] * share[share > 0].log2()).sum().item()


def show(results: Sequence[Result], console: Console) -> None:
    kept = [result.error_kept for result in results]
    console.print(f"letter frequencies alone: {entropy():.2f} bits per character")
    console.print(
        f"p (1 - p) leaves of the first error, by norm: {min(kept):.3f} to {max(kept):.3f}"
    )
    for optimizer in OPTIMIZERS:
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
        for heading in (optimizer, "bits/char", "range", "max |c|", "cosine", "size", "spaces"):
            justify: Literal["left", "right"] = "left" if heading == optimizer else "right"
            table.add_column(heading, justify=justify, no_wrap=True)
        samples = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
        samples.add_column("", no_wrap=True)
        samples.add_column("prints, seed 0", no_wrap=True)
        for variant in VARIANTS:
            runs = [r for r in results if (r.variant, r.optimizer) == (variant, optimizer)]
            ended = [run for run in runs if run.bpc is not None]
            bpc = [run.bpc for run in ended if run.bpc is not None]
            table.add_row(
                variant,
                f"{sum(bpc) / len(bpc):.3f}" if bpc else "-",
                f"{min(bpc):.3f}–{max(bpc):.3f}" if bpc else "-",
                median([run.cells[-1] for run in ended if run.cells], ".1f"),
                median([run.cosine for run in ended], ".2f"),
                median([run.ratio for run in ended], ".0e"),
                median([run.spaces_until for run in runs], "d"),
            )
            diverged = [f"seed {run.seed} at step {run.diverged}" for run in runs if not run.sample]
            if diverged:
                table.add_row(f"  diverged: {', '.join(diverged)}")
            samples.add_row(variant, f"|{runs[0].sample}|")
        console.print()
        console.print(table)
        console.print(samples)
    console.print(LEGEND)

    run = next(r for r in results if (r.variant, r.optimizer) == (f"only {TANH}", "SGD 0.01"))
    if run.cells is not None:
        after = ", ".join(f"{cell:.1f}" for cell in run.cells)
        console.print(f"\n{run.variant}, {run.optimizer}, seed {run.seed}")
        console.print(f"  max |c| after {', '.join(map(str, AFTER))} characters: {after}")
        console.print(f"  the LSTM's own weights get {run.lstm_share:.1%} of the last gradient")


def median(values: Sequence[float | None], form: str) -> str:
    known = sorted(value for value in values if value is not None)
    return f"{known[len(known) // 2]:{form}}" if known else "-"


def plot(results: Sequence[Result], file: Path) -> None:
    """Bits per character by step: the median of the seeds, and their range."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "charseq"  # the same drawing is the same file
    figure, axes = plt.subplots(1, len(OPTIMIZERS), figsize=(10, 4), sharey=True)
    for axis, optimizer in zip(axes, OPTIMIZERS, strict=True):
        for variant in list(VARIANTS)[:PLOTTED]:
            runs = [r for r in results if (r.variant, r.optimizer) == (variant, optimizer)]
            points = torch.tensor([[math.nan if x is None else x for x in r.curve] for r in runs])
            at = [CURVE * k for k in range(points.shape[1])]
            median = points.nanmedian(dim=0).values
            low = points.nan_to_num(math.inf).amin(dim=0)
            high = points.nan_to_num(-math.inf).amax(dim=0)
            (line,) = axis.plot(at, median.tolist(), label=variant)
            axis.fill_between(at, low.tolist(), high.tolist(), color=line.get_color(), alpha=0.15)
        axis.axhline(entropy(), color="grey", linestyle=":", label="letter frequencies alone")
        axis.set(title=optimizer, xlabel="step", yscale="log")
    axes[0].set_ylabel("bits per character")
    axes[-1].legend(fontsize="small")
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves, .svg or .png")
    options = parser.parse_args(arguments)
    if min(options.seeds, options.steps, options.jobs) < 1:
        parser.error("--seeds, --steps and --jobs must be at least 1")

    work = list(VARIANTS), [options.seeds] * len(VARIANTS), [options.steps] * len(VARIANTS)
    results: list[Result] = []
    progress = Console(stderr=True)
    if options.jobs == 1:
        for found in track(map(train, *work), "training", len(VARIANTS), console=progress):
            results += found
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(options.jobs, mp_context=context) as pool:
            for found in track(pool.map(train, *work), "training", len(VARIANTS), console=progress):
                results += found
    show(results, Console(highlight=False, markup=False))
    if options.json:
        options.json.write_text(
            json.dumps([asdict(r) for r in results], indent=1, allow_nan=False) + "\n"
        )
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()

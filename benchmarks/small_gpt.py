"""The quick recipe for Tiny Shakespeare beside nanoGPT's configuration for a CPU: seconds and loss.

    python benchmarks/small_gpt.py                      # about two minutes a round on two cores
    python benchmarks/small_gpt.py --rounds 5 --json small_gpt.json

Both train on the first 90 % of the text and are judged on the last 10 %, and they take turns, one
seed a round. The transformer is ours, with the numbers of nanoGPT's README (Karpathy 2023, "I only
have a macbook"): 4 layers, 4 heads, 128 wide, 64 characters of context, 12 windows a batch, 2,000
steps, no dropout, and its training defaults. Its seconds are those of its steps alone. The seconds
of charseq are those of `charseq train`, from its first batch to its best checkpoint, with the
evaluation. Both read the validation text in windows of 64 characters, each from nothing, as
`charseq eval --window 64` does; charseq is also told what it costs with the state carried from its
beginning to its end, which is what an LSTM can do and how `charseq train` evaluates. The
transformer computes in float32, charseq with `train.precision: auto`.
"""

import argparse
import json
import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from commands import charseq
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional
from turns import machine, write_json

from charseq.training.history import read_run

RECIPE = "configs/tinyshakespeare_fast.yaml"
LAYERS, HEADS, WIDTH, CONTEXT, WINDOWS, STEPS = 4, 4, 128, 64, 12, 2000
WARM_UP, HIGHEST, LOWEST = 100, 1e-3, 1e-4  # of the learning rate, a cosine


class Block(nn.Module):
    """Attention, then two layers of four times the width, each beside a residual connection."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH, bias=False) for _ in range(2))
        self.attention = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.projection = nn.Linear(WIDTH, WIDTH, bias=False)
        self.wide = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.narrow = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, WIDTH)
        batch, length, _ = x.shape
        queries, keys, values = (
            part.view(batch, length, HEADS, -1).transpose(1, 2)
            for part in self.attention(self.norms[0](x)).split(WIDTH, dim=2)
        )
        seen = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        x = x + self.projection(seen.transpose(1, 2).reshape(batch, length, WIDTH))
        added: Tensor = self.narrow(functional.gelu(self.wide(self.norms[1](x))))
        return x + added


class SmallGPT(nn.Module):
    def __init__(self, symbols: int) -> None:
        super().__init__()
        self.symbols = nn.Embedding(symbols, WIDTH)
        self.places = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                last = name.endswith(("projection.weight", "narrow.weight"))
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * LAYERS) if last else 0.02)

    def forward(self, ids: Tensor) -> Tensor:  # (B, T) -> (B, T, V)
        x = self.symbols(ids) + self.places.weight[: ids.shape[1]]
        logits: Tensor = functional.linear(self.norm(self.blocks(x)), self.symbols.weight)
        return logits

    def loss(self, windows: Tensor) -> Tensor:
        """Mean nats a character of windows (B, T + 1)."""
        logits = self(windows[:, :-1])
        return functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())


def learning_rate(step: int) -> float:
    if step < WARM_UP:
        return HIGHEST * (step + 1) / (WARM_UP + 1)
    done = (step - WARM_UP) / (STEPS - WARM_UP)
    return LOWEST + 0.5 * (1 + math.cos(math.pi * done)) * (HIGHEST - LOWEST)


def train_gpt(text: Path, seed: int) -> dict[str, Any]:
    """Train it, and read the whole validation text in windows of its context."""
    torch.manual_seed(seed)
    characters = text.read_text(encoding="utf-8")
    vocabulary = {character: i for i, character in enumerate(sorted(set(characters)))}
    ids = torch.tensor([vocabulary[character] for character in characters])
    training, validation = ids[: int(0.9 * len(ids))], ids[int(0.9 * len(ids)) :]
    model = SmallGPT(len(vocabulary))
    matrices = [weight for weight in model.parameters() if weight.dim() == 2]
    others = [weight for weight in model.parameters() if weight.dim() != 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        betas=(0.9, 0.99),
        fused=True,
    )
    offsets = torch.arange(CONTEXT + 1)
    began = time.perf_counter()
    for step in track(range(STEPS), f"transformer, seed {seed}", transient=True):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        starts = torch.randint(len(training) - CONTEXT, (WINDOWS, 1))
        optimizer.zero_grad()
        torch.autograd.backward(model.loss(training[starts + offsets]))
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    seconds = time.perf_counter() - began
    with torch.inference_mode():
        windows = validation.unfold(0, CONTEXT + 1, CONTEXT)
        nats = [model.loss(some).item() * len(some) for some in torch.split(windows, 256)]
    return {
        "seed": seed,
        "seconds": seconds,
        "nats": sum(nats) / len(windows),
        "weights": sum(weight.numel() for weight in model.parameters()),
    }


def train_charseq(folder: Path, seed: int, threads: int) -> dict[str, Any]:
    """The quick recipe, as `charseq train` runs it."""
    run = folder / f"seed{seed}"
    arguments = ["train", RECIPE, "--run", str(run), "--set", f"train.seed={seed}"]
    with Console().status(f"charseq, seed {seed}"):
        charseq(arguments, threads)
    trained = read_run(run)
    assert trained.best is not None
    windows = json.loads(charseq(["eval", str(run), "--window", str(CONTEXT), "--json"], threads))
    return {
        "seed": seed,
        "seconds": trained.seconds,
        "nats": windows["nats"],
        "nats_carried": trained.best.nats,
        "weights": trained.parameters,
    }


def show(results: dict[str, list[dict[str, Any]]]) -> None:
    nats = ("valid, nats, windows of 64", "state carried")
    table = Table("", "weights", "seconds", *nats, title="Tiny Shakespeare")
    for name, runs in results.items():
        table.add_row(
            name,
            f"{runs[0]['weights']:,}",
            f"{statistics.median(one['seconds'] for one in runs):.1f}",
            *(spread([one[key] for one in runs if key in one]) for key in ("nats", "nats_carried")),
        )
    Console().print(table)
    gpt, ours = results.values()
    shares = [b["seconds"] / a["seconds"] for a, b in zip(gpt, ours, strict=True)]
    Console().print(
        f"charseq's share of the transformer's seconds: {statistics.median(shares):.3f}"
    )


def spread(values: list[float]) -> str:
    if not values:
        return ""
    around = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{around}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    text = Path(charseq(["data", "get", "tinyshakespeare"]).strip())
    results: dict[str, list[dict[str, Any]]] = {"transformer": [], "charseq": []}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.rounds):
            results["transformer"].append(train_gpt(text, seed))
            results["charseq"].append(train_charseq(Path(folder), seed, options.threads))
    show(results)
    write_json(options.json, machine(options.threads), [results])


if __name__ == "__main__":
    main()

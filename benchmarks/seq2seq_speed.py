"""Speed of a whole training step on pairs: charseq beside nn.LSTM and pack_padded_sequence.

    python benchmarks/seq2seq_speed.py                      # all shapes, about ten minutes
    python benchmarks/seq2seq_speed.py --shape dates --rounds 30 --json speed.json

The same encoder-decoder with "general" attention three times, each in a process of its own, because
the settings that matter belong to a process:

    nn.LSTM          as users run it: one-hot vectors, pack_padded_sequence, cross_entropy, AdamW,
                     clipping; with input feeding a loop over nn.LSTMCell
    nn.LSTM tuned    the same, and malloc keeps what it frees (charseq.training.speed)
    charseq manual   charseq's training step as `charseq train` runs it with `backend: manual`
    charseq          the same with `backend: auto`: fused where there is a compiler

All see the same batches, bucketed by length as charseq does, and take turns (``turns.py``). A turn
is one step that fetches the caches back and three that are timed. A figure is the median over the
rounds; a ratio is the median of the ratios round by round, with its quartiles; `nn.LSTM` = 1. A
symbol is one of a target, END counted.
At the end: how many sources a second charseq decodes, at beam 1 and 5, to targets of mean length.
"""

import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from turns import Contenders, answer, machine, parser, ratio, show_ratio, write_json

from charseq.text.pair_batches import IGNORED, PairBatch, PairBatches, pad
from charseq.text.pair_vocab import END
from charseq.text.pairs import Pairs
from charseq.text.ragged import Ragged

CONTENDERS = ["nn.LSTM", "nn.LSTM tuned", "charseq manual", "charseq"]
TIMED = 3  # steps of a turn


@dataclass(frozen=True)
class Shape:
    """A data set by its lengths, and the model that is trained on it.

    The lengths of the sources are normally distributed; those of the targets differ from theirs by
    a factor and by a normal spread.
    """

    batch: int
    hidden: int
    layers: int
    source: tuple[float, float]  # mean and spread of the symbols of a source
    target: tuple[float, float, float]  # mean without END, spread, and what a source symbol adds
    symbols: int  # of either side
    feeding: bool = False


SHAPES = {
    "dates": Shape(64, 256, 1, (20, 6), (10, 0, 0), 60),
    "g2p": Shape(32, 256, 2, (8, 2.5), (8, 1, 1), 45),
    "addition": Shape(128, 128, 1, (9, 0), (5, 0, 0), 12),
    "long": Shape(32, 512, 1, (60, 15), (60, 3, 1), 60),
    "dates, fed": Shape(64, 256, 1, (20, 6), (10, 0, 0), 60, feeding=True),
}


def main() -> None:
    options = parser(__doc__ or "", rounds=20)
    options.add_argument("--shape", action="append", choices=list(SHAPES))
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    if chosen.work:
        work(*chosen.work)
        return
    results = [measure(s, chosen.rounds, chosen.threads) for s in chosen.shape or SHAPES]
    on = machine(chosen.threads)
    show(results)
    print(", ".join(f"{name}: {value}" for name, value in on.items()))
    write_json(chosen.json, on, results)


def measure(shape: str, rounds: int, threads: int) -> dict[str, Any]:
    """Let the contenders take steps in turn; then let charseq decode."""
    with Contenders(__file__, CONTENDERS, shape, threads) as contenders:
        speeds = contenders.rounds(rounds, "step")
        sources = {
            beam: statistics.median(contenders.ask("charseq", beam) for _ in range(min(rounds, 5)))
            for beam in ("1", "5")
        }
    return {
        "shape": shape,
        "contenders": {
            name: {
                "symbols_per_second": statistics.median(speeds[name]),
                "to_library": ratio(speeds[name], speeds["nn.LSTM"]),
                "to_tuned": ratio(speeds[name], speeds["nn.LSTM tuned"]),
            }
            for name in CONTENDERS
        },
        "sources_per_second": sources,
    }


def work(contender: str, name: str) -> None:
    """Take a turn for each line read, and say how many symbols or sources a second there were."""
    shape = SHAPES[name]
    torch.manual_seed(0)
    if contender.startswith("nn.LSTM"):
        if contender.endswith("tuned"):
            from charseq.training.speed import keep_freed_memory

            keep_freed_memory()
        take_turns(shape, library_step(shape), lambda _: 0.0)
        return
    from charseq.training.speed import keep_freed_memory

    keep_freed_memory()
    take_turns(shape, *charseq_step(shape, contender.removeprefix("charseq ")))


def take_turns(
    shape: Shape, step: Callable[[PairBatch], float], decode: Callable[[int], float]
) -> None:
    """A turn takes the same batches in every process."""
    pairs = make_pairs(shape)
    batches = PairBatches(pairs, shape.batch, seed=0)
    taken = 0

    def turn(asked: str) -> float:
        nonlocal taken
        if asked != "step":
            return decode(int(asked))
        turn = [batches.batch(taken + i) for i in range(TIMED + 1)]
        taken += len(turn)
        step(turn[0])
        began = time.perf_counter()
        for batch in turn[1:]:
            step(batch)
        seconds = time.perf_counter() - began
        return sum(int(b.target_lengths.sum()) for b in turn[1:]) / seconds

    answer(turn)


def make_pairs(shape: Shape) -> Pairs:
    """A hundred batches of random symbols with lengths as in the shape."""
    generator = np.random.default_rng(0)
    count = 100 * shape.batch

    def fill(lengths: NDArray[np.float64]) -> Ragged:
        whole = lengths.round().clip(2).astype(np.int64)
        return Ragged.from_lengths(generator.integers(2, shape.symbols, whole.sum()), whole)

    source = generator.normal(*shape.source, count)
    mean, spread, factor = shape.target
    target = generator.normal(mean + factor * (source - shape.source[0]), spread)
    return Pairs([], fill(source), fill(target), np.arange(count))


class LibraryModel(nn.Module):
    """The model in torch's own parts, as most would write it."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        hidden, layers, self.symbols = shape.hidden, shape.layers, shape.symbols
        self.encoder = nn.LSTM(self.symbols, hidden // 2, layers, bidirectional=True)
        self.bridge = nn.ModuleList([nn.Linear(hidden, hidden) for _ in range(2 * layers)])
        if shape.feeding:
            sizes = [self.symbols + hidden, *[hidden] * (layers - 1)]
            self.cells = nn.ModuleList([nn.LSTMCell(size, hidden) for size in sizes])
        else:
            self.decoder = nn.LSTM(self.symbols, hidden, layers)
        self.feeding = shape.feeding
        self.query = nn.Linear(hidden, hidden, bias=False)
        self.combine = nn.Linear(2 * hidden, hidden, bias=False)
        self.output = nn.Linear(hidden, self.symbols)

    def forward(self, source: Tensor, lengths: Tensor, inputs: Tensor) -> Tensor:
        x = nn.functional.one_hot(source, self.symbols).float()
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        output, last = self.encoder(packed)
        values, _ = nn.utils.rnn.pad_packed_sequence(output, batch_first=True)
        joined = [torch.cat([s[0::2], s[1::2]], dim=-1).unbind() for s in last]
        layers = len(joined[0])
        h = [torch.tanh(self.bridge[i](s)) for i, s in enumerate(joined[0])]
        c = [self.bridge[layers + i](s) for i, s in enumerate(joined[1])]
        padding = torch.arange(values.shape[1]) >= lengths[:, None]
        x = nn.functional.one_hot(inputs, self.symbols).float()
        if self.feeding:
            seen = self.feed(x, h, c, values, padding)
        else:
            queries, _ = self.decoder(x, (torch.stack(h), torch.stack(c)))
            seen = self.attend(queries.transpose(0, 1), values, padding)
        logits: Tensor = self.output(seen)
        return logits

    def feed(
        self, x: Tensor, h: list[Tensor], c: list[Tensor], values: Tensor, padding: Tensor
    ) -> Tensor:
        feed = torch.zeros_like(h[-1])
        steps = []
        for x_t in x:
            below = torch.cat([x_t, feed], dim=-1)
            for layer, cell in enumerate(self.cells):
                h[layer], c[layer] = cell(below, (h[layer], c[layer]))
                below = h[layer]
            feed = self.attend(below[:, None], values, padding)[:, 0]
            steps.append(feed)
        return torch.stack(steps, dim=1)

    def attend(self, queries: Tensor, values: Tensor, padding: Tensor) -> Tensor:
        scores = torch.bmm(self.query(queries), values.transpose(1, 2))
        weights = scores.masked_fill(padding[:, None], -torch.inf).softmax(-1)
        context = torch.bmm(weights, values)
        return torch.tanh(self.combine(torch.cat([context, queries], dim=-1)))


def library_step(shape: Shape) -> Callable[[PairBatch], float]:
    model = LibraryModel(shape)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(batch: PairBatch) -> float:
        logits = model(
            torch.from_numpy(batch.source),
            torch.from_numpy(batch.source_lengths),
            torch.from_numpy(batch.inputs),
        )  # (B, T, V)
        targets = torch.from_numpy(batch.targets).t()
        loss = nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step


def charseq_step(
    shape: Shape,
    backend: str,
) -> tuple[Callable[[PairBatch], float], Callable[[int], float]]:
    """The update of ``charseq train``, and decoding: sources a second at a beam."""
    from charseq.config import config_from_json
    from charseq.models.seq2seq import Seq2Seq
    from charseq.text.pair_vocab import PairVocab
    from charseq.text.symbols import Symbols
    from charseq.training.speed import fast_products, has_fast_products
    from charseq.training.state import TrainingState
    from charseq.training.update import update

    network = {
        "hidden_size": shape.hidden,
        "num_layers": shape.layers,
        "input_feeding": shape.feeding,
        "backend": "auto" if backend == "charseq" else backend,
    }
    pairs = {"task": "seq2seq", "data": {"train": "random"}, "model": network}
    config = config_from_json(pairs, where="the benchmark")
    letters = [chr(0x4E00 + i) for i in range(shape.symbols)]
    source = Symbols("", tuple(letters[1:]))  # beside one that is unknown
    vocab = PairVocab(source, Symbols("", tuple(letters[2:])))  # and END
    state = TrainingState(config, vocab, "", torch.device("cpu"))
    model = state.model
    assert isinstance(model, Seq2Seq)
    products = fast_products if has_fast_products(model.device) else nullcontext

    def step(batch: PairBatch) -> float:
        with products():
            return update(state, batch, 1e-3, nullcontext())[0]

    def decode(beam: int) -> float:
        from charseq.inference.search import beam_search

        pairs = make_pairs(shape)
        source, lengths = pad([pairs.source[row] for row in range(shape.batch)])
        most = round(shape.target[0])
        with torch.no_grad():  # all texts have that length, whatever the training steps taught
            model.decoder.output.bias[END] = -100.0
        began = time.perf_counter()
        beam_search([model], source, lengths, beam=beam, max_length=most)
        return shape.batch / (time.perf_counter() - began)

    return step, decode


def show(results: list[dict[str, Any]]) -> None:
    console = Console()
    table = Table(title="target symbols per second, and the ratio to nn.LSTM")
    table.add_column("shape")
    for name in CONTENDERS:
        table.add_column(name, justify="right")
    table.add_column("sources/s decoded\nbeam 1, beam 5", justify="right")
    for result in results:
        cells = [str(result["shape"])]
        for figures in result["contenders"].values():
            speed, against = figures["symbols_per_second"], figures["to_library"]
            cells.append(f"{speed:,.0f}\n{show_ratio(against)}")
        decoded = result["sources_per_second"].values()
        table.add_row(*cells, "\n".join(f"{speed:,.0f}" for speed in decoded))
    console.print(table)


if __name__ == "__main__":
    main()

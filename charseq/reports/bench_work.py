"""One contender of ``charseq bench``: a process that takes a turn for each line that it reads.

The first line says in JSON who it is to be. Every answer is a line of JSON: speeds, or an error.

    train N      N steps after one that is not timed   symbols a second in each of the N
    write S      text, or targets of sources, for S seconds      characters, or sources, a second
    multiply S   two matrices, for S seconds           floating-point operations a second, at best
"""

import json
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from charseq.config import Config, config_from_json
from charseq.config.schema import LMConfig, Seq2SeqConfig
from charseq.errors import CharseqError, is_out_of_memory
from charseq.inference.convert import convert
from charseq.inference.decode import generate
from charseq.inference.torch_stream import open_stream
from charseq.lstm.drawing import Drawing
from charseq.models.build import build_model
from charseq.models.language_model import LanguageModel
from charseq.models.seq2seq import Seq2Seq
from charseq.text.corpus import Streams
from charseq.text.pair_vocab import PairVocab
from charseq.text.vocab import Vocab
from charseq.training.events import Started, Step
from charseq.training.loop import train
from charseq.training.speed import fast_products, has_fast_products

Turns = dict[str, Callable[[float], Any]]
PIECE = 10  # characters that the library writes between two looks at the clock


def main() -> None:
    spec = json.loads(sys.stdin.readline())
    if spec["threads"]:
        torch.set_num_threads(spec["threads"])
    torch.manual_seed(0)
    try:
        ready, turns = _become(spec)
        _say({**ready, "turns": list(turns)})
        for line in sys.stdin:
            what, how_much = line.split()
            _say(turns[what](float(how_much)))
    except CharseqError as error:
        _say({"error": str(error)})
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        _say({"error": "there is not enough memory for this: lower train.batch_size"})


def _say(answer: Any) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201  the process that asked reads it


def _become(spec: dict[str, Any]) -> tuple[dict[str, Any], Turns]:
    """What there is to know beforehand, and the turns that can be taken."""
    name = spec["contender"]
    if name == "products":
        return _products()
    config = config_from_json(spec["config"], "the benchmark")
    if name == "nn.LSTM":
        assert isinstance(config, LMConfig)  # noqa: S101
        return {}, _library(config, Vocab.from_json(spec["vocab"]).size)
    kind = Vocab if isinstance(config, LMConfig) else PairVocab
    backend, _, precision = name.partition(" ")
    config = _endless(config, backend, precision or "fp32")
    events = train(config, run=Path(spec["run"]), device="cpu")
    started = next(events)
    assert isinstance(started, Started)  # noqa: S101
    ready = {
        "parameters": started.parameters,
        "vocab_size": started.vocab_size,
        "threads": torch.get_num_threads(),
    }

    def steps(count: float) -> list[float]:
        taken = [next(events) for _ in range(1 + int(count))]
        return [step.symbols_per_second for step in taken if isinstance(step, Step)][1:]

    turns: Turns = {"train": steps}
    model = build_model(config, kind.from_json(spec["vocab"]))
    if isinstance(model, LanguageModel):
        turns["write"] = partial(_per_second, _writing(model, bfloat16=precision == "bf16"))
    elif not precision:  # conversions have none
        assert isinstance(config, Seq2SeqConfig)  # noqa: S101
        turns["write"] = partial(_per_second, _converting(model, config, spec))
    return ready, turns


def _endless(config: Config, backend: str, precision: str) -> Config:
    """A training that tells the speed of every step, and does nothing else until it is left."""
    never = 10**9
    train = {
        "precision": precision,
        "max_steps": never,
        "max_epochs": None,
        "max_minutes": None,
        "eval_every": never,
        "save_every": never,
        "log_every": 1,
        "patience": None,
        "schedule": "constant",
    }
    return config.model_copy(
        update={
            "model": config.model.model_copy(update={"backend": backend}),
            "train": config.train.model_copy(update=train),
        }
    )


def _writing(model: LanguageModel, *, bfloat16: bool) -> Callable[[], int]:
    """Write some characters of one long text, as ``charseq sample`` does; gives their number."""
    chunks = generate(
        open_stream(model, bfloat16=bfloat16),
        [0],
        length=10**12,
        drawing=Drawing(),
        seed=0,
    )
    return lambda: len(next(chunks))


def _converting(model: Seq2Seq, config: Seq2SeqConfig, spec: dict[str, Any]) -> Callable[[], int]:
    """Convert the sources with the beam of the configuration, to targets of the usual length."""
    sources = [np.array(source) for source in spec["sources"]]

    def write() -> int:
        found = convert(
            [model],
            sources,
            beam=config.sample.beam,
            length_penalty=config.sample.length_penalty,
            max_target_length=spec["target_length"],
        )
        return len(list(found))

    return write


def _per_second(write: Callable[[], int], seconds: float) -> float:
    count, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds or not count:
        count += write()
    return count / took


def _library(config: LMConfig, symbols: int) -> Turns:
    """What a user of torch writes, with the sizes, the dropout and the rates of a configuration."""
    model, settings = config.model, config.train
    size = model.embedding_size
    embedding = None if size is None else nn.Embedding(symbols, size)
    between = model.dropout if model.num_layers > 1 else 0.0
    lstm = nn.LSTM(size or symbols, model.hidden_size, model.num_layers, dropout=between)
    output = nn.Sequential(nn.Dropout(model.dropout), nn.Linear(model.hidden_size, symbols))
    network = nn.ModuleList([part for part in (embedding, lstm, output) if part is not None])
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    batch, steps = settings.batch_size, settings.seq_len
    ids = np.random.default_rng(0).integers(symbols, size=20 * batch * steps + 1)
    streams = Streams(ids.astype(np.uint32), batch, steps)
    state: tuple[Tensor, Tensor] | None = None
    taken = 0

    def read(ids: Tensor, state: Any) -> Any:
        one_hot = nn.functional.one_hot
        return lstm(embedding(ids) if embedding else one_hot(ids, symbols).float(), state)

    def step() -> int:
        nonlocal state, taken
        window = streams.batch(taken)
        h, (h_n, c_n) = read(torch.from_numpy(window.inputs), state)
        state, taken = (h_n.detach(), c_n.detach()), taken + 1
        loss = nn.functional.cross_entropy(
            output(h).flatten(0, 1),
            torch.from_numpy(window.targets).flatten(),
            label_smoothing=settings.label_smoothing,
        )
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        if settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
        optimizer.step()
        loss.item()
        return batch * steps

    def steps_timed(count: float) -> list[float]:
        network.train()
        step()
        return [_per_second(step, 0.0) for _ in range(int(count))]

    @torch.no_grad()
    def write() -> int:
        network.eval()
        symbol, state = torch.zeros(1, 1, dtype=torch.int64), None
        for _ in range(PIECE):
            h, state = read(symbol, state)
            symbol = torch.multinomial(output(h[0]).softmax(-1), 1)
        return PIECE

    return {"train": steps_timed, "write": lambda seconds: _per_second(write, seconds)}


def _products() -> tuple[dict[str, Any], Turns]:
    """The fastest that torch multiplies float32 matrices here, as it is or as a training sets it.

    They are so large that a product takes a while: small ones do not keep a large machine busy.
    """
    size, best = 512, 0.0
    while best < 0.02 and size < 8192:
        size *= 2
        a = torch.randn(size, size)
        took = {fast: _product_seconds(a, 0.1, fast=fast) for fast in (False, True)}
        best = min(took.values())
    fast = has_fast_products(a.device) and took[True] < took[False]
    return {"size": size}, {
        "multiply": lambda seconds: 2 * size**3 / _product_seconds(a, seconds, fast=fast)
    }


def _product_seconds(a: Tensor, seconds: float, *, fast: bool) -> float:
    """The shortest time of a product in so many seconds."""
    began, best = time.perf_counter(), float("inf")
    with fast_products() if fast else nullcontext():
        while time.perf_counter() - began < seconds or best == float("inf"):
            before = time.perf_counter()
            a @ a
            best = min(best, time.perf_counter() - before)
    return best


if __name__ == "__main__":
    main()

"""How fast a configuration trains and writes here, with each backend: half of ``charseq bench``.

Every contender is a process of its own (``bench_work.py``), because the settings that matter belong
to a process. They take turns, A B C A B C …, so that a machine that slows down slows all. A turn is
one step that fetches the caches back and some that are timed, on the same batches for all. A figure
is the median over the rounds; a ratio is the median of the ratios round by round, with quartiles.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from charseq.config import Config, config_to_json
from charseq.config.schema import LMConfig
from charseq.errors import CharseqError
from charseq.models.build import Data, load_data, make_batches
from charseq.models.checkpoint_file import AnyVocab
from charseq.reports.bench import BFLOAT16, backends
from charseq.reports.bench_data import with_data
from charseq.reports.bench_flops import of_update
from charseq.text.corpus import Batch, Streams
from charseq.text.pair_batches import PairBatch, PairBatches
from charseq.text.pairs import PairCorpus

LIBRARY, PRODUCTS = "nn.LSTM", "products"  # contenders beside the backends

ROUNDS = 3  # at least
TURN = 0.2  # seconds for which the slowest contender is to be timed
MOST_STEPS = 20  # of a turn
WRITING = 0.1  # seconds of a turn
SOURCES = 64  # that a turn converts


@dataclass(frozen=True)
class _Round:
    """One turn of everybody."""

    steps: int  # that were timed
    symbols: int  # of these steps, and so on
    flops: int
    seconds: dict[str, float]
    peak: float  # floating-point operations a second
    written: dict[str, float]  # a second


@dataclass(frozen=True)
class Speed:
    """Of one contender: the median; the ratio to the first contender, and its quartiles."""

    per_second: float
    ratio: float
    ratio_quartiles: tuple[float, float]
    share_of_peak: float | None  # of the training


@dataclass(frozen=True)
class Speeds:
    """What was measured of a configuration. The others are held to the first contender.

    Attributes:
        data: what was trained on, in words.
        parameters: weights and biases of charseq's model.
        vocab_size: symbols that it can write.
        symbols: what an update learns from, in ``unit``; the mean of those timed.
        flops: floating-point operations of an update, as ``bench_flops`` counts them; the mean.
        peak: of torch's product of two float32 matrices, in floating-point operations a second.
        peak_size: rows and columns of these.
        unit, written_unit: what ``training`` and ``writing`` count a second.
        spared: settings of the configuration that nn.LSTM ran without, as it has none of them.
    """

    data: str
    parameters: int
    vocab_size: int
    threads: int
    rounds: int
    symbols: float
    flops: float
    peak: float
    peak_size: int
    unit: str
    written_unit: str
    training: dict[str, Speed]
    writing: dict[str, Speed]
    spared: list[str]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def contenders(config: Config) -> list[str]:
    """Who is measured here, first the one that the others are held to.

    For pairs that is charseq's own model with the kernel of nn.LSTM, backend torch.
    """
    here = {backend.name for backend in backends() if backend.why_not is None}
    compiled = [name for name in ("fused", BFLOAT16) if name in here]
    return [LIBRARY if isinstance(config, LMConfig) else "torch", "manual", *compiled]


def measure(config: Config, folder: Path, *, seconds: float, threads: int | None = None) -> Speeds:
    """Let the contenders train and write in turn, for ``seconds`` and at least ``ROUNDS`` rounds.

    Args:
        folder: where random data and the contenders' runs go.
        threads: of every contender; as many as torch takes where it is None.

    Raises:
        CharseqError: the data cannot be used, or a contender failed.
    """
    config, told = with_data(config, folder)
    data = load_data(config)
    batches = make_batches(config, data)
    spec = {
        "config": config_to_json(config),
        "vocab": data.vocab.to_json(),
        "threads": threads,
        **_to_convert(data),
    }
    names = contenders(config)
    with ExitStack() as stack:
        # All begin before the first is waited for: to import torch takes seconds.
        processes = {
            name: stack.enter_context(_Contender(name, spec, folder)) for name in [*names, PRODUCTS]
        }
        ready = {name: process.answer() for name, process in processes.items()}
        model = ready["manual"]
        writers = [name for name in names if "write" in ready[name]["turns"]]
        rounds = _rounds(config, batches, data.vocab, processes, writers, seconds)
    is_text = isinstance(config, LMConfig)
    return Speeds(
        data=told,
        parameters=model["parameters"],
        vocab_size=model["vocab_size"],
        threads=model["threads"],
        rounds=len(rounds),
        symbols=statistics.mean(one.symbols / one.steps for one in rounds),
        flops=statistics.mean(one.flops / one.steps for one in rounds),
        peak=statistics.median(one.peak for one in rounds),
        peak_size=ready[PRODUCTS]["size"],
        unit="characters" if is_text else "target symbols",
        written_unit="characters" if is_text else "sources",
        training=_speeds(
            {name: [one.symbols / one.seconds[name] for one in rounds] for name in names},
            {name: [one.flops / one.seconds[name] / one.peak for one in rounds] for name in names},
        ),
        writing=_speeds({name: [one.written[name] for one in rounds] for name in writers}),
        spared=_spared(config),
    )


def _rounds(
    config: Config,
    batches: Streams | PairBatches,
    vocab: AnyVocab,
    processes: Mapping[str, "_Contender"],
    writers: Sequence[str],
    seconds: float,
) -> list[_Round]:
    trainers = [name for name in processes if name != PRODUCTS]
    rounds: list[_Round] = []
    done, steps, began = 0, 1, 0.0
    while len(rounds) < ROUNDS or time.perf_counter() - began < seconds:
        turn = [batches.batch(step) for step in range(done + 1, done + 1 + steps)]
        done += 1 + steps  # the first is not timed: it fetches the caches back
        counts = [_symbols(batch) for batch in turn]
        took = {
            name: sum(
                count / speed
                for count, speed in zip(counts, processes[name].ask("train", steps), strict=True)
            )
            for name in trainers
        }
        if not began:  # the first steps fill caches and make the optimizer's state
            steps = max(1, min(MOST_STEPS, round(TURN / max(took.values()))))
            began = time.perf_counter()
            continue
        rounds.append(
            _Round(
                steps=steps,
                symbols=sum(counts),
                flops=sum(of_update(config, vocab, batch) for batch in turn),
                seconds=took,
                peak=processes[PRODUCTS].ask("multiply", WRITING),
                written={name: processes[name].ask("write", WRITING) for name in writers},
            )
        )
    return rounds


def _symbols(batch: Batch | PairBatch) -> int:
    """How many targets a batch has, as a training counts them."""
    return batch.targets.size if isinstance(batch, Batch) else int(batch.target_lengths.sum())


def _to_convert(data: Data) -> dict[str, Any]:
    """Of pairs: some sources, and how long their targets are."""
    if not isinstance(data, PairCorpus):
        return {}
    pairs = data.train
    return {
        "sources": [pairs.source[row].tolist() for row in range(min(SOURCES, len(pairs)))],
        "target_length": max(1, int(np.median(pairs.target.lengths))),
    }


def _speeds(
    rates: Mapping[str, Sequence[float]], shares: Mapping[str, Sequence[float]] | None = None
) -> dict[str, Speed]:
    first = next(iter(rates.values()))
    speeds = {}
    for name, found in rates.items():
        ratios = [rate / base for rate, base in zip(found, first, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        share = statistics.median(shares[name]) if shares else None
        speeds[name] = Speed(statistics.median(found), middle, (low, high), share)
    return speeds


def _spared(config: Config) -> list[str]:
    if not isinstance(config, LMConfig):  # then the others are charseq's too
        return []
    model, train = config.model, config.train
    extra = {
        "model.input_dropout": model.input_dropout,
        "model.locked_dropout": model.dropout and model.locked_dropout,
        "model.weight_drop": model.weight_drop,
        "model.zoneout": model.zoneout,
        "train.average_decay": train.average_decay,
    }
    return [name for name, value in extra.items() if value]


class _Contender:
    """A process of ``bench_work.py``: it is asked on its standard input, a line each."""

    def __init__(self, name: str, spec: Mapping[str, Any], folder: Path) -> None:
        self.name = name
        environment = dict(os.environ)
        if spec["threads"]:
            environment["OMP_NUM_THREADS"] = str(spec["threads"])
        if name == "manual":  # as where there is no kernel: sampling has no other switch
            environment["CHARSEQ_KERNEL"] = "off"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "charseq.reports.bench_work"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            process_group=0,  # Ctrl-C is for this process, which ends the others
        )
        run = str(folder / name.replace(" ", "-"))
        self._tell(json.dumps({**spec, "contender": name, "run": run}))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, what: str, how_much: float) -> Any:
        """Let it take a turn; the answer is a list of speeds for "train", else one."""
        self._tell(f"{what} {how_much}")
        return self.answer()

    def answer(self) -> Any:
        """What it says next. Raises CharseqError where that is an error, or nothing at all."""
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        if not line:
            raise CharseqError(
                f"bench: the process of {self.name} ended with code {self._process.wait()}; where"
                " memory is short, --set train.batch_size to a lower number"
            )
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise CharseqError(answer["error"])
        return answer

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101
        with suppress(BrokenPipeError):  # it has ended: no answer will come
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

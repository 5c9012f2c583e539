"""Models of which every answer is known, for the tests of searching and drawing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, cast

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from charseq.inference.search import beam_search, sample
from charseq.inference.trace import Hypothesis
from charseq.lstm.drawing import Drawing
from charseq.models.seq2seq import Seq2Seq

Source = tuple[int, ...]
Prefix = tuple[int, ...]
Found = list[tuple[Prefix, float, bool]]  # ids, score, finished; best first
END, UNKNOWN = 0, 1


@dataclass(frozen=True)
class Paths:
    """The state of ``Table``: each row's source and what it has read; whose batch it is."""

    sources: list[Source]
    rows: list[tuple[Source, Prefix]]
    attention: Tensor | None = None

    def select(self, rows: Tensor, sources: Tensor | None = None) -> "Paths":
        kept = self.sources if sources is None else [self.sources[i] for i in sources.tolist()]
        taken = [self.rows[i] for i in rows.tolist()]
        each = len(taken) // len(kept)  # those of one source stand side by side
        assert [source for source, _ in taken] == [source for source in kept for _ in range(each)]
        return Paths(kept, taken, None if self.attention is None else self.attention[rows])


class Table:
    """A model whose logits are any function of the source and of the symbols so far."""

    device = torch.device("cpu")
    training = False

    def __init__(self, size: int, logits: Callable[[Source, Prefix], Sequence[float]]) -> None:
        self.vocab_size = size
        self.logits = logits
        self.stepped: list[int] = []  # the rows of each step
        self.focus = 1.0  # a factor of the attention

    def train(self, mode: bool = True) -> None: ...

    def begin(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Paths]:
        self.width = len(source)
        sources = [tuple(source[: int(n), b].tolist()) for b, n in enumerate(lengths)]
        return torch.zeros(len(lengths), dtype=torch.int64), Paths(
            sources, [(s, ()) for s in sources]
        )

    def step(self, ids: Tensor, state: Paths) -> tuple[Tensor, Paths]:
        self.stepped.append(len(ids))
        rows = [(s, (*read, i)) for (s, read), i in zip(state.rows, ids.tolist(), strict=True)]
        logits = torch.tensor([list(self.logits(s, read[1:])) for s, read in rows])
        attention = torch.zeros(len(rows), self.width)
        for weights, (source, read) in zip(attention, rows, strict=True):
            weights[: len(source)] = self.focus * looks(source, read[1:])
        return logits.double(), Paths(state.sources, rows, attention)

    def as_model(self) -> Seq2Seq:
        return cast(Seq2Seq, self)


def looks(source: Source, prefix: Prefix) -> Tensor:
    """The attention that ``Table`` says it paid: a vector that no other prefix has."""
    return torch.tensor([float(hash((prefix, i)) % 9973) for i in range(len(source))])


def random_table(size: int, seed: int = 0, *, ties: bool = False, scale: float = 2.0) -> Table:
    def logits(source: Source, prefix: Prefix) -> list[float]:
        generator = np.random.default_rng((seed, *source, 99, *prefix))
        values = generator.normal(size=size) * scale
        return [float(x) for x in (np.sign(values) if ties else values)]

    return Table(size, logits)


def random_model(size: int, seed: int = 0, **options: Any) -> Seq2Seq:
    """In float64, and far from indifferent: its weights are several times the usual."""
    generator = torch.Generator().manual_seed(seed)
    model = Seq2Seq(6, size, 8, **options).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator).double())
    return model


KINDS: list[dict[str, Any]] = [
    {"attention": "none"},
    {"attention": "general", "num_layers": 2},
    {"attention": "dot", "bidirectional": False},
    {"attention": "additive", "input_feeding": True, "embedding_size": 3},
    {"attention": "general", "input_feeding": True, "copy_table": [1, 2, 3, -1, 2, -1]},
]


NextLogP = Callable[[Prefix], list[float]]


def next_of(models: Sequence[Table | Seq2Seq], source: Source) -> NextLogP:
    """log p of the symbol after a prefix: the mean of probabilities; models read it all anew."""

    @cache
    def log_p(prefix: Prefix) -> list[float]:
        each = []
        for model in models:
            if isinstance(model, Table):
                logits = torch.tensor(model.logits(source, prefix)).double()
            else:
                inputs = torch.tensor([END, *prefix])[:, None]
                with torch.no_grad():
                    logits = model(torch.tensor(source)[:, None], None, inputs)[-1, 0]
            each.append(logits)
        if len(each) == 1:
            return [float(x) for x in each[0].log_softmax(0)]
        return [float(x) for x in torch.stack(each).softmax(1).mean(0).log()]

    return log_p


def penalty(length: int, alpha: float) -> float:
    return float(((5 + length) / 6) ** alpha)


def exhaustive(log_p: NextLogP, size: int, most: int, alpha: float = 0.0) -> Found:
    """Every string there is, best first."""
    finished = []
    for length in range(most + 1):
        for ids in product(range(1, size), repeat=length):
            total = sum(log_p(ids[:i])[ids[i]] for i in range(length))
            ended = total + log_p(ids)[END]
            finished.append((ids, ended / penalty(length + 1, alpha), True))
    return sorted(finished, key=lambda one: -one[1])


def padded(
    sources: Sequence[Source], extra: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    lengths = np.array([len(source) for source in sources])
    ids = np.zeros((lengths.max() + extra, len(sources)), dtype=np.int64)
    for b, source in enumerate(sources):
        ids[: len(source), b] = source
    return ids, lengths


def search(models: Sequence[Table | Seq2Seq], sources: Sequence[Source], **options: Any) -> Any:
    options = {"max_length": 4, "never": None, **options}
    return beam_search([cast(Seq2Seq, model) for model in models], *padded(sources), **options)


def assert_same(found: list[Hypothesis], expected: Found) -> None:
    assert [(one.ids, one.finished) for one in found] == [(ids, end) for ids, _, end in expected]
    np.testing.assert_allclose(
        [one.score for one in found], [score for _, score, _ in expected], rtol=1e-9, atol=1e-12
    )


SOURCES: list[Source] = [(1, 2, 3), (4,), (2, 2), (5, 1, 4, 3, 3), (3,)]
sources_strategy = st.lists(
    st.lists(st.integers(1, 5), min_size=1, max_size=6).map(tuple), min_size=1, max_size=9
)


def draw(
    models: Sequence[Table | Seq2Seq],
    sources: Sequence[Source],
    drawing: Drawing = Drawing(),  # noqa: B008
    **options: Any,
) -> Any:
    options = {
        "numbers": range(len(sources)), "seed": 0, "max_length": 8, "never": None, **options
    }  # fmt: skip
    options["drawing"] = drawing
    return sample([cast(Seq2Seq, model) for model in models], *padded(sources), **options)

"""What a search finds is what trying everything finds, whatever else is in the batch."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from charseq.errors import CharseqError
from charseq.inference.distribution import tempered
from charseq.inference.search import Hypothesis, beam_search, sample
from charseq.models.seq2seq import Seq2Seq

Source = tuple[int, ...]
Prefix = tuple[int, ...]
Found = list[tuple[Prefix, float, bool]]  # ids, score, finished; best first
END, UNKNOWN = 0, 1


# ------------------------------------------------------------------ models with known answers


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
    finished, cut = [], []
    for length in range(most + 1):
        for ids in product(range(1, size), repeat=length):
            total = sum(log_p(ids[:i])[ids[i]] for i in range(length))
            if length < most:
                total += log_p(ids)[END]
                finished.append((ids, total / penalty(length + 1, alpha), True))
            else:
                cut.append((ids, total / penalty(most, alpha), False))
    best: Found = sorted(finished, key=lambda one: -one[1])
    return best + sorted(cut, key=lambda one: -one[1])


def plain_beam(
    log_p: NextLogP, beam: int, n_best: int, alpha: float, most: int, banned: int | None = None
) -> Found:
    """Beam search by its definition: one source, up to the greatest length, nothing given up."""
    live: list[tuple[Prefix, float]] = [((), 0.0)]
    finished: Found = []
    for step in range(1, most + 1):
        candidates = []
        for rank, (prefix, total) in enumerate(live):
            for i, gained in enumerate(log_p(prefix)):
                if i != banned and total + gained > -math.inf:
                    candidates.append((-(total + gained), rank, i, prefix))
        candidates.sort()
        finished += [
            (prefix, -cost / penalty(step, alpha), True)
            for cost, _, i, prefix in candidates[:beam]
            if i == END
        ]
        live = [((*prefix, i), -cost) for cost, _, i, prefix in candidates if i != END][:beam]
    finished.sort(key=lambda one: -one[1])  # stable: of equal ones the earlier
    cut = [(prefix, total / penalty(most, alpha), False) for prefix, total in live]
    return (finished + cut)[:n_best]


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


# ------------------------------------------------------------------ against trying everything


@pytest.mark.parametrize("alpha", [0.0, 0.6, 3.0])
@pytest.mark.parametrize("ensemble", [1, 3])
def test_a_beam_of_full_width_finds_what_trying_everything_finds(
    alpha: float, ensemble: int
) -> None:
    size, most = 4, 4
    models = [random_table(size, seed) for seed in range(ensemble)]
    expected = [exhaustive(next_of(models, source), size, most, alpha) for source in SOURCES]
    count = sum(3**n for n in range(most + 1))
    for n_best in (1, 5, count):
        results = search(
            models, SOURCES, beam=size**most, n_best=n_best, length_penalty=alpha, max_length=most
        )
        for every, found in zip(expected, results, strict=True):
            assert len(every) == count
            assert_same(found, every[:n_best])


@pytest.mark.parametrize("kind", KINDS)
def test_a_beam_of_full_width_is_exact_for_real_models_and_ensembles(kind: dict[str, Any]) -> None:
    size, most = (4, 3) if "copy_table" in kind else (3, 4)
    models: list[Table | Seq2Seq] = [random_model(size, seed, **kind) for seed in range(2)]
    for members in (models[:1], models):
        results = search(
            members, SOURCES, beam=size**most, n_best=9, length_penalty=0.4, max_length=most
        )
        for source, found in zip(SOURCES, results, strict=True):
            assert_same(found, exhaustive(next_of(members, source), size, most, 0.4)[:9])


@settings(max_examples=60)
@given(
    sources=sources_strategy,
    seed=st.integers(0, 1000),
    size=st.integers(2, 5),
    beam=st.integers(2, 7),
    data=st.data(),
    alpha=st.sampled_from([0.0, 0.7, 2.0]),
    most=st.integers(1, 7),
    ensemble=st.integers(1, 2),
)
def test_a_narrow_beam_is_the_one_by_definition(
    sources: list[Source],
    seed: int,
    size: int,
    beam: int,
    data: st.DataObject,
    alpha: float,
    most: int,
    ensemble: int,
) -> None:
    n_best = data.draw(st.integers(1, beam))
    models = [random_table(size, seed + i) for i in range(ensemble)]
    results = search(
        models, sources, beam=beam, n_best=n_best, length_penalty=alpha, max_length=most
    )
    for source, found in zip(sources, results, strict=True):
        assert_same(found, plain_beam(next_of(models, source), beam, n_best, alpha, most))


@settings(max_examples=60)
@given(
    sources=sources_strategy,
    seed=st.integers(0, 1000),
    beam=st.integers(2, 6),
    most=st.integers(1, 5),
    banned=st.sampled_from([None, 1, 3]),
)
def test_equally_likely_hypotheses_come_in_a_fixed_order(
    sources: list[Source], seed: int, beam: int, most: int, banned: int | None
) -> None:
    table = random_table(4, seed, ties=True)  # logits of -1 and 1 alone
    results = search([table], sources, beam=beam, n_best=beam, max_length=most, never=banned)
    for source, found in zip(sources, results, strict=True):
        log_p = next_of([table], source)
        assert_same(found, plain_beam(log_p, beam, beam, 0.0, most, banned))


# ------------------------------------------------------------------ greedy


@settings(max_examples=40)
@given(
    sources=sources_strategy,
    seed=st.integers(0, 1000),
    most=st.integers(1, 6),
    alpha=st.sampled_from([0.0, 1.5]),
)
def test_a_beam_of_one_takes_the_likeliest_symbol_every_time(
    sources: list[Source], seed: int, most: int, alpha: float
) -> None:
    table = random_table(4, seed)
    found = search([table], sources, max_length=most, length_penalty=alpha)
    for source, hypotheses in zip(sources, found, strict=True):
        ids: Prefix = ()
        total = 0.0
        while len(ids) < most and END not in ids:
            row = next_of([table], source)(ids)
            total += max(row)
            ids = (*ids, row.index(max(row)))
        ended = ids[-1] == END
        expected = (ids[:-1] if ended else ids, total / penalty(len(ids), alpha), ended)
        assert_same(hypotheses, [expected])
        assert hypotheses[0].log_probability == pytest.approx(total, rel=1e-12)


def test_the_first_of_equally_likely_symbols_is_taken() -> None:
    equal = Table(4, lambda source, prefix: [0.0, 1.0, 1.0, 1.0] if not prefix else [1.0] * 4)
    assert search([equal], SOURCES[:2], max_length=9)[1][0].ids == (1,)


# ------------------------------------------------------------------ the batch does not matter


@settings(max_examples=25)
@given(
    sources=sources_strategy,
    shuffle=st.randoms(use_true_random=False),
    kind=st.sampled_from(KINDS),
    beam=st.integers(1, 4),
    extra=st.integers(0, 4),
)
def test_a_source_gets_in_any_batch_what_it_gets_alone(
    sources: list[Source], shuffle: Any, kind: dict[str, Any], beam: int, extra: int
) -> None:
    models: list[Seq2Seq] = [random_model(4, seed, **kind) for seed in range(2)]
    options: dict[str, Any] = {"beam": beam, "n_best": beam, "length_penalty": 0.5}
    options |= {"max_length": 12, "with_attention": True}
    alone = [search(models, [source], **options)[0] for source in sources]
    order = list(range(len(sources)))
    shuffle.shuffle(order)
    ids, lengths = padded([sources[i] for i in order], extra)
    ids[lengths[None] <= np.arange(len(ids))[:, None]] = 5  # padding may be anything
    batch = beam_search(models, ids, lengths, **{**options, "never": None})
    for i, found in zip(order, batch, strict=True):
        assert_same(found, [(one.ids, one.score, one.finished) for one in alone[i]])
        for one, other in zip(found, alone[i], strict=True):
            assert one.log_probability == pytest.approx(other.log_probability, abs=1e-9)
            if one.attention is None or other.attention is None:
                assert one.attention is other.attention
            else:
                np.testing.assert_allclose(one.attention, other.attention, atol=1e-6)


def test_each_source_has_its_own_greatest_length() -> None:
    table = random_table(4, seed=5)
    most = np.array([1, 5, 3, 2, 4])
    for beam in (1, 3):
        together = search([table], SOURCES, beam=beam, n_best=beam, max_length=most)
        for source, length, found in zip(SOURCES, most, together, strict=True):
            alone = search([table], [source], beam=beam, n_best=beam, max_length=int(length))[0]
            assert_same(found, [(one.ids, one.score, one.finished) for one in alone])
            assert max(len(one.ids) + one.finished for one in found) <= length


def one_straggler(source: Source, prefix: Prefix) -> list[float]:
    """Ends after three symbols; source (5,) after sixty."""
    return [9.0, 0.0, 0.0] if len(prefix) >= (60 if source == (5,) else 3) else [-9.0, 5.0, 0.0]


@pytest.mark.parametrize("beam", [1, 4])
def test_what_is_done_leaves_the_batch(beam: int) -> None:
    table = Table(3, one_straggler)
    sources: list[Source] = [*[(1,)] * 99, (5,)]
    found = search([table], sources, beam=beam, max_length=100)
    assert [len(hypotheses[0].ids) for hypotheses in found] == [3] * 99 + [60]
    assert len(table.stepped) == 61
    assert max(table.stepped[:4]) <= 100 * beam
    assert max(table.stepped[4:]) <= beam


def test_a_search_ends_as_soon_as_nothing_better_can_come() -> None:
    certain = Table(3, lambda source, prefix: [9.0, 0.0, 0.0] if prefix else [0.0, 9.0, 0.0])
    found = search([certain], [(1,)], beam=3, max_length=1000)
    assert found[0][0].ids == (1,)
    assert len(certain.stepped) == 2


# ------------------------------------------------------------------ how it ends


def test_what_was_cut_off_comes_after_what_finished() -> None:
    def logits(source: Source, prefix: Prefix) -> list[float]:
        return [-3.0, 3.0, 0.0]  # END is unlikely everywhere

    found = search([Table(3, logits)], [(1,)], beam=27, n_best=6, max_length=3)[0]
    assert_same(found, exhaustive(next_of([Table(3, logits)], (1,)), 3, 3)[:6])
    one = search([Table(3, logits)], [(1,)], beam=1, max_length=3)[0]
    assert [(h.ids, h.finished) for h in one] == [((1, 1, 1), False)]
    assert one[0].score == pytest.approx(
        3 * math.log(math.exp(3) / (math.exp(3) + 1 + math.exp(-3)))
    )
    two = search([Table(3, logits)], [(1,)], beam=2, n_best=2, max_length=3)[0]
    assert [(h.ids, h.finished) for h in two] == [((1, 1, 1), False), ((1, 1, 2), False)]


def test_fewer_strings_than_asked_for() -> None:
    only_end = Table(2, lambda source, prefix: [0.0, -math.inf])
    assert [h.ids for h in search([only_end], [(1,)], beam=3, n_best=3)[0]] == [()]
    nothing_else = Table(1, lambda source, prefix: [1.0])
    assert [h.ids for h in search([nothing_else], [(1,)], beam=3, n_best=3, never=1)[0]] == [()]


def test_the_unknown_symbol_is_not_written_unless_there_is_no_other() -> None:
    def logits(source: Source, prefix: Prefix) -> list[float]:
        if source == (1,) and not prefix:
            return [-math.inf, 0.0, -math.inf]
        return [1.0, 9.0, 2.0]

    table = Table(3, logits)
    for beam in (1, 3):
        stuck, free = search([table], [(1,), (2,)], beam=beam, never=UNKNOWN)
        assert stuck[0].ids[:1] == (UNKNOWN,)
        assert UNKNOWN not in stuck[0].ids[1:] + free[0].ids
    draws = sample(
        [table.as_model()], *padded([(1,), (2,)]), numbers=[0, 1], seed=1, draws=20, max_length=5
    )
    assert all(one.ids[:1] == (UNKNOWN,) and UNKNOWN not in one.ids[1:] for one in draws[0])
    assert not any(UNKNOWN in one.ids for one in draws[1])
    # Its probability is not shared out among the others: what is told is what the model says.
    assert (free[0].ids, free[0].finished) == ((), True)
    assert free[0].log_probability == pytest.approx(next_of([table], (2,))(())[END])


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("ensemble", [1, 2])
def test_the_attention_kept_is_that_of_the_path(beam: int, ensemble: int) -> None:
    models = [random_table(4, seed) for seed in range(ensemble)]
    for i, model in enumerate(models):
        model.focus = 1.0 + i
    found = search(models, SOURCES, beam=beam, n_best=beam, max_length=5, with_attention=True)
    lengths = []
    for source, hypotheses in zip(SOURCES, found, strict=True):
        for one in hypotheses:
            steps = len(one.ids) + one.finished
            expected = torch.stack([looks(source, one.ids[:i]) for i in range(steps)])
            np.testing.assert_array_equal(one.attention, expected * (1.0 + ensemble) / 2)
            lengths.append(steps)
    assert max(lengths) >= 3  # else the path could not go wrong
    assert search(models, SOURCES, beam=beam)[0][0].attention is None


def test_a_real_attention_is_a_distribution_over_the_source() -> None:
    model = random_model(5, attention="additive")
    for hypotheses in search([model], SOURCES, beam=2, with_attention=True, max_length=9):
        weights = hypotheses[0].attention
        assert weights is not None
        np.testing.assert_allclose(weights.sum(1), 1.0, rtol=1e-6)


def test_models_in_training_mode_decode_without_dropout_and_stay_in_it() -> None:
    expected = search([random_model(5, dropout=0.0)], SOURCES, beam=3)
    model = random_model(5, dropout=0.5, input_dropout=0.5).train()
    state = torch.get_rng_state()
    for found, other in zip(search([model], SOURCES, beam=3), expected, strict=True):
        assert_same(found, [(one.ids, one.score, one.finished) for one in other])
    assert model.training
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state)


# ------------------------------------------------------------------ drawing


def draw(models: Sequence[Table | Seq2Seq], sources: Sequence[Source], **options: Any) -> Any:
    options = {
        "numbers": range(len(sources)), "seed": 0, "max_length": 8, "never": None, **options
    }  # fmt: skip
    return sample([cast(Seq2Seq, model) for model in models], *padded(sources), **options)


def test_strings_are_drawn_as_often_as_the_models_say() -> None:
    models = [random_table(3, seed, scale=1.0) for seed in (1, 2)]
    every = exhaustive(next_of(models, (2,)), 3, 3)
    drawn = draw(models, [(2,)], draws=4000, max_length=3)[0]
    counts = {(ids, end): 0 for ids, _, end in every}
    for one in drawn:
        counts[one.ids, one.finished] += 1
    for ids, log_p, end in every:
        p = math.exp(log_p)
        assert abs(counts[ids, end] - 4000 * p) < 4.5 * math.sqrt(4000 * p * (1 - p)) + 1
    scores = {(ids, end): log_p for ids, log_p, end in every}
    for one in drawn[:50]:
        assert one.log_probability == pytest.approx(scores[one.ids, one.finished], rel=1e-9)
        assert one.score == one.log_probability


@settings(max_examples=30)
@given(
    sources=st.permutations(range(5)),
    draws=st.integers(1, 3),
    seed=st.integers(0, 2**70),
    temperature=st.sampled_from([0.0, 0.5, 3.0]),
)
def test_a_source_draws_the_same_in_any_batch(
    sources: list[int], draws: int, seed: int, temperature: float
) -> None:
    table = random_table(4, seed=3)
    options = {"seed": seed, "temperature": temperature}
    batch = draw([table], [SOURCES[i] for i in sources], numbers=sources, draws=draws, **options)
    for i, found in zip(sources, batch, strict=True):
        alone = draw([table], [SOURCES[i]], numbers=[i], draws=3, **options)[0]
        assert len(found) == draws
        assert_same(found, [(one.ids, one.score, one.finished) for one in alone[:draws]])


def test_other_seeds_numbers_and_draws_give_other_strings() -> None:
    table = random_table(6, seed=3, scale=0.3)
    table.logits = lambda source, prefix: [-2.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    one, other = draw([table], [(1,), (1,)], draws=2, max_length=20)
    again = draw([table], [(1,)], seed=1, draws=2, max_length=20)[0]
    assert len({h.ids for h in one + other + again}) == 6


def test_without_temperature_the_likeliest_is_drawn() -> None:
    table = random_table(5, seed=8)
    greedy = search([table], SOURCES, max_length=8)
    for options in ({"temperature": 0.0}, {"top_k": 1}, {"top_p": 1e-6}):
        for found, expected in zip(draw([table], SOURCES, **options), greedy, strict=True):
            assert_same(found, [(h.ids, h.log_probability, h.finished) for h in expected])


def test_a_draw_knows_its_attention() -> None:
    found = draw([random_table(4, 1)], SOURCES, draws=3, with_attention=True)
    for source, hypotheses in zip(SOURCES, found, strict=True):
        for one in hypotheses:
            steps = len(one.ids) + one.finished
            expected = torch.stack([looks(source, one.ids[:i]) for i in range(steps)])
            np.testing.assert_array_equal(one.attention, expected)


def plainly_tempered(
    scores: list[float], temperature: float, top_k: int | None, top_p: float | None
) -> list[float]:
    """The probabilities, one symbol after the other, as the paper words them."""
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    if temperature == 0.0:
        return [float(i == order[0]) for i in range(len(scores))]
    weights = [math.exp((score - scores[order[0]]) / temperature) for score in scores]
    kept = order[:top_k]
    total, held, nucleus = math.fsum(weights[i] for i in kept), 0.0, []
    for i in kept:
        nucleus.append(i)
        held += weights[i] / total
        if top_p is not None and top_p < 1.0 and held >= top_p:
            break
    total = math.fsum(weights[i] for i in nucleus)
    return [weights[i] / total if i in nucleus else 0.0 for i in range(len(scores))]


@settings(max_examples=100)
@given(
    halves=st.integers(1, 9).flatmap(
        lambda n: st.lists(st.lists(st.integers(-9, 9), min_size=n, max_size=n), min_size=1)
    ),
    temperature=st.sampled_from([0.0, 0.5, 1.0, 7.0, 5e-324]),
    top_k=st.none() | st.integers(1, 10),
    top_p=st.none() | st.sampled_from([1e-9, 0.123457, 0.514321, 0.912345, 1.0]),
)
def test_every_row_is_tempered_as_if_it_were_alone(
    halves: list[list[int]], temperature: float, top_k: int | None, top_p: float | None
) -> None:
    logits = torch.tensor(halves).double() / 2
    rows = tempered(logits.log_softmax(1), temperature, top_k, top_p)
    for row, scores in zip(rows, logits, strict=True):
        expected = plainly_tempered(scores.tolist(), temperature, top_k, top_p)
        np.testing.assert_allclose(row.exp(), expected, rtol=1e-9, atol=1e-12)


def test_of_equally_likely_symbols_the_first_are_drawn_from() -> None:
    for size in (4, 5000):
        rows = tempered(torch.zeros(2, size).double().log_softmax(1), 1.0, top_k=4, top_p=0.5)
        assert rows.isfinite().nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]


def test_what_has_no_probability_is_not_drawn_even_by_the_smallest_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Zeros:
        def random(self, count: int) -> NDArray[np.float64]:
            return np.zeros(count)

    monkeypatch.setattr(np.random, "default_rng", lambda seed: Zeros())
    table = Table(3, lambda source, prefix: [0.0, 1.0, 5.0])
    assert draw([table], [(1,)], top_k=2, max_length=3, never=UNKNOWN)[0][0].ids == ()
    assert draw([table], [(1,)], top_k=1, max_length=3, never=UNKNOWN)[0][0].ids == (2, 2, 2)


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("beam", [1, 2])
@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_diverged_model_is_named_as_such(broken: float, beam: int) -> None:
    sane = random_table(3)
    later = Table(3, lambda s, prefix: [0.0, 5.0, broken] if len(prefix) == 2 else [0.0, 5.0, 0.0])
    with pytest.raises(CharseqError, match="its weights are damaged or its training diverged"):
        search([sane, later], SOURCES, beam=beam)
    with pytest.raises(CharseqError, match="its weights are damaged or its training diverged"):
        draw([later], SOURCES, temperature=0.0)


def test_models_of_different_vocabularies_do_not_work_together() -> None:
    with pytest.raises(CharseqError, match="models with 3 and 4 target symbols"):
        search([random_table(3), random_table(4)], SOURCES)
    with pytest.raises(CharseqError, match="no model was given"):
        search([], SOURCES)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"beam": 0}, "beam: must be at least 1.*not beam 0"),
        ({"beam": 2, "n_best": 3}, "n_best from 1 to beam; not beam 2, n_best 3"),
        ({"n_best": 0}, "n_best 0"),
        ({"length_penalty": -0.1}, "length_penalty: must be from 0 to 10, not -0.1"),
        ({"length_penalty": math.nan}, "length_penalty: .* not nan"),
        ({"max_length": 0}, "max_length: must be at least 1, not 0"),
        ({"max_length": np.array([3, 3, 0, 3, 3])}, "max_length: must be at least 1, not 0"),
    ],
)
def test_an_argument_out_of_range_is_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(CharseqError, match=message):
        search([random_table(3)], SOURCES, **wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": -1.0}, "temperature: must be at least 0 and finite, not -1.0"),
        ({"temperature": math.inf}, "temperature: .* not inf"),
        ({"top_k": 0}, "top_k: must be at least 1, not 0"),
        ({"top_p": 0.0}, "top_p: must be above 0 and at most 1, not 0.0"),
        ({"numbers": [1]}, "1 numbers for 5 sources"),
        ({"draws": 0}, "0 draws"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_a_drawing_argument_out_of_range_is_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(CharseqError, match=message):
        draw([random_table(3)], SOURCES, **wrong)


def test_sources_of_the_wrong_shape_are_refused() -> None:
    for source, lengths in ((np.ones((3, 2)), np.array([3])), (np.ones((3, 0)), np.array([]))):
        with pytest.raises(CharseqError, match=r"must be \(S, B\) and their lengths \(B,\)"):
            beam_search([random_model(3)], source, lengths, max_length=3)

"""A model that writes in the kernel: the same numbers, and so the same text, as in torch."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_layer import BUILD_KINDS, build_for
from torch import Tensor

from charseq.errors import CharseqError
from charseq.lstm import kernel
from charseq.lstm.compiler import UnavailableError
from charseq.lstm.drawing import Drawing
from charseq.lstm.stream import Stream, weight_shapes
from charseq.models.language_model import LanguageModel

pytestmark = pytest.mark.kernel
BFLOAT16 = pytest.mark.kernel("avx512_bf16")

# Symbols, units, layers, embedding: around the sizes of vectors and panels, and odd ones.
SHAPES = [
    (5, 1, 1, None),
    (16, 16, 2, None),
    (70, 33, 3, None),
    (3, 8, 1, 5),
    (257, 45, 2, 9),
    (1, 7, 1, None),
]
BELOW_ONE = 1.0 - 2.0**-53


def make_model(
    symbols: int, units: int, layers: int = 1, embedding: int | None = None, seed: int = 0
) -> LanguageModel:
    """With weights of any size, float64, in the plain equations."""
    model = LanguageModel(
        symbols, units, layers, embedding_size=embedding, backend="reference"
    ).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            bound = (parameter.shape[-1] if parameter.dim() > 1 else 4) ** -0.5
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(2 * bound * noise)
    return model.eval()


def weights_of(model: LanguageModel, kind: str = "float64") -> dict[str, NDArray[np.float64]]:
    dtype = "float64" if kind == "float64" else "float32"
    return {name: w.numpy().astype(dtype) for name, w in model.state_dict().items()}


def write(
    stream: Stream,
    symbol: int,
    uniforms: NDArray[np.float64],
    drawing: Drawing = Drawing(),  # noqa: B008
    never: int | None = None,
) -> NDArray[np.int64]:
    """One text: what is written with ``uniforms`` (n,), which is (n,) too."""
    return stream.write(np.array([symbol]), uniforms[:, None], drawing, never)[:, 0]


def constant(probabilities: list[float]) -> dict[str, NDArray[np.float64]]:
    """The weights of a model that predicts the same at every step."""
    weights = weights_of(make_model(len(probabilities), 2))
    weights["output.weight"][:] = 0.0
    weights["output.bias"][:] = np.log(probabilities)
    return weights


def predicted(model: LanguageModel, ids: list[int]) -> Tensor:
    """The logits after each symbol of a text, (T, V), all of it read at once."""
    with torch.no_grad():
        logits, _ = model(torch.tensor(ids)[:, None])
    assert isinstance(logits, Tensor)
    return logits[:, 0]


@pytest.mark.parametrize(("build", "kind"), BUILD_KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_it_predicts_what_the_model_in_torch_does(
    shape: tuple[int, int, int, int | None], build: str, kind: str
) -> None:
    model = make_model(*shape)
    ids = np.random.default_rng(1).integers(shape[0], size=25)
    with build_for(build):
        stream = Stream(weights_of(model, kind), bfloat16=kind == "bfloat16")
    found = []
    for symbol in ids:
        stream.read(np.array([symbol]))
        found.append(stream.logits)
    wanted = predicted(model, ids.tolist()).numpy()
    bound = {"float64": 1e-10, "float32": 2e-5, "bfloat16": 0.05}[kind] * np.abs(wanted).max()
    np.testing.assert_allclose(np.stack(found), wanted, rtol=0, atol=bound)
    assert all(logits.dtype == ("float64" if kind == "float64" else "float32") for logits in found)


def by_definition(
    logits: list[float], temperature: float, top_k: int | None, top_p: float | None, never: int
) -> list[float]:
    """The probability of each symbol, one after the other, from the likeliest on."""
    allowed = [i for i in range(len(logits)) if i != never]
    order = sorted(allowed, key=lambda i: (-logits[i], i))
    if temperature == 0.0:
        return [float(i == order[0]) for i in range(len(logits))]
    weight = {i: math.exp((logits[i] - logits[order[0]]) / temperature) for i in order}
    kept = order[:top_k]
    nucleus: list[int] = []
    for i in kept:
        nucleus.append(i)
        share = math.fsum(weight[j] for j in nucleus) / math.fsum(weight[j] for j in kept)
        if top_p is not None and share >= top_p:
            break
    total = math.fsum(weight[i] for i in nucleus)
    return [weight[i] / total if i in nucleus else 0.0 for i in range(len(logits))]


@settings(max_examples=60)
@given(
    shape=st.sampled_from([(2, 3, 1, None), (9, 5, 2, None), (40, 8, 1, 3), (6, 17, 3, None)]),
    temperature=st.sampled_from([0.0, 0.3, 1.0, 2.5, 100.0, 1e-300]),
    top_k=st.none() | st.sampled_from([1, 2, 5, 1000]),
    top_p=st.none() | st.sampled_from([1e-9, 0.31, 0.77, 1.0]),
    never=st.none() | st.integers(0, 1),
    seed=st.integers(0, 1000),
)
def test_every_symbol_is_the_one_that_its_number_falls_on(
    shape: tuple[int, int, int, int | None],
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    never: int | None,
    seed: int,
) -> None:
    model = make_model(*shape, seed=seed)
    uniforms = np.random.default_rng(seed).random(20)
    drawing = Drawing(temperature, top_k, top_p)
    written = write(Stream(weights_of(model)), 0, uniforms, drawing, never)
    logits = predicted(model, [0, *written.tolist()])
    for row, u, symbol in zip(logits.tolist(), uniforms, written.tolist(), strict=False):
        p = by_definition(row, temperature, top_k, top_p, -1 if never is None else never)
        below = math.fsum(p[:symbol])
        assert p[symbol] > 0.0
        assert below - 1e-9 <= u <= below + p[symbol] + 1e-9


def test_of_equally_likely_symbols_the_first_are_kept() -> None:
    stream = Stream(constant([0.25] * 4))
    edges = np.array([0.0, 0.49, 0.51, BELOW_ONE])
    for cut in ({"top_k": 2}, {"top_p": 0.5}, {"top_k": 3, "top_p": 0.6}):
        assert write(stream, 3, edges, Drawing(**cut)).tolist() == [0, 0, 1, 1]
    assert write(stream, 3, edges, Drawing(0.0)).tolist() == [0, 0, 0, 0]
    kept = write(stream, 3, edges, Drawing(top_p=0.5 + 1e-9))  # more than two hold
    assert kept.tolist() == [0, 1, 1, 2]


def test_what_has_no_probability_is_not_drawn_by_the_outermost_numbers() -> None:
    outermost = np.array([0.0, BELOW_ONE])
    stream = Stream(constant([0.1, 0.5, 0.15, 0.25]))
    for cut, ends in (({"top_k": 2}, [1, 3]), ({"top_p": 0.4}, [1, 1]), ({"top_p": 0.76}, [1, 3])):
        assert write(stream, 0, outermost, Drawing(**cut)).tolist() == ends
    assert write(stream, 0, outermost).tolist() == [0, 3]
    assert write(stream, 0, outermost, never=3).tolist() == [0, 2]
    assert write(stream, 0, outermost, never=0).tolist() == [1, 3]
    assert write(stream, 0, outermost, Drawing(0.0), never=1).tolist() == [3, 3]
    weights = constant([0.25] * 4)
    weights["output.bias"][[0, 3]] = -math.inf
    assert write(Stream(weights), 0, outermost).tolist() == [1, 2]


def test_a_lone_symbol_is_written_even_if_it_is_never_to_be() -> None:
    stream = Stream(weights_of(make_model(1, 3)))
    assert write(stream, 0, np.array([0.5]), never=0).tolist() == [0]


@pytest.mark.parametrize("kind", ["float32", "float64", pytest.param("bfloat16", marks=BFLOAT16)])
def test_it_does_not_matter_how_many_are_written_at_once(kind: str) -> None:
    weights = weights_of(make_model(11, 13, 2), kind)
    uniforms = np.random.default_rng(2).random(30)
    whole = Stream(weights, bfloat16=kind == "bfloat16")
    expected = write(whole, 4, uniforms)
    stream = whole.fresh()
    written = [4]
    for cut in itertools.pairwise([0, 1, 2, 5, 5, 17, 30]):
        written += write(stream, written[-1], uniforms[slice(*cut)]).tolist()
    assert written[1:] == expected.tolist()
    np.testing.assert_array_equal(stream.logits, whole.logits)


def test_a_fresh_stream_begins_anew_and_leaves_the_other_alone() -> None:
    model = make_model(11, 13)
    stream = Stream(weights_of(model))
    uniforms = np.random.default_rng(3).random(20)
    expected = write(stream.fresh(), 1, uniforms).tolist()
    other = stream.fresh()
    text = [1]
    for u in uniforms:
        stream.read(np.array([5]))
        text.extend(write(other, text[-1], np.array([u])).tolist())
    assert text[1:] == expected
    np.testing.assert_allclose(stream.logits, predicted(model, [5] * 20)[-1])


@pytest.mark.parametrize("layers", [1, 3])
def test_threads_write_the_same(layers: int) -> None:
    weights = weights_of(make_model(70, 64, layers), "float32")
    uniforms = np.random.default_rng(4).random(12)
    texts = [write(Stream(weights, threads=n), 0, uniforms) for n in (1, 2, 3)]
    assert texts[0].tolist() == texts[1].tolist() == texts[2].tolist()


@pytest.mark.parametrize(
    ("told", "units", "threads"),
    [("8", 128, 1), ("8", 420, 2), ("8", 512, 4), ("3,2", 512, 3), ("1", 512, 1)],
)
def test_large_weights_are_shared_out_among_threads(
    told: str, units: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    shapes = weight_shapes(16, units, 1, None)
    stream = Stream({name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
    assert stream.threads == (threads if kernel.load().threaded else 1)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_diverged_model_is_named_as_such(broken: float) -> None:
    weights = weights_of(make_model(6, 5))
    weights["output.bias"][2] = broken
    stream = Stream(weights)
    for temperature in (0.0, 1.0):
        assert len(write(stream, 0, np.zeros(3), Drawing(temperature=temperature))) == 0
    assert str(stream.logits.max()) == str(broken)
    with pytest.raises(CharseqError) as caught:
        stream.read(np.array([1]))
    assert str(caught.value) == (
        f"the model's largest output is {broken}: its weights are damaged or its training diverged;"
        " take an earlier checkpoint"
    )
    assert len(write(stream.fresh(), 0, np.zeros(3), never=2)) == 3


def test_what_was_written_before_the_damage_is_kept() -> None:
    model = make_model(4, 4)
    with torch.no_grad():
        model.lstm.get_parameter("weight_ih_l0")[:, 2] = math.nan  # to read symbol 2
        model.output.weight.zero_()
        model.output.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 0.0]))
    uniforms = np.array([0.1, 0.3, 0.8, 0.6, 0.1, 0.1])
    assert write(Stream(weights_of(model)), 0, uniforms).tolist() == [0, 1, 3, 2]


def test_symbols_that_there_are_not() -> None:
    stream = Stream(weights_of(make_model(6, 5)))
    for symbol in (-1, 6):
        with pytest.raises(CharseqError, match=f"symbol {symbol} is not in 0 to 5"):
            write(stream, symbol, np.zeros(1))
        with pytest.raises(CharseqError, match="not all in 0 to 5"):
            stream.read(np.array([0, symbol]))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_shapes_are_those_of_the_model(shape: tuple[int, int, int, int | None]) -> None:
    state = make_model(*shape).state_dict()
    assert {name: tuple(w.shape) for name, w in state.items()} == weight_shapes(*shape)


def test_weights_that_do_not_fit_together_are_refused() -> None:
    weights = weights_of(make_model(6, 5, 2))
    for name in weights:
        missing = {other: w for other, w in weights.items() if other != name}
        for wrong in (missing, weights | {name: weights[name][:-1]}):
            with pytest.raises(CharseqError, match="the weights do not make a language model"):
                Stream(wrong)
    with pytest.raises(CharseqError, match=r"model: more$"):
        Stream(weights | {"more": np.zeros(3)})
    with pytest.raises(CharseqError, match="do not make a language model"):
        Stream({})


def test_numbers_that_the_kernel_does_not_compute_with() -> None:
    halves = {name: w.astype(np.float16) for name, w in weights_of(make_model(3, 2)).items()}
    with pytest.raises(UnavailableError, match="no kernel for float16"):
        Stream(halves)
    with (
        build_for("plain"),
        pytest.raises(UnavailableError, match="no kernel for bfloat16 on this processor"),
    ):
        Stream(halves, bfloat16=True)

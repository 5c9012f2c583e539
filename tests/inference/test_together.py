"""Texts that are written together: each is the one that its seed writes alone."""

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock, patch

import numpy as np
import pytest
import torch

from charseq.errors import CharseqError
from charseq.inference import together
from charseq.inference.decode import BatchWriter, generate_text
from charseq.inference.together import MOST, write_together
from charseq.inference.torch_stream import TorchStream, open_stream
from charseq.lstm.drawing import Drawing
from charseq.lstm.stream import Stream
from charseq.models.language_model import LanguageModel
from charseq.text.vocab import Vocab

Open = Callable[[LanguageModel], BatchWriter]
either = pytest.mark.parametrize(
    "opener",
    [
        pytest.param(open_stream, id="kernel", marks=pytest.mark.kernel),
        pytest.param(TorchStream, id="torch"),
    ],
)
VOCAB = Vocab("char", tuple("\n abcdefgh"))


def make_model(layers: int = 2, units: int = 21) -> LanguageModel:
    generator = torch.Generator().manual_seed(3)
    model = LanguageModel(VOCAB.size, units, layers).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def texts(
    writer: BatchWriter,
    seeds: range | list[int],
    *,
    prime: str = "abc",
    length: int = 60,
    stop: str | None = None,
    temperature: float = 1.0,
) -> list[str]:
    return [
        "".join(
            generate_text(
                each,
                VOCAB,
                prime,
                length=length,
                drawing=Drawing(temperature, 5, 0.9),
                seed=seed,
                stop=stop,
            )
        )
        for seed, each in zip(seeds, write_together(writer, seeds), strict=True)
    ]


def alone(opener: Open, model: LanguageModel, seed: int, **options: str | int | float) -> str:
    settings = {"length": 60, "stop": None, "drawing": Drawing(1.0, 5, 0.9)} | options
    writer = opener(model)
    return "".join(generate_text(writer, VOCAB, "abc", seed=seed, **settings))  # type: ignore[arg-type]


@either
def test_each_is_the_text_of_its_seed(opener: Open) -> None:
    model, seeds = make_model(), [7, 0, 1, 2, 7]
    found = texts(opener(model), seeds)
    assert found == [alone(opener, model, seed) for seed in seeds]
    assert len(set(found)) == 4


@either
def test_one_may_end_before_the_others_and_one_behind_them(opener: Open) -> None:
    """With a stop string every text has a length of its own."""
    model, seeds = make_model(), range(9)
    found = texts(opener(model), seeds, length=300, stop="h")
    assert found == [alone(opener, model, seed, length=300, stop="h") for seed in seeds]
    lengths = list(map(len, found))
    assert len(set(lengths)) >= 4
    assert lengths != sorted(lengths)
    assert lengths != sorted(lengths, reverse=True)


@pytest.mark.kernel
def test_no_call_takes_long_and_little_is_written_in_vain() -> None:
    """What waits costs nothing to read, and does not make the next piece larger."""
    model, seeds, steps = make_model(), range(6), [0]
    write = Stream.write

    def counted(self: Stream, symbols: Any, uniforms: Any, *rest: Any) -> Any:
        steps.append(len(uniforms))
        return write(self, symbols, uniforms, *rest)

    def clock() -> float:
        """A thousand steps of all texts take a tenth of a second."""
        return sum(steps) * 1e-4

    with patch.object(Stream, "write", counted), patch.object(together, "perf_counter", clock):
        found = texts(open_stream(model), seeds, length=3000, stop="h")
    assert found == [alone(open_stream, model, seed, length=3000, stop="h") for seed in seeds]
    lengths = list(map(len, found))
    assert lengths != sorted(lengths, reverse=True)  # some go on behind those before them
    assert max(steps) == 128  # the first that takes a hundredth of a second
    assert sum(steps) < max(lengths) + 2 * 128


def test_more_than_are_written_at_once() -> None:
    model, seeds = make_model(1, 5), range(MOST + 3)
    found = texts(TorchStream(model), seeds, length=5)
    assert found == [alone(TorchStream, model, seed, length=5) for seed in seeds]


@either
def test_the_prime_is_read_once(opener: Open) -> None:
    writer = opener(make_model())
    with patch.object(writer, "read", Mock(wraps=writer.read)) as read:
        texts(writer, range(MOST + 2), length=3)
    (prime,) = (call.args[0] for call in read.call_args_list)
    assert prime.tolist() == [2, 3]  # of three symbols the last is read by the step that writes


@either
def test_none_of_a_text_is_written_where_none_is_wanted(opener: Open) -> None:
    assert texts(opener(make_model()), range(3), length=0) == ["", "", ""]


@pytest.mark.kernel
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(
    "kind", ["float32", pytest.param("bfloat16", marks=pytest.mark.kernel("avx512_bf16"))]
)
def test_every_bit_of_the_logits_is_that_of_a_text_alone(kind: str, threads: int) -> None:
    from charseq.lstm.stream import Stream

    model = make_model(3, 70)
    weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
    first = Stream(weights, bfloat16=kind == "bfloat16", threads=threads)
    first.read(np.array([1, 2, 3]))
    numbers = np.random.default_rng(0).random((20, 13))
    together = first.copies(13)
    written = together.write(np.full(13, 4), numbers, Drawing())
    for text in range(13):
        one = first.copies(1)
        mine = one.write(np.array([4]), numbers[:, text, None], Drawing())
        assert mine[:, 0].tolist() == written[:, text].tolist()
        assert np.array_equal(one.logits, together.logits[text])
        np.testing.assert_array_equal(one.h[:, 0], together.h[:, text])
    rest = together.without_first(11).write(written[-1, 11:], numbers[:, 11:], Drawing())
    again = together.write(written[-1], numbers, Drawing())
    assert rest.tolist() == again[:, 11:].tolist()


@either
def test_a_diverged_model_is_named_as_such_whichever_text_meets_it(opener: Open) -> None:
    model = make_model(1)
    with torch.no_grad():
        model.lstm.get_parameter("weight_ih_l0")[:, VOCAB.symbols.index("h")] = (
            torch.nan
        )  # to read an h
    with pytest.raises(CharseqError, match="the model's largest output is nan"):
        texts(opener(model), range(12), length=400, temperature=3.0)


@pytest.mark.kernel
def test_as_many_symbols_as_texts() -> None:
    writer = open_stream(make_model()).copies(3)
    with pytest.raises(CharseqError, match="2 symbols for 3 texts"):
        writer.write(np.zeros(2, np.int64), np.zeros((1, 2)), Drawing())

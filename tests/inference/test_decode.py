"""What a model writes: the right distribution, the same text for a seed, a clean end."""

import itertools
import math
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from charseq.errors import CharseqError
from charseq.inference import decode
from charseq.inference.decode import (
    Writer,
    _until,
    generate,
    generate_text,
    prompt_ids,
    uniform_numbers,
)
from charseq.inference.distribution import tempered
from charseq.inference.torch_stream import TorchStream, open_stream
from charseq.lstm import kernel
from charseq.lstm.compiler import UnavailableError
from charseq.lstm.drawing import Drawing
from charseq.lstm.stream import Stream
from charseq.models.language_model import LanguageModel
from charseq.text.vocab import Unknown, Vocab

Open = Callable[[LanguageModel], Writer]

OPENERS = [
    pytest.param(open_stream, id="kernel", marks=pytest.mark.kernel),
    pytest.param(TorchStream, id="torch"),
]
either = pytest.mark.parametrize("opener", OPENERS)
VOCAB = Vocab("char", tuple("\n abcdefgh"))


def make_model(vocab: Vocab = VOCAB, scale: float = 1.0) -> LanguageModel:
    generator = torch.Generator().manual_seed(3)
    model = LanguageModel(vocab.size, 8).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return model


def always(vocab: Vocab, text: str) -> LanguageModel:
    """A model that writes ``text`` over and over, starting at its first character.

    The characters (bytes) of ``text`` are all different: each logit depends on the last symbol.
    """
    size = vocab.size
    model = LanguageModel(size, size).eval()
    ids = [int(i) for i in vocab.encode(text)]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        i, f, _, o = model.lstm.get_parameter("bias_ih_l0").view(4, size)
        i.fill_(50.0)
        f.fill_(-50.0)  # forget all but the symbol just read: h = tanh(tanh(50)) one-hot
        o.fill_(50.0)
        model.lstm.get_parameter("weight_ih_l0").view(4, size, size)[2].fill_diagonal_(50.0)
        for this, following in zip(ids, ids[1:] + ids[:1], strict=True):
            model.output.weight[following, this] = 1000.0
        model.output.bias[ids[0]] = 500.0  # after any symbol that is not in the text
    return model


def write(
    model: LanguageModel,
    vocab: Vocab = VOCAB,
    prime: str = "",
    *,
    opener: Open = TorchStream,
    length: int = 40,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    stop: str | None = None,
    unknown: Unknown = "error",
) -> list[str]:
    return list(
        generate_text(
            opener(model),
            vocab,
            prime,
            length=length,
            drawing=Drawing(temperature, top_k, top_p),
            seed=seed,
            stop=stop,
            unknown=unknown,
        )
    )


def pieces_of(model: LanguageModel, opener: Open, prime: str = "", seed: int = 0) -> Iterator[str]:
    return generate_text(
        opener(model),
        VOCAB,
        prime,
        length=40,
        drawing=Drawing(),
        seed=seed,
    )


def test_the_nucleus_of_a_known_distribution() -> None:
    logits = torch.tensor([[0.1, 0.5, 0.15, 0.25]]).log()
    for top_p, kept in ((0.4, [1]), (0.6, [1, 3]), (0.76, [1, 3, 2]), (0.95, [0, 1, 2, 3])):
        log_p = tempered(logits, Drawing(top_p=top_p))[0]
        assert torch.isfinite(log_p).nonzero().flatten().tolist() == sorted(kept)
    two = tempered(logits, Drawing(top_k=2))[0].exp().tolist()
    assert two == pytest.approx([0, 2 / 3, 0, 1 / 3])


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-12, 1e300])
def test_no_temperature_gives_nan(temperature: float) -> None:
    logits = torch.tensor([[3.0e38, -3.0e38, 1.0]]).double()
    log_p = tempered(logits, Drawing(temperature, 2, 0.9))
    assert not log_p.isnan().any()
    assert log_p.exp().sum().item() == pytest.approx(1.0)


def test_the_logits_are_left_as_they_were() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64)
    tempered(logits, Drawing(0.5, 1, 0.5))
    assert logits.tolist() == [[1.0, 2.0, 3.0]]


def test_the_numbers_of_a_seed_are_known_and_do_not_depend_on_how_many_are_drawn() -> None:
    assert uniform_numbers(0)(1).tolist() == [0.6369616873214543]
    for seed in (0, 8, 2**63 - 1):
        wanted = np.random.default_rng(seed).random(50)
        draw = uniform_numbers(seed)
        found = [draw(end - start) for start, end in itertools.pairwise([0, 1, 3, 3, 20, 50])]
        np.testing.assert_array_equal(np.concatenate(found), wanted)


@pytest.mark.kernel
@settings(max_examples=60)
@given(
    embedding=st.none() | st.integers(1, 9),
    layers=st.integers(1, 3),
    prompt=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    temperature=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    top_k=st.none() | st.integers(1, 12),
    top_p=st.none() | st.sampled_from([1e-9, 0.4, 0.9, 1.0]),
    never=st.none() | st.integers(0, 9),
    seed=st.integers(0, 2**63 - 1),
)
def test_the_kernel_and_torch_write_the_same(
    embedding: int | None,
    layers: int,
    prompt: list[int],
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    never: int | None,
    seed: int,
) -> None:
    model = LanguageModel(10, 9, layers, embedding_size=embedding).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    texts = [
        generate(
            writer,
            prompt,
            length=40,
            drawing=Drawing(temperature, top_k, top_p),
            seed=seed,
            never=never,
        )
        for writer in (open_stream(model), TorchStream(model))
    ]
    by_kernel, by_torch = (np.concatenate(list(chunks)).tolist() for chunks in texts)
    assert by_kernel == by_torch
    assert len(by_torch) == 40


@pytest.mark.parametrize(
    "opener", [pytest.param(open_stream, marks=pytest.mark.kernel), TorchStream]
)
def test_the_likeliest_of_all_is_that_however_hot(
    opener: Callable[[LanguageModel], Writer],
) -> None:
    """exp(x / T) is 1 for all of them."""
    model = make_model()
    one, greedy = (
        np.concatenate(list(generate(opener(model), [1], length=30, drawing=drawing, seed=3)))
        for drawing in (Drawing(1e17, top_k=1), Drawing(0.0))
    )
    assert one.tolist() == greedy.tolist()
    assert len(set(greedy.tolist())) > 1


@pytest.mark.kernel
def test_the_kernel_writes_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model()
    assert isinstance(open_stream(model), Stream)
    assert isinstance(open_stream(model.double()), Stream)
    assert isinstance(open_stream(model.bfloat16()), TorchStream)
    with pytest.raises(CharseqError, match="precision: bf16 cannot be used: the kernel computes"):
        open_stream(model, bfloat16=True)

    def missing() -> kernel.Kernel:
        raise UnavailableError("no compiler")

    monkeypatch.setattr(kernel, "load", missing)
    assert isinstance(open_stream(model.float()), TorchStream)
    with pytest.raises(CharseqError, match="precision: bf16 cannot be used: no compiler; use fp32"):
        open_stream(model, bfloat16=True)


class Counting:
    """Writes 0 over and over; each call takes as long as it says."""

    symbols, ready = 2, None
    logits: NDArray[np.float64] = np.zeros(2)

    def __init__(self, seconds: Callable[[int], float]) -> None:
        self.now, self.seconds = 0.0, seconds

    def read(self, ids: NDArray[np.int64]) -> None:
        pass

    def write(
        self,
        symbols: NDArray[np.int64],
        uniforms: NDArray[np.float64],
        drawing: Drawing,
        never: int | None = None,
    ) -> NDArray[np.int64]:
        self.now += self.seconds(len(uniforms))
        return np.zeros(uniforms.shape, np.int64)


def test_the_first_symbol_comes_alone_and_none_waits_long_for_its_chunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sizes(seconds: Callable[[int], float], length: int) -> list[int]:
        writer = Counting(seconds)
        monkeypatch.setattr(decode, "perf_counter", lambda: writer.now)
        chunks = generate(writer, [0], length=length, drawing=Drawing(), seed=0)
        return [len(chunk) for chunk in chunks]

    assert sizes(lambda count: 0.0, 36) == [1, 2, 4, 8, 16, 5]
    assert sizes(lambda count: 1.0 * count, 4) == [1, 1, 1, 1]
    assert sizes(lambda count: 0.004 * count, 16) == [1, 2, 4, 4, 4, 1]  # 16 ms is long enough


@either
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_diverged_model_is_named_as_such(broken: float, temperature: float, opener: Open) -> None:
    model = make_model()
    with torch.no_grad():
        model.output.bias[2] = broken
    with pytest.raises(CharseqError, match=f"largest output is {broken}: its weights are damaged"):
        write(model, temperature=temperature, opener=opener)


@either
def test_what_was_written_before_the_damage_is_shown(
    opener: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "perf_counter", lambda: 0.0)  # chunks of 1, 2, 4, 8
    whole = "".join(write(make_model(), seed=5, opener=opener))
    assert 8 < whole.index("d") < 14
    model = make_model()
    with torch.no_grad():
        model.lstm.get_parameter("weight_ih_l0")[:, VOCAB.symbols.index("d")] = math.nan
    pieces = pieces_of(model, opener, seed=5)
    shown = [next(pieces) for _ in range(4)]
    assert "".join(shown) == whole[: whole.index("d") + 1]
    with pytest.raises(CharseqError, match="largest output is nan"):
        next(pieces)


@either
def test_a_seed_writes_the_same_text_again_and_another_seed_another(opener: Open) -> None:
    model = make_model()
    text = "".join(write(model, seed=1, opener=opener))
    assert text == "".join(write(model, seed=1, opener=opener))
    assert text != "".join(write(model, seed=5, opener=opener))


@either
def test_symbols_come_as_often_as_the_model_says(opener: Open) -> None:
    model = make_model()
    with torch.no_grad():  # the same distribution at every step, whatever was read
        model.output.weight.zero_()
    p = torch.softmax(model.output.bias.double(), 0)
    text = "".join(write(model, length=4000, opener=opener))
    share = torch.bincount(torch.tensor(VOCAB.encode(text).astype(np.int64)), minlength=10) / 4000
    error = ((share - p).abs() / (p * (1 - p) / 4000).sqrt()).max().item()  # in standard deviations
    assert error < 4


@either
def test_greedy_text_is_what_the_likeliest_symbols_make(opener: Open) -> None:
    model = make_model()
    chunks = generate(opener(model), [2, 3], length=20, drawing=Drawing(0.0), seed=9)
    ids = [2, 3]
    for choice in np.concatenate(list(chunks)).tolist():
        with torch.no_grad():  # the whole text anew at every step
            logits, _ = model(torch.tensor(ids)[:, None])
        assert choice == int(logits[-1, 0].argmax())
        ids.append(choice)
    assert len(ids) == 22


@either
def test_a_model_in_training_mode_samples_without_dropout_and_stays_in_it(opener: Open) -> None:
    model = LanguageModel(VOCAB.size, 8, 2, dropout=0.9)
    with torch.no_grad():  # far from indifferent, and slow to forget
        for name, parameter in model.named_parameters():
            parameter.mul_(10.0) if "weight" in name else parameter.add_(0.5)
    expected_text = "".join(write(model.eval(), prime="abcdefgh", opener=opener))
    assert "".join(write(model.train(), prime="abcdefgh", opener=opener)) == expected_text
    assert model.training


@either
def test_between_two_pieces_gradients_are_the_callers(opener: Open) -> None:
    next(pieces_of(make_model(), opener))
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


@either
def test_the_unknown_symbol_is_never_written(opener: Open) -> None:
    vocab = Vocab("char", ("\ufffd", "a", "b"), unknown_id=0)
    model = make_model(vocab)
    with torch.no_grad():
        model.output.bias[0] = 100.0
    for temperature in (0.0, 1.0):
        pieces = write(
            model, vocab, "xyz", temperature=temperature, unknown="replace", opener=opener
        )
        text = "".join(pieces)
        assert set(text) <= {"a", "b"}
        assert len(text) == 40
    only = Vocab("char", ("\ufffd",), unknown_id=0)
    assert "".join(write(make_model(only), only, length=3, opener=opener)) == "\ufffd" * 3


def test_without_a_prime_the_text_starts_after_a_newline_or_the_first_symbol() -> None:
    assert write(make_model(), prime="", seed=4) == write(make_model(), prime="\n", seed=4)
    vocab = Vocab("char", tuple("abc"))
    model = make_model(vocab)
    assert write(model, vocab, "", seed=4) == write(model, vocab, "a", seed=4)
    assert write(model, vocab, "?!", seed=4, unknown="skip") == write(model, vocab, "a", seed=4)
    vocab = Vocab("char", ("\ufffd", "a", "b"), unknown_id=0)
    assert prompt_ids(vocab, "").tolist() == [1]
    assert prompt_ids(Vocab("char", ("\ufffd",), unknown_id=0), "").tolist() == [0]


def test_a_symbol_of_probability_zero_is_not_drawn_even_by_the_outermost_numbers() -> None:
    model = make_model()
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias[3:7] = torch.tensor([5.0, 9.0, 8.0, 7.0])
    outermost = np.array([[0.0], [1.0 - 2.0**-53]])
    written = TorchStream(model).write(np.zeros(1, np.int64), outermost, Drawing(top_k=3), never=4)
    assert written[:, 0].tolist() == [3, 6]


def test_a_character_that_the_model_never_saw_is_refused_before_anything_is_written() -> None:
    with pytest.raises(CharseqError, match=r"the prime: 'µ' \(U\+00B5 MICRO SIGN\) at position 3"):
        pieces_of(make_model(), TorchStream, "abµ")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"length": -1}, "length: must be at least 0, not -1"),
        ({"temperature": -0.5}, "temperature: must be at least 0 and finite, not -0.5"),
        ({"temperature": math.nan}, "temperature: .* not nan"),
        ({"temperature": math.inf}, "temperature: .* not inf"),
        ({"top_k": 0}, "top_k: must be at least 1, not 0"),
        ({"top_p": 0.0}, "top_p: must be above 0 and at most 1, not 0.0"),
        ({"top_p": 1.5}, "top_p: .* not 1.5"),
        ({"stop": ""}, "the stop string is empty"),
    ],
)
def test_an_argument_out_of_range_is_named(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(CharseqError, match=message):
        write(make_model(), **wrong)  # type: ignore[arg-type]


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(CharseqError, match="the prompt is empty"):
        generate(
            TorchStream(make_model()),
            [],
            length=1,
            drawing=Drawing(),
            seed=0,
        )


@either
def test_the_text_has_as_many_characters_as_asked_for(opener: Open) -> None:
    assert write(make_model(), length=0, opener=opener) == []
    assert len("".join(write(make_model(), length=17, opener=opener))) == 17
    vocab = Vocab.from_counts({}, kind="byte")
    # Any bytes at all, mostly not UTF-8: each longest beginning of a character becomes U+FFFD.
    assert len("".join(write(make_model(vocab, 0.1), vocab, length=50, opener=opener))) == 50


@either
def test_bytes_come_out_as_whole_characters(opener: Open) -> None:
    vocab = Vocab.from_counts({}, kind="byte")
    model = always(vocab, "aé→😀")
    assert "".join(write(model, vocab, "a", length=9, opener=opener)) == "é→😀aé→😀aé"
    assert "".join(write(model, vocab, "", length=5, opener=opener)) == "aé→😀a"


@either
def test_a_stop_string_ends_the_text_and_is_not_written(opener: Open) -> None:
    model = always(VOCAB, "abcdefg\n")

    def until(stop: str, length: int = 40) -> str:
        return "".join(write(model, prime="a", length=length, stop=stop, opener=opener))

    assert until("\n") == "bcdefg"
    assert until("ef") == "bcd"
    assert until("b") == ""
    assert until("\n", 4) == "bcde"
    # It begins, and does not go on; it begins, and the text is over.
    assert until("efh", 9) == "bcdefg\nab"
    assert until("de\n", 4) == "bcde"


def test_what_could_become_the_stop_string_is_held_back() -> None:
    assert list(_until(["cdh"], "bcdefg")) == ["b", "cde", "f", "g"]
    assert list(_until(["cdh"], ["bc", "de", "fc"])) == ["b", "cde", "f", "c"]


@settings(deadline=None, max_examples=100)
@given(
    text=st.text("ab", max_size=30),
    stops=st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=3),
    cuts=st.lists(st.integers(1, 4)),
)
def test_stopping_does_not_depend_on_the_pieces(
    text: str, stops: list[str], cuts: list[int]
) -> None:
    beginnings = (text[:end] for end in range(len(text) + 1))
    written = next((one for one in beginnings if one.endswith(tuple(stops))), text)
    letters = iter(text)
    pieces = ["".join(islice(letters, cut)) for cut in cuts] + ["".join(letters)]
    longest = max((len(stop) for stop in stops if written.endswith(stop)), default=0)
    assert "".join(_until(stops, filter(None, pieces))) == written[: len(written) - longest]

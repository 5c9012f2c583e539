"""What a model writes: the right distribution, the same text for a seed, a clean end."""

import math
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from charseq.errors import CharseqError
from charseq.inference.decode import (
    _draw,
    _until,
    generate,
    generate_text,
    log_probabilities,
    prompt_ids,
)
from charseq.models.language_model import LanguageModel
from charseq.text.vocab import Unknown, Vocab

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
            model,
            vocab,
            prime,
            length=length,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            generator=torch.Generator().manual_seed(seed),
            stop=stop,
            unknown=unknown,
        )
    )


def expected(
    logits: NDArray[np.float64], temperature: float, top_k: int | None, top_p: float | None
) -> NDArray[np.float64]:
    """The probabilities by their definition, one symbol after the other, from the likeliest on."""
    order = sorted(range(len(logits)), key=lambda i: (-logits[i], i))
    if temperature == 0:
        order = order[:1]
        temperature = 1.0
    weight = {i: math.exp((logits[i] - max(logits)) / temperature) for i in order}
    kept = order[:top_k]
    nucleus: list[int] = []
    for i in kept:
        nucleus.append(i)
        share = math.fsum(weight[j] for j in nucleus) / math.fsum(weight[j] for j in kept)
        if top_p is not None and share >= top_p:
            break
    p = np.zeros(len(logits))
    for i in nucleus:
        p[i] = weight[i] / math.fsum(weight[j] for j in nucleus)
    return p


@settings(deadline=None, max_examples=200)
@given(
    # Multiples of a half: many ties, and no share of the nucleus that rounding could decide.
    halves=st.lists(st.integers(-40, 40), min_size=1, max_size=12),
    temperature=st.sampled_from([0.0, 0.5, 0.8, 1.0, 2.0, 100.0]),
    top_k=st.none() | st.integers(1, 14),
    top_p=st.none() | st.sampled_from([1e-9, 0.123457, 0.514321, 0.912345, 1.0]),
)
def test_the_distribution_is_the_one_by_definition(
    halves: list[int], temperature: float, top_k: int | None, top_p: float | None
) -> None:
    logits = np.array(halves) / 2
    log_p = log_probabilities(torch.tensor(logits), temperature, top_k, top_p)
    np.testing.assert_allclose(
        log_p.exp().numpy(), expected(logits, temperature, top_k, top_p), rtol=1e-12, atol=1e-15
    )


def test_the_nucleus_of_a_known_distribution() -> None:
    logits = torch.tensor([0.1, 0.5, 0.15, 0.25]).log()
    for top_p, kept in ((0.4, [1]), (0.6, [1, 3]), (0.76, [1, 3, 2]), (0.95, [0, 1, 2, 3])):
        log_p = log_probabilities(logits, 1.0, top_p=top_p)
        assert torch.isfinite(log_p).nonzero().flatten().tolist() == sorted(kept)
    for equal in (torch.zeros(4), torch.zeros(5000)):  # the share is exactly reached; ties go by id
        log_p = log_probabilities(equal, 1.0, top_k=4, top_p=0.5)
        assert torch.isfinite(log_p).nonzero().flatten().tolist() == [0, 1]
    two = log_probabilities(logits, 1.0, top_k=2).exp().tolist()
    assert two == pytest.approx([0, 2 / 3, 0, 1 / 3])


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-12, 1e300])
def test_no_temperature_gives_nan(temperature: float) -> None:
    log_p = log_probabilities(torch.tensor([3.0e38, -3.0e38, 1.0]), temperature, 2, 0.9)
    assert not log_p.isnan().any()
    assert log_p.exp().sum().item() == pytest.approx(1.0)


def test_the_logits_are_left_as_they_were() -> None:
    logits = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    log_probabilities(logits, 0.5, 1, 0.5)
    assert logits.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_diverged_model_is_named_as_such(broken: float, temperature: float) -> None:
    model = make_model()
    with torch.no_grad():
        model.output.bias[2] = broken
    with pytest.raises(CharseqError, match="its weights are damaged or its training diverged"):
        write(model, temperature=temperature)


def test_a_seed_writes_the_same_text_again_and_another_seed_another() -> None:
    model = make_model()
    assert write(model, seed=1) == write(model, seed=1)
    assert write(model, seed=1) != write(model, seed=2)


def test_symbols_come_as_often_as_the_model_says() -> None:
    model = make_model()
    with torch.no_grad():  # the same distribution at every step, whatever was read
        model.output.weight.zero_()
    p = torch.softmax(model.output.bias.double(), 0)
    text = "".join(write(model, length=4000))
    share = torch.bincount(torch.tensor(VOCAB.encode(text).astype(np.int64)), minlength=10) / 4000
    error = ((share - p).abs() / (p * (1 - p) / 4000).sqrt()).max().item()  # in standard deviations
    assert error < 4


def test_greedy_text_is_what_the_likeliest_symbols_make_and_draws_nothing() -> None:
    model = make_model()
    generator = torch.Generator().manual_seed(9)
    before = generator.get_state()
    greedy = generate(
        model,
        [2, 3],
        length=20,
        temperature=0.0,
        top_k=None,
        top_p=None,
        generator=generator,
    )
    ids = [2, 3]
    for choice in greedy:
        with torch.no_grad():  # the whole text anew at every step
            logits, _ = model(torch.tensor(ids)[:, None])
        assert choice == int(logits[-1, 0].argmax())
        ids.append(choice)
    assert len(ids) == 22
    assert torch.equal(generator.get_state(), before)


def test_a_model_in_training_mode_samples_without_dropout_and_stays_in_it() -> None:
    model = LanguageModel(VOCAB.size, 8, 2, dropout=0.9)
    with torch.no_grad():  # far from indifferent, and slow to forget
        for name, parameter in model.named_parameters():
            parameter.mul_(10.0) if "weight" in name else parameter.add_(0.5)
    expected_text = write(model.eval(), prime="abcdefgh")
    assert write(model.train(), prime="abcdefgh") == expected_text
    assert model.training


def test_between_two_pieces_gradients_are_the_callers() -> None:
    pieces = generate_text(
        make_model(),
        VOCAB,
        "a",
        length=3,
        temperature=1.0,
        top_k=None,
        top_p=None,
        generator=torch.Generator(),
    )
    next(pieces)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_the_unknown_symbol_is_never_written() -> None:
    vocab = Vocab("char", ("\ufffd", "a", "b"), unknown_id=0)
    model = make_model(vocab)
    with torch.no_grad():
        model.output.bias[0] = 100.0
    for temperature in (0.0, 1.0):
        text = "".join(write(model, vocab, "xyz", temperature=temperature, unknown="replace"))
        assert set(text) <= {"a", "b"}
        assert len(text) == 40
    only = Vocab("char", ("\ufffd",), unknown_id=0)
    assert "".join(write(make_model(only), only, length=3)) == "\ufffd" * 3


def test_without_a_prime_the_text_starts_after_a_newline_or_the_first_symbol() -> None:
    assert write(make_model(), prime="", seed=4) == write(make_model(), prime="\n", seed=4)
    vocab = Vocab("char", tuple("abc"))
    model = make_model(vocab)
    assert write(model, vocab, "", seed=4) == write(model, vocab, "a", seed=4)
    assert write(model, vocab, "?!", seed=4, unknown="skip") == write(model, vocab, "a", seed=4)
    vocab = Vocab("char", ("\ufffd", "a", "b"), unknown_id=0)
    assert prompt_ids(vocab, "").tolist() == [1]
    assert prompt_ids(Vocab("char", ("\ufffd",), unknown_id=0), "").tolist() == [0]


def test_a_symbol_of_probability_zero_is_not_drawn_even_by_the_smallest_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logits = torch.tensor([0.0, 5.0, 4.0])
    monkeypatch.setattr(torch, "rand", lambda *size, **_: torch.zeros(*size, dtype=torch.float64))
    assert _draw(log_probabilities(logits, 1.0, top_k=2), torch.Generator()) == 1
    below_one = 1.0 - 2.0**-53
    monkeypatch.setattr(
        torch, "rand", lambda *size, **_: torch.full(size, below_one, dtype=torch.float64)
    )
    assert _draw(log_probabilities(-logits, 1.0, top_k=2), torch.Generator()) == 2


def test_a_character_that_the_model_never_saw_is_refused_before_anything_is_written() -> None:
    with pytest.raises(CharseqError, match=r"the prime: 'µ' \(U\+00B5 MICRO SIGN\) at position 3"):
        generate_text(
            make_model(),
            VOCAB,
            "abµ",
            length=3,
            temperature=1.0,
            top_k=None,
            top_p=None,
            generator=torch.Generator(),
        )


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
            make_model(),
            [],
            length=1,
            temperature=1.0,
            top_k=None,
            top_p=None,
            generator=torch.Generator(),
        )


def test_the_text_has_as_many_characters_as_asked_for() -> None:
    assert write(make_model(), length=0) == []
    assert len("".join(write(make_model(), length=17))) == 17
    vocab = Vocab.from_counts({}, kind="byte")
    # Any bytes at all, mostly not UTF-8: each longest beginning of a character becomes U+FFFD.
    assert len("".join(write(make_model(vocab, 0.1), vocab, length=50))) == 50


def test_bytes_come_out_as_whole_characters() -> None:
    vocab = Vocab.from_counts({}, kind="byte")
    model = always(vocab, "aé→😀")
    assert write(model, vocab, "a", length=9) == ["é", "→", "😀", "a", "é", "→", "😀", "a", "é"]
    assert "".join(write(model, vocab, "", length=5)) == "aé→😀a"


def test_a_stop_string_ends_the_text_and_is_not_written() -> None:
    model = always(VOCAB, "abcdefg\n")
    assert "".join(write(model, prime="a", stop="\n")) == "bcdefg"
    assert "".join(write(model, prime="a", stop="ef")) == "bcd"
    assert "".join(write(model, prime="a", stop="b")) == ""
    assert "".join(write(model, prime="a", length=4, stop="\n")) == "bcde"
    # It begins, and does not go on; it begins, and the text is over.
    assert "".join(write(model, prime="a", length=9, stop="efh")) == "bcdefg\nab"
    assert "".join(write(model, prime="a", length=4, stop="de\n")) == "bcde"


def test_what_could_become_the_stop_string_is_held_back() -> None:
    pieces = write(always(VOCAB, "abcdefg\n"), prime="a", length=9, stop="cdh")
    assert pieces == ["b", "cde", "f", "g", "\n", "a", "b"]


@settings(deadline=None, max_examples=100)
@given(
    text=st.text("ab", max_size=30),
    stop=st.text("ab", min_size=1, max_size=5),
    cuts=st.lists(st.integers(1, 4)),
)
def test_stopping_does_not_depend_on_the_pieces(text: str, stop: str, cuts: list[int]) -> None:
    letters = iter(text)
    pieces = ["".join(islice(letters, cut)) for cut in cuts] + ["".join(letters)]
    assert "".join(_until(stop, filter(None, pieces))) == text.split(stop, maxsplit=1)[0]

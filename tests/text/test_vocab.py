"""Text becomes ids and comes back; what a model never saw is refused, or treated as asked."""

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import CharseqError
from charseq.text.vocab import UnknownCharacterError, Vocab

ABC = Vocab.from_counts(Counter("cabbac"))
WITH_UNKNOWN = Vocab.from_counts(Counter("cabbac"), unknown="replace")
BYTE = Vocab.from_counts({}, kind="byte")


def test_ids_follow_the_code_points() -> None:
    assert ABC.symbols == ("a", "b", "c")
    assert ABC.encode("cab").tolist() == [2, 0, 1]
    assert (len(ABC), ABC.size, ABC.unknown_id) == (3, 3, None)


def test_the_unknown_symbol_is_the_first_and_only_where_asked_for() -> None:
    assert (WITH_UNKNOWN.symbols, WITH_UNKNOWN.unknown_id) == (("\ufffd", "a", "b", "c"), 0)
    seen_in_text = Vocab.from_counts(Counter("a\ufffdz\U0001f600"), unknown="replace")
    assert seen_in_text.symbols == ("\ufffd", "a", "z", "\U0001f600")
    plain = Vocab.from_counts(Counter("a\ufffd"))
    assert (plain.symbols, plain.unknown_id) == (("a", "\ufffd"), None)


def test_rare_characters_are_left_out() -> None:
    counts = Counter("aaabbc")
    assert Vocab.from_counts(counts, min_count=2, unknown="skip").symbols == ("a", "b")
    with pytest.raises(CharseqError, match=r"none of the 3 .* occurs 4 times .*`data\.min_count`"):
        Vocab.from_counts(counts, min_count=4, unknown="skip")


@given(text=st.text(min_size=1))
def test_every_text_comes_back_in_characters_and_in_bytes(text: str) -> None:
    vocab = Vocab.from_counts(Counter(text))
    ids = vocab.encode(text)
    assert [vocab.symbols[i] for i in ids] == list(text)
    assert vocab.decode(ids) == text
    assert BYTE.encode(text).tolist() == list(text.encode())
    assert BYTE.decode(BYTE.encode(text)) == text


@pytest.mark.parametrize(
    ("size", "dtype"),
    [
        (1, np.uint8),
        (255, np.uint8),
        (256, np.uint8),
        (257, np.uint16),
        (65_536, np.uint16),
        (65_537, np.uint32),
    ],
)
def test_ids_take_the_fewest_bytes_that_hold_them(size: int, dtype: type) -> None:
    # 65,537 characters that are no surrogates; the last ids are where a table too small overflows.
    text = "".join(map(chr, range(0xE000, 0xE000 + size)))
    vocab = Vocab.from_counts(Counter(text))
    assert vocab.encode(text).dtype == dtype
    assert vocab.encode(text).tolist() == list(range(size))
    for stranger in "!\U0010ffff":  # below all symbols, and above
        with pytest.raises(UnknownCharacterError):
            vocab.encode(stranger)


@pytest.mark.parametrize("size", [1, 128, 256, 300, 70_000])
@pytest.mark.parametrize("text", ["c", "cab", "abcabc", "b" * 99])
def test_an_ascii_text_has_the_ids_of_its_characters_in_a_vocabulary_of_any_size(
    size: int, text: str
) -> None:
    others = map(chr, range(0x20000, 0x20000 + size))
    vocab = Vocab.from_counts(dict.fromkeys("\x01abc~" + "".join(others), 1))
    assert vocab.encode(text).tolist() == ["\x01abc~".index(one) for one in text]
    assert vocab.encode(text).dtype == vocab.dtype
    for stranger in ("\0", "d", "\x7f"):
        assert vocab.encode(text + stranger, unknown="skip").tolist() == vocab.encode(text).tolist()
        with pytest.raises(UnknownCharacterError, match=f"at position {len(text) + 1} "):
            vocab.encode(text + stranger)


def test_half_a_surrogate_pair_is_no_text_for_bytes_either() -> None:
    with pytest.raises(
        CharseqError, match=r"--prime: U\+D83D at position 2 is half of a surrogate"
    ):
        BYTE.encode("a\ud83d", where="--prime")


def test_an_empty_text_has_no_ids() -> None:
    for vocab in (ABC, WITH_UNKNOWN, BYTE):
        assert vocab.encode("").tolist() == []
        assert vocab.decode([]) == ""


def test_an_unknown_character_is_named_with_its_place_and_what_to_do() -> None:
    with pytest.raises(UnknownCharacterError) as caught:
        ABC.encode("ab\ncé\x1b é", where="--prime")
    assert str(caught.value) == (
        "--prime: '\\n' (U+000A) at position 3 (line 1, column 3) is not among the 3 characters "
        "that the model knows (4 more are not either); `--unknown skip` leaves such characters out"
    )
    lines = Vocab.from_counts(Counter("abc\n"))
    with pytest.raises(UnknownCharacterError, match="SMALL LETTER E WITH ACUTE") as caught:
        lines.encode("ab\ncé")
    assert "at position 5 (line 2, column 2)" in str(caught.value)
    assert "more are not" not in str(caught.value)
    with pytest.raises(UnknownCharacterError, match=r"`--unknown replace` reads U\+FFFD"):
        WITH_UNKNOWN.encode("d")


@pytest.mark.parametrize(
    ("known", "text", "form", "shown"),
    [
        ("caf\xe9", "\ncafe\u0301Z", "NFC", "\xe9"),
        ("cafe\u0301", "\n\xe9Z", "NFD", "e\u0301"),
        ("\u1eaf", "a\u0306\u0301", "NFC", "\u1eaf"),
    ],
)
def test_an_accent_that_is_known_otherwise_is_told(
    known: str, text: str, form: str, shown: str
) -> None:
    """Apple's file names are NFD, most texts NFC; both look the same. Neighbours do not matter."""
    said = f"; as Unicode {form} writes it, '{shown}', it is; `--unknown skip` leaves"
    for extra in ("\n", "\nea"):  # where e is known, the accent alone is a stranger
        vocab = Vocab.from_counts(Counter(known + extra))
        with pytest.raises(UnknownCharacterError) as caught:
            vocab.encode(text)
        assert said in str(caught.value)
        told = vocab.unknown_error(list(text), "error", "in pieces of a character")
        assert said in str(told)


def test_a_character_that_has_no_other_form_has_no_such_hint() -> None:
    for text in ("x\u0301", "\xe8", "z"):
        with pytest.raises(UnknownCharacterError) as caught:
            Vocab.from_counts(Counter("caf\xe9")).encode(text)
        assert "Unicode" not in str(caught.value).partition("is not among")[2]


def test_unknown_characters_are_skipped_or_replaced_where_asked() -> None:
    assert ABC.encode("xaybz", unknown="skip").tolist() == [0, 1]
    ids = WITH_UNKNOWN.encode("xa\U0001f600b", unknown="replace")
    assert ids.tolist() == [0, 1, 0, 2]
    assert WITH_UNKNOWN.decode(ids) == "\ufffda\ufffdb"


def test_replacing_needs_a_model_that_was_trained_with_an_unknown_symbol() -> None:
    assert ABC.encode("abc", unknown="replace").tolist() == [0, 1, 2]  # nothing to replace
    with pytest.raises(CharseqError, match="trained without an unknown symbol"):
        ABC.encode("abx", unknown="replace")


def test_an_id_outside_the_vocabulary_is_refused() -> None:
    for ids in ([3], [-1], [2**40]):
        with pytest.raises(CharseqError, match="not all in 0 … 2"):
            ABC.decode(ids)


@given(text=st.text())
def test_bytes_one_at_a_time_give_the_text_without_halves_of_characters(text: str) -> None:
    decoder = BYTE.incremental_decoder()
    pieces = [decoder.feed(byte) for byte in text.encode()]
    assert "".join(pieces) == text
    assert "\ufffd" not in "".join(pieces) or "\ufffd" in text


def test_characters_one_at_a_time() -> None:
    decoder = ABC.incremental_decoder()
    assert [decoder.feed(i) for i in (2, 0, 1)] == ["c", "a", "b"]


@pytest.mark.parametrize("vocab", [ABC, WITH_UNKNOWN, BYTE], ids=["char", "unknown", "byte"])
def test_a_vocabulary_comes_back_from_a_checkpoint(vocab: Vocab) -> None:
    assert Vocab.from_json(json.loads(json.dumps(vocab.to_json()))) == vocab


@given(text=st.text(min_size=1))
def test_any_characters_come_back_from_json(text: str) -> None:
    vocab = Vocab.from_counts(Counter(text), unknown="replace")
    assert Vocab.from_json(json.loads(json.dumps(vocab.to_json()))) == vocab


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "word"},
        {"kind": ["char"]},
        {"symbols": ""},
        {"symbols": "aab"},
        {"symbols": "ba"},
        {"symbols": "a\ud800"},
        {"symbols": ["a", "b"]},
        {"symbols": None},
        {"unknown_id": 0},
        {"unknown_id": 1},
        {"symbols": "\ufffdab", "unknown_id": False},
        {"symbols": "\ufffdab", "unknown_id": 0.0},
        {"symbols": "\ufffda\ufffd", "unknown_id": 0},
        {"kind": "byte"},
        {"kind": "byte", "symbols": "", "unknown_id": 0},
        {"extra": 1},
    ],
    ids=str,
)
def test_a_vocabulary_from_a_stranger_is_checked(change: dict[str, Any]) -> None:
    with pytest.raises(CharseqError, match=r"^vocabulary: "):
        Vocab.from_json({**ABC.to_json(), **change})


@pytest.mark.parametrize("data", [None, [], "char", 3, {}, {"kind": "char"}], ids=str)
def test_what_is_no_vocabulary_at_all_is_refused(data: object) -> None:
    with pytest.raises(CharseqError, match="not an object with kind, symbols and unknown_id"):
        Vocab.from_json(data)

"""Characters are counted and shown as the standard library counts and names them."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import CharseqError
from charseq.text.characters import (
    code_points,
    count_characters,
    describe,
    escape,
    narrow_code_points,
)

# The chunks of ASCII are counted by another way; so are those with no character above U+FFFF.
CHUNKS = st.lists(st.text("a\0\x7f ") | st.text("aé漢\uffff") | st.text())


@given(chunks=CHUNKS)
def test_counts_equal_those_of_counter(chunks: list[str]) -> None:
    counts = count_characters(chunks)
    assert counts == Counter("".join(chunks))
    assert list(counts) == sorted(counts)


@given(text=st.text())
def test_code_points_equal_ord(text: str) -> None:
    assert code_points(text).tolist() == [ord(character) for character in text]
    assert narrow_code_points(text).tolist() == [ord(character) for character in text]


def test_two_bytes_a_character_where_they_are_enough() -> None:
    assert narrow_code_points("é\uffff").itemsize == 2
    assert narrow_code_points("é\U00010000").itemsize == 4


def test_half_a_surrogate_pair_is_refused_with_its_place() -> None:
    not_utf8 = b"caf\xe9".decode(errors="surrogateescape")  # what Python makes of such an argument
    for codes in (code_points, narrow_code_points):
        with pytest.raises(CharseqError, match=r"--text: U\+DCE9 at position 4 is half of a surr"):
            codes(not_utf8, where="--text")


def test_a_character_is_described_by_number_and_name() -> None:
    assert describe("é") == "'é' (U+00E9 LATIN SMALL LETTER E WITH ACUTE)"
    assert describe("\x1b") == r"'\x1b' (U+001B)"  # control characters have no name


def test_nothing_that_a_terminal_obeys_is_left_after_escape() -> None:
    assert escape("plain [red] é 漢\\") == "plain [red] é 漢\\"
    hostile = "\x1b[31m\r\n\0\x9b\u202e\u200b\ue000"
    assert escape(hostile) == r"\x1b[31m\r\n\x00\x9b\u202e\u200b\ue000"

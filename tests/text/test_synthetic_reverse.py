"""Random strings and the same turned around, of any alphabet, all of them if asked for."""

import hashlib
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import CharseqError
from charseq.text.synthetic.reverse import reverse_rows

ALPHABETS = st.text(
    st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1, max_size=9
).map(lambda text: "".join(dict.fromkeys(text)))


def test_a_seed_gives_these_rows_on_every_machine() -> None:
    rows = reverse_rows(100, seed=7, alphabet="abcé", min_length=1, max_length=9)
    text = "".join("\t".join(row) + "\n" for row in rows)
    assert text.splitlines()[0] == "bcéba\tabécb"
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "82f5633218276ef2e05549b70ec1ce97487f86748c571b854dc0d669e907f616"
    )


@given(ALPHABETS, st.integers(1, 5), st.integers(0, 5), st.integers(0, 99))
def test_a_target_is_its_source_read_backwards(
    alphabet: str, shortest: int, more: int, seed: int
) -> None:
    rows = reverse_rows(1, seed, alphabet, shortest, shortest + more)
    for source, target in rows:
        assert list(target) == list(reversed(source))
        assert set(source) <= set(alphabet)
        assert shortest <= len(source) <= shortest + more


def test_all_strings_there_are_and_not_one_more() -> None:
    there = {"".join(letters) for length in (2, 3) for letters in product("xyz", repeat=length)}
    assert {source for source, _ in reverse_rows(36, 0, "xyz", 2, 3)} == there
    with pytest.raises(CharseqError, match=r"36 strings of 2 to 3 of these 3 characters .* is 36"):
        reverse_rows(37, 0, "xyz", 2, 3)


@pytest.mark.parametrize(
    ("alphabet", "message"),
    [
        ("", "--alphabet is empty"),
        ("a\tb", r"'\\t' \(U\+0009\) cannot be shown"),
        ("a\u2028", r"'\\u2028' \(U\+2028 LINE SEPARATOR\) cannot be shown"),
        ("abca", r"'a' \(U\+0061 LATIN SMALL LETTER A\) is there twice"),
    ],
)
def test_an_alphabet_that_no_file_can_hold(alphabet: str, message: str) -> None:
    with pytest.raises(CharseqError, match=message):
        reverse_rows(1, 0, alphabet, 1, 5)


def test_lengths_the_wrong_way_round() -> None:
    with pytest.raises(CharseqError, match="--min-length 5 is above --max-length 4"):
        reverse_rows(1, 0, "ab", 5, 4)

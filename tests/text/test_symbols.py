"""Texts are taken apart into symbols, and put together again."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import CharseqError
from charseq.text.symbols import Symbols, count_symbols, normalized, split_symbols, split_tags

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n"), max_size=12)


def counted(texts: list[str], separator: str) -> Symbols:
    return Symbols.from_counts(separator, count_symbols(texts, separator))


def test_separators_at_the_ends_or_in_a_row_add_no_symbol() -> None:
    assert split_symbols("  a  b c ", " ") == ["a", "b", "c"]
    assert split_symbols("  a", "") == [" ", " ", "a"]
    assert split_symbols(" ", " ") == split_symbols("", " ") == split_symbols("", "") == []


@given(texts=st.lists(TEXTS))
def test_many_texts_are_numbered_as_each_alone(texts: list[str]) -> None:
    for side in (counted(["abc b"], ""), counted(["a b abc"], " ")):
        numbers, lengths = side.numbers(texts)
        wanted = [[side.number_of.get(one, -1) for one in side.split(text)] for text in texts]
        assert numbers.tolist() == [number for row in wanted for number in row]
        assert lengths.tolist() == [len(row) for row in wanted]


@given(text=TEXTS)
def test_normalized_is_what_unicodedata_gives(text: str) -> None:
    assert normalized(text, "none") == text
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert normalized(text, form) == unicodedata.normalize(form, text)


def test_counts_and_rare_symbols() -> None:
    assert count_symbols(["ab", "", "b"], "") == {"a": 1, "b": 2}
    assert list(count_symbols(["b a", "tʃ a"], " ").items()) == [("a", 2), ("b", 1), ("tʃ", 1)]
    assert Symbols.from_counts("", {"b": 3, "a": 2, "c": 1}, 2).symbols == ("a", "b")
    with pytest.raises(CharseqError, match=r"none of the 2 .* occurs 4 times .*`data\.min_count`"):
        Symbols.from_counts("", {"a": 3, "b": 1}, 4)


def test_tags_of_a_cell() -> None:
    assert split_tags("V;PST; 3 ;;SG;") == ("V", "PST", "3", "SG")
    assert split_tags("") == split_tags(" ; ") == ()

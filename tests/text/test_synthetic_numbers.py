"""Numbers in words are num2words's, in its languages and in both directions."""

import sys

import pytest
from num2words import num2words  # type: ignore[import-untyped]

from charseq.errors import CharseqError
from charseq.text.synthetic import draw
from charseq.text.synthetic.numbers import about_numbers, number_rows


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "pt_BR", "ja"])
def test_words_are_those_of_the_number(language: str) -> None:
    for digits, words in number_rows(100, 3, language):
        assert words == num2words(int(digits), lang=language)
        assert digits == str(int(digits))


def test_the_other_way() -> None:
    rows = number_rows(21, 0, "en", 20, parse=True)
    assert ("seventeen", "17") in rows
    assert {row[::-1] for row in rows} == set(number_rows(21, 0, "en", 20))


@pytest.mark.parametrize("patience", [1, draw.PATIENCE])  # the rows are listed early, or never
def test_all_numbers_there_are_and_not_one_more(
    patience: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw, "PATIENCE", patience)
    assert sorted(int(row[0]) for row in number_rows(1235, 0, "en", 1234)) == list(range(1235))
    with pytest.raises(CharseqError, match=r"there are 1,235 numbers from 0 to 1,234 .* is 1235"):
        number_rows(1236, 0, "en", 1234)


def test_short_numbers_are_not_rare() -> None:
    lengths = [len(row[0]) for row in number_rows(300, 0, "en", 10**15)]
    assert min(lengths.count(length) for length in range(2, 16)) >= 8
    assert max(lengths) <= 16


@pytest.mark.parametrize(
    ("language", "hint"), [("enn", r"did you mean en\?"), ("\x1b", "there are am, ar, az")]
)
def test_an_unknown_language(language: str, hint: str) -> None:
    with pytest.raises(CharseqError, match=rf"num2words does not know this language; {hint}"):
        number_rows(1, 0, language)


def test_a_number_that_the_language_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(number: int, lang: str) -> str:
        raise OverflowError("abs(7) must be less than 5.")

    monkeypatch.setattr("num2words.num2words", too_large)
    with pytest.raises(CharseqError, match=r"cannot write \d+ in the language en: abs\(7\) must"):
        number_rows(1, 0, "en")


def test_without_num2words_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "num2words", None)
    with pytest.raises(CharseqError, match=r"pip install 'charseq\[numbers\]'"):
        number_rows(1, seed=0)


def test_the_readme_tells_the_direction() -> None:
    assert about_numbers("fr", parse=False).columns[0] == "source: a whole number in digits"
    assert about_numbers("fr", parse=True).columns == (
        "source: the number in words (language `fr`)",
        "target: a whole number in digits",
    )

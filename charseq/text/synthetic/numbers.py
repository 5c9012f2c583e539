"""Whole numbers -> words (``21`` -> ``twenty-one``) by num2words, or the other way."""

import difflib
from collections.abc import Callable, Iterator

from charseq.errors import CharseqError
from charseq.progress import Progress
from charseq.text.characters import escape
from charseq.text.synthetic.draw import Item, Row, below, check_size, distinct, seeded
from charseq.text.synthetic.write import About

MAX_NUMBER = 10**15  # what ``below`` can draw from


def about_numbers(language: str, *, parse: bool) -> About:
    """What the folder's README says of the rows."""
    from importlib.metadata import version

    columns = ("a whole number in digits", f"the number in words (language `{language}`)")
    first, second = reversed(columns) if parse else columns
    return About(
        title="Numbers in words" if not parse else "Numbers in words, to be read",
        columns=(f"source: {first}", f"target: {second}"),
        notes=(
            "How many digits a number has is drawn first, then the number, both evenly. The words "
            f"are those of num2words {version('num2words')}; another version may write some "
            "otherwise.",
        ),
    )


def number_rows(
    size: int,
    seed: int,
    language: str = "en",
    largest: int = 999_999,
    *,
    parse: bool = False,
    progress: Progress = lambda *_: None,
) -> list[Row]:
    """``size`` different rows: digits and words, or words and digits when ``parse``.

    Args:
        largest: the largest number; the smallest is 0. MAX_NUMBER at most.

    Raises:
        CharseqError: num2words is not installed, does not know the language or cannot write a
            number in it, or there are fewer rows than ``size``.
    """
    words = _writer(language)
    things = f"numbers from 0 to {largest:,}"
    check_size(size, largest + 1, things)
    random = seeded(seed)
    digits = len(str(largest))

    def item(number: int) -> Item:
        row = (str(number), words(number))
        return (row[1], row[::-1]) if parse else (number, row)

    def draw() -> Item:
        length = 1 + below(random, digits)
        start, end = (10 ** (length - 1) if length > 1 else 0), min(10**length - 1, largest)
        return item(start + below(random, end - start + 1))

    def everything() -> Iterator[Item]:
        return map(item, range(largest + 1))

    return distinct(random, draw, everything, size, things, progress)


def _writer(language: str) -> Callable[[int], str]:
    """num2words in one language, its mistakes told in words."""
    try:
        from num2words import (  # type: ignore[import-untyped]
            CONVERTER_CLASSES,
            num2words,
        )
    except ModuleNotFoundError:
        raise CharseqError(
            "numbers: the words come from num2words, which is not installed; "
            "pip install 'charseq[numbers]'"
        ) from None
    if language not in CONVERTER_CLASSES:
        languages = sorted(CONVERTER_CLASSES)
        near = difflib.get_close_matches(language, languages, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(languages)}"
        raise CharseqError(
            f"--language {escape(language)}: num2words does not know this language; {hint}"
        )

    def words(number: int) -> str:
        try:  # its languages fail in their own ways where they end; there is no error of its own
            text = num2words(number, lang=language)
        except (ArithmeticError, LookupError, NotImplementedError, TypeError, ValueError) as error:
            raise CharseqError(
                f"num2words cannot write {number} in the language {language}: "
                f"{escape(str(error)) or type(error).__name__}; lower --max, or take another "
                "--language"
            ) from None
        return " ".join(text.split())

    return words

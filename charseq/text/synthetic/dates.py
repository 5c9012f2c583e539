"""Dates as people write them -> ISO 8601 (``1979-05-03``), from 1900 to 2099.

A date whose reading depends on the locale (03/04/1979) carries it in the third column.
"""

from collections.abc import Iterator
from datetime import date

from charseq.progress import Progress
from charseq.text.synthetic.date_forms import (
    FIRST_OF_TWO_DIGITS,
    LAST_OF_TWO_DIGITS,
    Form,
    load_forms,
)
from charseq.text.synthetic.draw import Item, Row, below, check_size, choice, distinct, seeded
from charseq.text.synthetic.write import About

FIRST_YEAR, LAST_YEAR = 1900, 2099
ROWS_OF_A_DAY = 100  # at least
THINGS = "ways of writing a day of these years"


def about_dates() -> About:
    """What the folder's README says of the rows."""
    from importlib.metadata import version

    return About(
        title="Dates as people write them, and as ISO 8601 writes them",
        columns=(
            "source: a date in English (US and GB), French, German or Spanish",
            "target: the same date in ISO 8601",
            "tag: a locale, such as `en_US`, where day and month are numbers in an order that "
            "depends on it; else empty",
        ),
        notes=(
            f"The days are of the years {FIRST_YEAR} to {LAST_YEAR}, all equally often. Years of "
            f"two digits are those of {FIRST_OF_TWO_DIGITS} to {LAST_OF_TWO_DIGITS}, as POSIX "
            "reads them.",
            "03/04/1979 is always tagged. 25/12/1979 and 03/03/1979 have only one reading: they "
            "come with and without the tag. No source with its tag has two readings.",
            "The names of months and days are those of the CLDR, through babel "
            f"{version('babel')}; another version may write some of them otherwise.",
        ),
    )


def date_rows(size: int, seed: int, progress: Progress = lambda *_: None) -> list[Row]:
    """``size`` different rows: source, target, tag.

    A row's locale is drawn evenly, then one of the locale's templates, then its form and a day.

    Raises:
        CharseqError: babel is not installed, or there are fewer rows than ``size``.
    """
    locales = list(load_forms().values())
    first = date(FIRST_YEAR, 1, 1).toordinal()
    days = date(LAST_YEAR, 12, 31).toordinal() - first + 1
    if size > ROWS_OF_A_DAY * days:  # to count them all takes seconds
        check_size(size, count_dates(FIRST_YEAR, LAST_YEAR), THINGS)
    random = seeded(seed)

    def draw() -> Item:
        names, templates = choice(random, locales)
        form = choice(random, choice(random, templates))
        while True:
            day = date.fromordinal(first + below(random, days))
            if form.writes(day):
                return _item(form, names.fields(day), day)

    def everything() -> Iterator[Item]:
        for ordinal in range(first, first + days):
            yield from date_items(date.fromordinal(ordinal))

    return distinct(random, draw, everything, size, THINGS, progress)


def date_items(day: date) -> Iterator[Item]:
    """Every row of a day, some of them several times."""
    for names, templates in load_forms().values():
        fields = names.fields(day)
        for forms in templates:
            for form in dict.fromkeys(forms):
                if form.writes(day):
                    yield _item(form, fields, day)


def count_dates(first_year: int, last_year: int) -> int:
    """How many different rows the days of these years have.

    Forms may come to one text: ``mai`` is long and short, 12 is ``d`` and ``dd``, ``mar`` has no
    accent to leave out. Whether they do depends on month, day and weekday, and on whether the year
    has a form of two digits: one day of each kind is counted for all. No two days share a row.
    """
    counts: dict[tuple[int, int, int, bool], int] = {}
    total = 0
    for ordinal in range(date(first_year, 1, 1).toordinal(), date(last_year + 1, 1, 1).toordinal()):
        day = date.fromordinal(ordinal)
        two_digits = FIRST_OF_TWO_DIGITS <= day.year <= LAST_OF_TWO_DIGITS
        kind = (day.month, day.day, day.weekday(), two_digits)
        if kind not in counts:
            counts[kind] = len({key for key, _ in date_items(day)})
        total += counts[kind]
    return total


def _item(form: Form, fields: dict[str, str], day: date) -> Item:
    source = form.write(fields)
    return (source, form.tag), (source, day.isoformat(), form.tag)

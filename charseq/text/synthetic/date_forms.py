"""How people write a date in five locales. Names and standard patterns are CLDR's, through babel.

A template names the parts of a date with CLDR's own letters (Unicode Technical Standard 35, part 4,
"Date Field Symbol Table"), and with ``do`` for the day as an ordinal:

    {y} 1979   {yy} 79   {M} 5   {MM} 05   {MMM} Sept.   {LLL} Sep   {MMMM} September
    {d} 3      {dd} 03   {do} 3rd          {EEE} Do.     {ccc} Do    {EEEE} Donnerstag
"""

import string
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache

from charseq.errors import CharseqError

# Two digits are a year as POSIX reads them (strptime, %y): 69-99 are 1969-1999, 00-68 2000-2068.
FIRST_OF_TWO_DIGITS, LAST_OF_TWO_DIGITS = 1969, 2068

_YEAR_FIRST = ("{y}-{MM}-{dd}", "{y}/{MM}/{dd}", "{y}.{MM}.{dd}", "{y}{MM}{dd}")
_DAY_FIRST = (
    "{d}/{M}/{y}",
    "{dd}/{MM}/{y}",
    "{d}/{M}/{yy}",
    "{dd}/{MM}/{yy}",
    "{d}-{M}-{y}",
    "{dd}-{MM}-{y}",
)
_MONTH_FIRST = (
    "{M}/{d}/{y}",
    "{MM}/{dd}/{y}",
    "{M}/{d}/{yy}",
    "{MM}/{dd}/{yy}",
    "{M}-{d}-{y}",
    "{MM}-{dd}-{y}",
)

_NUMERIC = frozenset(_DAY_FIRST + _MONTH_FIRST)  # their reading depends on the locale
_IN_LETTERS = frozenset({"MMM", "LLL", "MMMM", "EEE", "ccc", "EEEE"})

# The full, long, medium and short patterns of CLDR come to these.
TEMPLATES = {
    "en_US": (
        "{MMMM} {d} {y}",
        "{MMMM} {do}, {y}",
        "{MMMM} {do} {y}",
        "{MMMM} the {do}, {y}",
        "{MMM} {d} {y}",
        "{MMM} {do}, {y}",
        "{EEEE} {MMMM} {d} {y}",
        "{EEEE}, {MMMM} {do}, {y}",
        "{EEEE}, {MMM} {d}, {y}",
        "{EEE}, {MMM} {d}, {y}",
        "{EEE} {MMM} {d} {y}",
        "{MMMM} {d}, '{yy}",
        "{MMMM} {do}, '{yy}",
        "{MMM} {d}, '{yy}",
        "{MMM} {d} '{yy}",
        "{d} {MMM} {y}",
        "{y} {MMMM} {d}",
        *_MONTH_FIRST,
        *_YEAR_FIRST,
    ),
    "en_GB": (
        "{dd} {MMMM} {y}",
        "{dd} {MMM} {y}",
        "{do} {MMMM} {y}",
        "{do} {MMM} {y}",
        "{do} of {MMMM} {y}",
        "{do} of {MMMM}, {y}",
        "the {do} of {MMMM} {y}",
        "the {do} of {MMMM}, {y}",
        "{EEEE} {d} {MMMM} {y}",
        "{EEEE} {do} {MMMM} {y}",
        "{EEEE}, {do} {MMMM} {y}",
        "{EEEE} the {do} of {MMMM} {y}",
        "{EEE} {d} {MMM} {y}",
        "{EEE}, {dd} {MMM} {y}",
        "{d} {MMMM} '{yy}",
        "{do} {MMMM} '{yy}",
        "{d} {MMM} {yy}",
        "{d}-{MMM}-{y}",
        "{dd}-{MMM}-{yy}",
        *_DAY_FIRST,
        *_YEAR_FIRST,
    ),
    "fr_FR": (
        "{dd} {MMMM} {y}",
        "{dd} {MMM} {y}",
        "{do} {MMMM} {y}",
        "{do} {MMM} {y}",
        "le {d} {MMMM} {y}",
        "le {do} {MMMM} {y}",
        "{EEEE} {do} {MMMM} {y}",
        "{EEEE}, le {d} {MMMM} {y}",
        "le {EEEE} {d} {MMMM} {y}",
        "le {EEEE} {do} {MMMM} {y}",
        "{EEE} {d} {MMM} {y}",
        "{EEE} {dd} {MMMM} {y}",
        "{d} {MMMM} {yy}",
        "le {d} {MMM} {yy}",
        *_DAY_FIRST,
        *_YEAR_FIRST,
    ),
    "de_DE": (
        "{dd}. {MMMM} {y}",
        "{d}. {MMM} {y}",
        "{d}. {LLL} {y}",
        "{d} {LLL} {y}",
        "{d}.{MMMM} {y}",
        "am {d}. {MMMM} {y}",
        "den {d}. {MMMM} {y}",
        "der {d}. {MMMM} {y}",
        "{EEEE} {d}. {MMMM} {y}",
        "{EEEE}, der {d}. {MMMM} {y}",
        "{EEEE}, den {d}. {MMMM} {y}",
        "am {EEEE}, dem {d}. {MMMM} {y}",
        "{EEE}, {d}. {MMM} {y}",
        "{ccc}, {d}. {LLL} {y}",
        "{ccc} {d}. {MMMM} {y}",
        "{ccc}, {dd}.{MM}.{y}",
        "{EEEE}, {d}.{M}.{y}",
        "{d}. {MMMM} '{yy}",
        "{d}. {LLL} {yy}",
        "{d}.{M}.{y}",
        "{d}. {M}. {y}",
        "{d}.{M}.{yy}",
        *_YEAR_FIRST,
    ),
    "es_ES": (
        "{dd} de {MMMM} de {y}",
        "{do} de {MMMM} de {y}",
        "{d} de {MMMM} del {y}",
        "{d} de {MMMM}, {y}",
        "{d} {MMMM} {y}",
        "{dd} {MMM} {y}",
        "el {d} de {MMMM} de {y}",
        "el {d} de {MMMM} del {y}",
        "{EEEE} {d} de {MMMM} de {y}",
        "{EEEE} {d} de {MMMM} del {y}",
        "el {EEEE} {d} de {MMMM} de {y}",
        "{EEE}, {d} de {MMM} de {y}",
        "{EEE} {d} {MMM} {y}",
        "{d} de {MMMM} de {yy}",
        "{d} {MMM} {yy}",
        "{d}-{MMM}-{y}",
        "{dd}/{MMM}/{y}",
        *_DAY_FIRST,
        *_YEAR_FIRST,
    ),
}


@dataclass(frozen=True)
class Form:
    """One way of writing a date.

    Attributes:
        tag: the locale's name where it is told beside the date, else empty.
        style: what is done to the letters: a key of STYLES.
    """

    locale: str
    template: str
    tag: str = ""
    style: str = "as written"

    def writes(self, day: date) -> bool:
        """Whether this form can be used for a day: whoever reads it must find that day again."""
        if "{yy}" in self.template and not FIRST_OF_TWO_DIGITS <= day.year <= LAST_OF_TWO_DIGITS:
            return False
        if self.template in _NUMERIC and not self.tag:
            return day.day > 12 or day.day == day.month  # then both orders are one day
        return True

    def write(self, fields: dict[str, str]) -> str:
        """The date as text; ``fields`` as ``Names.fields`` gives them."""
        return STYLES[self.style](self.template.format_map(fields))


def _without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


STYLES: dict[str, Callable[[str], str]] = {
    "as written": lambda text: text,
    "lower": str.lower,
    "upper": str.upper,
    "without accents": _without_accents,
}
WEIGHTS = {"as written": 6, "lower": 2, "upper": 1, "without accents": 1}


@dataclass(frozen=True)
class Names:
    """What a locale calls months and days, each list in the order of the calendar."""

    language: str
    months: dict[str, list[str]]  # MMM, LLL, MMMM, from January
    days: dict[str, list[str]]  # EEE, ccc, EEEE, from Monday

    def fields(self, day: date) -> dict[str, str]:
        """Every part of a date that a template may name."""
        fields = {
            "y": f"{day.year}",
            "yy": f"{day.year % 100:02}",
            "M": f"{day.month}",
            "MM": f"{day.month:02}",
            "d": f"{day.day}",
            "dd": f"{day.day:02}",
            "do": _ordinal(day.day, self.language),
        }
        fields |= {letters: names[day.month - 1] for letters, names in self.months.items()}
        fields |= {letters: names[day.weekday()] for letters, names in self.days.items()}
        return fields


@cache
def load_forms() -> dict[str, tuple[Names, list[list[Form]]]]:
    """For each locale its names, and its templates, each as all the forms that it comes in.

    Raises:
        CharseqError: babel is not installed.
    """
    try:
        from babel import Locale
        from babel.dates import parse_pattern
    except ModuleNotFoundError:
        raise CharseqError(
            "dates: the names of months come from babel, which is not installed; "
            "pip install 'charseq[dates]'"
        ) from None
    loaded = {}
    for name, templates in TEMPLATES.items():
        locale = Locale.parse(name)
        months, days = locale.months, locale.days
        names = Names(
            locale.language,
            months={
                "MMM": [months["format"]["abbreviated"][month] for month in range(1, 13)],
                "LLL": [months["stand-alone"]["abbreviated"][month] for month in range(1, 13)],
                "MMMM": [months["format"]["wide"][month] for month in range(1, 13)],
            },
            days={
                "EEE": [days["format"]["abbreviated"][day] for day in range(7)],
                "ccc": [days["stand-alone"]["abbreviated"][day] for day in range(7)],
                "EEEE": [days["format"]["wide"][day] for day in range(7)],
            },
        )
        standard = []
        for length in ("full", "long", "medium", "short"):
            pattern = locale.date_formats[length].pattern  # such as "EEEE, d MMMM y"
            parts = str(parse_pattern(pattern).format)  # "%(EEEE)s, %(d)s %(MMMM)s %(y)s"
            standard.append(parts.replace("%(", "{").replace(")s", "}"))
        every = dict.fromkeys([*standard, *templates])  # each once
        loaded[name] = (names, [_variants(name, template) for template in every])
    return loaded


def _variants(locale: str, template: str) -> list[Form]:
    """The forms of a template: with and without the tag, or in several styles.

    Where day and month are numbers in an order that depends on the locale, the locale is told.
    With dots between them the day comes first wherever they are used.
    """
    if template in _NUMERIC:
        return [Form(locale, template, tag=locale), Form(locale, template)]
    if _IN_LETTERS.isdisjoint(field for _, field, _, _ in string.Formatter().parse(template)):
        return [Form(locale, template)]
    accents = locale in ("fr_FR", "es_ES")
    styles = [style for style in STYLES if accents or style != "without accents"]
    return [Form(locale, template, style=style) for style in styles for _ in range(WEIGHTS[style])]


def _ordinal(day: int, language: str) -> str:
    if language == "en":
        ending = {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
        return f"{day}{'th' if day in (11, 12, 13) else ending}"
    if day == 1:  # the only ordinal that French and Spanish dates have
        return {"fr": "1er", "es": "1.º"}.get(language, "1.")
    return f"{day}." if language == "de" else f"{day}"

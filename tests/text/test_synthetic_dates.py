"""Every date that is written can be read again, and in one way, by a reader that knows no form."""

import importlib.metadata
import re
import sys
import unicodedata
from collections import Counter
from datetime import date, datetime
from pathlib import Path

import pytest
from babel.dates import format_date

from charseq.errors import CharseqError
from charseq.text.synthetic import dates, draw
from charseq.text.synthetic.date_forms import Names, load_forms
from charseq.text.synthetic.dates import (
    ROWS_OF_A_DAY,
    about_dates,
    count_dates,
    date_items,
    date_rows,
)
from charseq.text.synthetic.write import split_rows

COMMITTED = Path(__file__).parent.parent.parent / "data" / "dates"

# Written by hand, without accents, for a reader that knows nothing of CLDR.
MONTHS = [
    "january jan januar januar janvier janv enero ene",
    "february feb februar fevrier fevr febrero",
    "march mar marz mars marzo",
    "april apr avril avr abril abr",
    "may mai mayo",
    "june jun juni juin junio",
    "july jul juli juillet juil julio",
    "august aug aout agosto ago",
    "september sep sept septembre septiembre",
    "october oct oktober okt octobre octubre",
    "november nov novembre noviembre",
    "december dec dezember dez decembre diciembre dic",
]
WEEKDAYS = [
    "monday mon montag mo lundi lun lunes",
    "tuesday tue dienstag di mardi mar martes",
    "wednesday wed mittwoch mi mercredi mer miercoles mie",
    "thursday thu donnerstag do jeudi jeu jueves jue",
    "friday fri freitag fr vendredi ven viernes vie",
    "saturday sat samstag sa samedi sam sabado sab",
    "sunday sun sonntag so dimanche dim domingo dom",
]
SMALL_WORDS = set(re.findall("[a-z]+", "the of le am den der dem el de del st nd rd th er"))


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, ...]]:
    return date_rows(20_000, seed=5)


def plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def read(source: str, tag: str) -> date:
    """Read a date as a person would, from left to right."""
    numbers, words = re.findall(r"\d+", source), re.findall(r"[a-z]+", plain(source))
    words = [word for word in words if word not in SMALL_WORDS]
    if re.fullmatch(r"\d{8}", source):
        return datetime.strptime(source, "%Y%m%d").date()
    months = [
        number for word in words for number, names in enumerate(MONTHS, 1) if word in names.split()
    ][-1:]  # the last such word: "mar, 3 de mar" begins with a Tuesday
    if months:
        days = [number for number in numbers if len(number) < 4]
        year = next((number for number in numbers if len(number) == 4), numbers[-1])
        found = (year, str(months[0]), days[0])
    elif len(numbers[0]) == 4:
        found = (numbers[0], numbers[1], numbers[2])
    elif tag == "en_US" or (not tag and int(numbers[1]) > 12):
        found = (numbers[2], numbers[0], numbers[1])
    else:
        found = (numbers[2], numbers[1], numbers[0])
    pattern = "%Y %m %d" if len(found[0]) == 4 else "%y %m %d"
    day = datetime.strptime(" ".join(found), pattern).date()
    for word in words[: len(words) - len(months)]:
        weekdays = [number for number, names in enumerate(WEEKDAYS) if word in names.split()]
        if weekdays or not any(word in names.split() for names in MONTHS):
            assert weekdays == [day.weekday()], (source, word)
    return day


def test_a_reader_of_its_own_finds_every_date(rows: list[tuple[str, ...]]) -> None:
    for source, target, tag in rows:
        assert read(source, tag).isoformat() == target, (source, tag)


def test_a_tag_is_there_wherever_day_and_month_could_be_swapped(
    rows: list[tuple[str, ...]],
) -> None:
    kinds: Counter[tuple[bool, bool]] = Counter()
    for source, target, tag in rows:
        numeric = re.fullmatch(r"(\d{1,2})[/-](\d{1,2})[/-]\d+", source)
        if not numeric:
            assert not tag, source
            continue
        first, second = map(int, numeric.groups())
        ambiguous = first <= 12 and second <= 12 and first != second
        assert tag or not ambiguous, (source, target)
        kinds[ambiguous, bool(tag)] += 1
    assert set(kinds) == {(True, True), (False, True), (False, False)}
    assert min(kinds.values()) > 500


def test_the_same_text_is_another_day_in_another_locale() -> None:
    third_of_april = {key for key, _ in date_items(date(1979, 4, 3))}
    assert ("03/04/1979", "en_GB") in third_of_april
    assert ("03/04/1979", "fr_FR") in third_of_april
    assert ("03/04/1979", "es_ES") in third_of_april
    assert ("03/04/1979", "en_US") in {key for key, _ in date_items(date(1979, 3, 4))}
    assert ("03/04/1979", "") not in third_of_april


def test_what_reads_in_one_way_comes_with_and_without_its_tag() -> None:
    for day, untagged in ((3, True), (4, False), (12, False), (13, True)):
        written = {key for key, _ in date_items(date(1979, 3, day))}
        assert (f"{day}/3/1979", "en_GB") in written
        assert ((f"{day}/3/1979", "") in written) == untagged
        assert (f"3/{day}/1979", "en_US") in written
        assert ((f"3/{day}/1979", "") in written) == untagged


@pytest.mark.parametrize("years", [(1979, 1979), (2000, 2000), (1968, 1970)])
def test_no_two_days_are_written_alike(years: tuple[int, int]) -> None:
    """All forms of all days; in the first two years a two-digit year could be a day."""
    found: dict[object, str] = {}
    first, last = years
    for ordinal in range(date(first, 1, 1).toordinal(), date(last + 1, 1, 1).toordinal()):
        for key, (_, target, _) in date_items(date.fromordinal(ordinal)):
            assert found.setdefault(key, target) == target, key
    assert len(found) == count_dates(first, last)


def test_two_digits_are_years_as_posix_reads_them() -> None:
    def two_digits(year: int) -> bool:
        return ("3 May 79".replace("79", f"{year % 100:02}"), "") in {
            key for key, _ in date_items(date(year, 5, 3))
        }

    assert [year for year in range(1900, 2100) if two_digits(year)] == list(range(1969, 2069))


@pytest.mark.parametrize("day", [date(1979, 5, 3), date(2000, 2, 29), date(2011, 9, 21)])
def test_names_and_standard_patterns_are_babels(day: date) -> None:
    for locale, (names, templates) in load_forms().items():
        fields = names.fields(day)
        for length in ("full", "long", "medium", "short"):
            text = format_date(day, length, locale=locale)
            assert text in {form.write(fields) for forms in templates for form in forms}
        for letters in set(fields) - {"do"}:
            assert fields[letters] == format_date(day, letters, locale=locale), (locale, letters)


def test_ordinals() -> None:
    def ordinals(language: str, days: list[int]) -> list[str]:
        return [Names(language, {}, {}).fields(date(1979, 5, day))["do"] for day in days]

    english = ordinals("en", [1, 2, 3, 4, 10, 11, 12, 13, 20, 21, 22, 23, 24, 30, 31])
    assert " ".join(english) == (
        "1st 2nd 3rd 4th 10th 11th 12th 13th 20th 21st 22nd 23rd 24th 30th 31st"
    )
    assert ordinals("fr", [1, 2, 21]) == ["1er", "2", "21"]
    assert ordinals("es", [1, 2, 21]) == ["1.º", "2", "21"]


def test_every_locale_and_every_style_comes(rows: list[tuple[str, ...]]) -> None:
    for written in (
        "saturday", "SATURDAY", "Saturday", "samedi", "Samedi".upper(), "Samstag", "samstag",
        "sábado", "sabado", "SÁBADO", "février", "fevrier", "FÉVRIER", "März", "MÄRZ", "märz",
    ):  # fmt: skip
        assert any(written in source for source, _, _ in rows), written
    assert not any("Marz" in source for source, _, _ in rows)  # German keeps its dots


def test_all_there_are_can_be_made_and_not_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dates, "FIRST_YEAR", 1970)
    monkeypatch.setattr(dates, "LAST_YEAR", 1970)
    monkeypatch.setattr(draw, "PATIENCE", 20)
    there = {
        key
        for ordinal in range(date(1970, 1, 1).toordinal(), date(1971, 1, 1).toordinal())
        for key, _ in date_items(date.fromordinal(ordinal))
    }
    made = date_rows(len(there), seed=0)
    assert {(source, tag) for source, _, tag in made} == there
    assert len(made) == len(there) > ROWS_OF_A_DAY * 365
    with pytest.raises(CharseqError, match=rf"the largest --size is {len(there)}"):
        date_rows(len(there) + 1, seed=0)


def test_without_babel_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    load_forms.cache_clear()
    monkeypatch.setitem(sys.modules, "babel", None)
    with pytest.raises(CharseqError, match=r"pip install 'charseq\[dates\]'"):
        date_rows(1, seed=0)
    load_forms.cache_clear()


def test_the_committed_files_are_what_their_command_makes() -> None:
    readme = (COMMITTED / "README.md").read_text(encoding="utf-8")
    command = "charseq data make dates --size 20000 --seed 0 --split 0.8/0.1/0.1 --out data/dates"
    assert f"\n    {command}\n" in readme
    version = importlib.metadata.version("babel")
    assert f"babel {version}" in readme, "made by another babel: run the command again"
    assert about_dates().notes[-1].startswith("The names of months")
    parts = split_rows(date_rows(20_000, seed=0), (0.8, 0.1, 0.1))
    for name, part in parts.items():
        text = (COMMITTED / f"{name}.tsv").read_bytes().decode()
        assert text == "".join("\t".join(row) + "\n" for row in part)

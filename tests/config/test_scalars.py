"""Which text of a YAML file is a number, and that what charseq writes is read back alike."""

import math

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from charseq.config.scalars import Scalar, read_scalar, write_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 0.0003),  # text in YAML 1.1
        ("1e3", 1000.0),
        ("+.5", 0.5),
        ("1.", 1.0),
        ("-0.25E+2", -25.0),
        ("42", 42),
        ("-7", -7),
        ("", None),
        ("~", None),
        ("null", None),
        ("TRUE", True),
        ("false", False),
        (".inf", math.inf),
        ("-.inf", -math.inf),
    ],
)
def test_a_number_a_boolean_and_null_are_what_they_look_like(text: str, value: Scalar) -> None:
    assert read_scalar(text) == value
    assert type(read_scalar(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        *("no", "yes", "On", "off", "y"),  # booleans in YAML 1.1: a text file named no stays one
        *("010", "00.5", "0x10", "0o17", "0b1", "1_000", "1:30", "190:20:30"),  # its odd numbers
        *("2024-01-01", "1e", "e5", ".", "-", "+", "1.2.3", "inf", "nan", "None", "٣"),
    ],
)
def test_everything_else_is_text(text: str) -> None:
    assert read_scalar(text) == text


def test_not_a_number_is_a_float() -> None:
    assert math.isnan(float(str(read_scalar(".nan"))))


def test_a_number_of_a_million_digits_is_read_at_once() -> None:
    assert read_scalar("9" * 10**6) == math.inf


def test_simple_names_are_written_without_quotes() -> None:
    for text in ("book.txt", "../data/book.txt", "/home/me/a-b.txt", "dataset:stdlib"):
        assert write_scalar(text) == text


def test_what_another_reader_may_take_for_something_else_is_quoted() -> None:
    for text in (
        "no",
        "null",
        "1e3",
        "010",
        "1:30",
        "a: b",
        "a #b",
        "- a",
        "",
        " a",
        "a\nb",
        ".inf",
    ):
        assert write_scalar(text).startswith('"')


def test_invisible_characters_are_written_as_escapes() -> None:
    assert write_scalar('\n\t"\\\x1b\u2028\U000e0001é') == r'"\n\t\"\\\x1b\u2028\U000e0001é"'


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)


@given(scalars)
@example(1e-05)  # text in YAML 1.1 as Python writes it
def test_pyyaml_reads_every_value_back(value: Scalar) -> None:
    """A YAML 1.1 reader, such as another tool of the user, finds the same value."""
    assert yaml.safe_load(write_scalar(value)) == value


@given(st.lists(scalars, max_size=4))
def test_pyyaml_reads_a_list_back(values: list[Scalar]) -> None:
    assert yaml.safe_load(write_scalar(values)) == values


@given(scalars.filter(lambda value: not isinstance(value, str)))
def test_charseq_reads_every_number_back(value: Scalar) -> None:
    assert read_scalar(write_scalar(value)) == value

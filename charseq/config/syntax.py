"""What PyYAML says about text that is not YAML, in words that a newcomer can act on."""

import yaml

# A part of what PyYAML says, what a newcomer can act on, and whether the place to look is where the
# broken piece begins rather than where PyYAML noticed.
_SYNTAX = [
    (r"character '\t'", "a tab; YAML is indented with spaces", False),
    ("cannot start any token", "a value cannot begin with this character; put it in quotes", False),
    ("could not find expected ':'", "expected 'key: value' (is the colon missing?)", True),
    (
        "mapping values are not allowed",
        "this colon does not fit: put a text that holds one in quotes, or check the indentation "
        "and the space after each colon",
        False,
    ),
    ("sequence entries are not allowed", "a list cannot begin on this line; write [a, b]", False),
    ("unexpected end of stream", "this quote is never closed", True),
    (
        "expected the node content",
        "a value is missing, or a bracket before it is not closed",
        False,
    ),
    ("expected '<document start>'", "this does not fit the lines above", False),
    ("unexpected document separator", "'---' inside a quoted text", False),
    ("unknown escape character", "no such escape in double quotes; use single quotes", False),
    ("expected ',' or ']'", "this [ is not closed, or a comma is missing in it", True),
    ("expected ',' or '}'", "this { is not closed, or a comma is missing in it", True),
    (
        "expected <block end>, but found '<scalar>'",
        "unexpected text after the end of a value (a quote inside quotes?)",
        False,
    ),
    (
        "expected <block end>, but found '-'",
        "a list item among settings; write 'key: value'",
        False,
    ),
    (
        "expected <block end>, but found ",
        "this does not fit the lines above: compare their indentation, look for a missing colon",
        False,
    ),
]


def in_plain_words(error: yaml.MarkedYAMLError) -> tuple[yaml.Mark | None, str]:
    """Where the text stops being YAML, and why."""
    said = error.problem or "this is not YAML"
    for part, words, from_the_beginning in _SYNTAX:
        if part in said:
            begins = error.context_mark if from_the_beginning else None
            return begins or error.problem_mark, words
    return error.problem_mark, said.replace("\n", " ")

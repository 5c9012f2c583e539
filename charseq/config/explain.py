"""pydantic's errors in plain words: where it stands, what was expected and what may be meant."""

import difflib
import math
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from charseq.config.describe import (
    choices,
    default,
    is_nullable,
    kind,
    sections,
    settings,
    value_type,
    words,
)
from charseq.config.document import BROKEN, Document, KeyPath, Problem, dotted, printable
from charseq.config.scalars import write_scalar
from charseq.config.schema import TASKS

_OUT_OF_RANGE = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("above", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("below", "lt"),
}
_FILES = {"lm": "book.txt", "seq2seq": "pairs.tsv"}
_ARTICLES = {
    "whole number": "a whole number",
    "number": "a number",
    "whole number or text": "a whole number or text",
}

_OTHER_NAMES = {  # of measures: the choice that says the same
    "wer": "accuracy",
    "cer": "ser",
    "per": "ser",
    "bpc": "loss",
    "nats": "loss",
    "perplexity": "loss",
}


def explain(error: ValidationError, document: Document, task: str) -> list[Problem]:
    """Everything that pydantic refused, except what was already noted while reading."""
    found: list[Problem] = []
    for details in error.errors(include_url=False):
        if details["input"] is not BROKEN:
            found += [
                problem for problem in _problems(details, document, task) if problem not in found
            ]
    return found


def unknown_key(path: KeyPath, task: str) -> str:
    """Why ``path`` is refused, with the names that may have been meant."""
    last = str(path[-1])
    if len(path) == 1 and tuple(last.split(".")) in settings(task):
        section, _, key = last.partition(".")
        return f"unknown key (write '{key}:' on a line of its own below '{section}:')"
    for other in TASKS:
        if other != task and path in (*settings(other), *((name,) for name in sections(other))):
            return f"is a setting of `task: {other}`, and this is `task: {task}`"
    meant = [f"'{name}'" for name in _meant(path, task)]
    return f"unknown key{_hint(' or '.join(meant))}"


def _problems(details: ErrorDetails, document: Document, task: str) -> list[Problem]:
    path, value = details["loc"], details["input"]
    if path[:-1] in settings(task) and isinstance(path[-1], str):  # one of its types
        path = path[:-1]
    # An item of a list (data.split) is described by the setting that holds the list.
    name = tuple(part for part in path if isinstance(part, str))
    field = settings(task).get(name)
    place = document.place_of(path)
    if details["type"] in ("extra_forbidden", "invalid_key"):
        return [Problem(document.keys.get(path, place), dotted(path), unknown_key(path, task))]
    if details["type"] == "value_error" and field is None:
        return _combinations(name, str(details["ctx"]["error"]), document)
    if name == ("task",):
        meant = _hint(next(iter(difflib.get_close_matches(str(value), TASKS, 1)), ""))
        why = f"expected {' or '.join(TASKS)}, found {_found(value)}{meant}"
    elif field is None:
        why = f"expected settings below it, such as '{_example(name, task)}', found {_found(value)}"
        if isinstance(value, str) and ":" in value:
            why += " (is the space after the colon missing?)"
    elif details["type"] == "missing" and len(name) == len(path):
        why = f"is missing ({field.description})"
    elif details["type"] in _OUT_OF_RANGE:
        words, limit = _OUT_OF_RANGE[details["type"]]
        each = "each " if len(name) < len(path) else ""
        why = f"{each}must be {words} {_number(details['ctx'][limit])}, found {_number(value)}"
    elif isinstance(value, float) and not math.isfinite(value):
        why = f"must be a finite number, found {_number(value)}"
    elif details["type"] == "string_too_short":
        why = "must not be empty"
    else:
        if len(name) < len(path):  # one item is of the wrong type, or missing: show the whole
            place, value = document.place_of(name), _at(document.values, name)
        why = f"expected {_accepts(field)}, found {_found(value)}{_meant_value(field, value)}"
    return [Problem(place, dotted(name), why)]


def _combinations(section: KeyPath, text: str, document: Document) -> list[Problem]:
    """``setting: why``, a line each, as the schema's own checks put it."""
    found = []
    for line in text.splitlines():
        key, _, why = line.partition(": ")
        path = (*section, *key.split("."))
        found.append(Problem(document.place_of(path), dotted(path), why))
    return found


def _accepts(field: FieldInfo) -> str:
    if get_origin(value_type(field)) is tuple:
        text = f"{kind(field)} such as {'/'.join(f'{share:g}' for share in field.default)}"
    elif names := choices(field):
        text = " or ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
    else:
        text = _ARTICLES.get(kind(field), kind(field))
    return f"{text} or null" if is_nullable(field) else text


def _found(value: Any) -> str:
    match value:
        case None:
            return "nothing (null)"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {_number(value)}"
        case str():
            return f"the text '{printable(value, 40)}'" if value else "an empty text"
        case list() | tuple():
            plain = all(item is None or isinstance(item, int | float | str) for item in value)
            return printable(write_scalar(value), 40) if plain else f"a list of {len(value)}"
        case dict():
            return "a group of settings"
        case _:
            return f"a {type(value).__name__}"


def _number(value: int | float) -> str:
    if isinstance(value, float):
        return f"{value:.15g}"
    if abs(value) < 10**20:
        return str(value)
    return f"{'-' if value < 0 else ''}10^20 or beyond"


def _at(values: Any, path: KeyPath) -> Any:
    for name in path:
        values = values[name]
    return values


def _example(section: KeyPath, task: str) -> str:
    name, field = next((path[-1], f) for path, f in settings(task).items() if path[:-1] == section)
    return f"{name}: {_FILES[task] if default(field) == 'required' else default(field)}"


def _meant_value(field: FieldInfo, value: Any) -> str:
    """A guess at what a value of the wrong type was meant to be."""
    if value is None:
        return _hint('""' if default(field) == '""' else "")
    if not isinstance(value, str):
        if value_type(field) is str and isinstance(value, bool | int | float):
            return " (put it in quotes)"
        return ""
    word = value.strip().lower()
    if is_nullable(field) and word in ("none", "nil", "off", "never", "-", ""):
        return _hint("null")
    if value_type(field) is bool or bool in get_args(value_type(field)):
        meant = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(word)
        return _hint(meant or next(iter(difflib.get_close_matches(word, words(field), 1)), ""))
    if value_type(field) in (int, float):
        return _hint(_meant_number(word))
    known = _OTHER_NAMES.get(word)
    if known in choices(field):
        return _hint(known)
    return _hint(next(iter(difflib.get_close_matches(word, choices(field), 1)), ""))


def _meant_number(word: str) -> str:
    """``1_000``, ``010`` or a quoted ``"5"``: what is plainly a number to a person."""
    try:
        number = float(word)
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    return f"{number:.15g}"


def _hint(meant: str) -> str:
    return f" (did you mean {meant}?)" if meant else ""


def _meant(path: KeyPath, task: str) -> list[str]:
    """Names of settings that are probably meant by an unknown one, dotted; at most a few."""
    names = [*((name,) for name in sections(task)), *settings(task)]
    if path[:-1] in settings(task):
        return [dotted(path[:-1])]
    word = str(path[-1]).lower().replace("-", "_")
    if len(word) > 40:
        return []
    elsewhere = [name for name in names if name[-1] == word]
    here = _alike(word, [name for name in names if name[:-1] == path[:-1]])
    return [".".join(name) for name in elsewhere or here or _alike(word, names)]


def _alike(word: str, names: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The name that is nearest to ``word`` in spelling, else by a part of it or its initials."""
    close = difflib.get_close_matches(word, [name[-1] for name in names], 1, cutoff=0.7)
    if close:
        return [name for name in names if name[-1] == close[0]]
    for name in names:
        parts = name[-1].split("_")
        initials = "".join(part[0] for part in parts)
        if word == initials or (len(word) > 2 and any(part.startswith(word) for part in parts)):
            return [name]
    return []

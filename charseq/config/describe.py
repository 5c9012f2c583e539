"""What each setting accepts, in words: the same in errors, in ``charseq init`` and in the docs."""

from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from charseq.config.scalars import write_scalar
from charseq.config.schema import DEFAULT_TASK, TASKS, Section

_KINDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}
_SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


@cache
def sections(task: str = DEFAULT_TASK) -> dict[str, type[Section]]:
    """The sections of a task's configuration in the order of the file."""
    return {
        name: field.annotation
        for name, field in TASKS[task].model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
    }


@cache
def settings(task: str = DEFAULT_TASK) -> dict[tuple[str, ...], FieldInfo]:
    """Every setting of a task by its path, such as ``("task",)`` or ``("data", "text")``."""
    found: dict[tuple[str, ...], FieldInfo] = {}
    for name, field in TASKS[task].model_fields.items():
        if name in sections(task):
            found |= {(name, key): sub for key, sub in sections(task)[name].model_fields.items()}
        else:
            found[(name,)] = field
    return found


def value_type(field: FieldInfo) -> Any:
    """The type of a setting without ``| None``."""
    if get_origin(field.annotation) not in (Union, UnionType):
        return field.annotation
    parts = [part for part in get_args(field.annotation) if part is not NoneType]
    return Union[tuple(parts)]  # noqa: UP007


def is_nullable(field: FieldInfo) -> bool:
    return NoneType in get_args(field.annotation)


def choices(field: FieldInfo) -> list[str]:
    """The words that a setting accepts; empty if it takes something else."""
    kind = value_type(field)
    return list(get_args(kind)) if get_origin(kind) is Literal else []


def kind(field: FieldInfo) -> str:
    """``whole number``, ``text``, ``char | byte`` …"""
    expected = value_type(field)
    if names := choices(field):
        return " | ".join(names)
    if get_origin(expected) is tuple:
        return f"{len(get_args(expected))} numbers"
    if get_origin(expected) in (Union, UnionType):
        *others, last = words(field)
        return f"{', '.join(others)} or {last}"
    return _KINDS[expected]


def words(field: FieldInfo) -> list[str]:
    """What is said of each of the types that a setting accepts: ``true``, ``false``, ``auto``."""
    expected = value_type(field)
    types = get_args(expected) if get_origin(expected) in (Union, UnionType) else (expected,)
    return [word for one in types for word in _words(one)]


def _words(part: Any) -> tuple[str, ...]:
    if part is bool:
        return "true", "false"
    return get_args(part) if get_origin(part) is Literal else (_KINDS[part],)


def bounds(field: FieldInfo) -> str:
    """``>= 0, < 1``; empty if there is none. For several numbers: the bounds of each."""
    expected = value_type(field)
    metadata: list[Any] = field.metadata
    if get_origin(expected) is tuple:
        metadata = get_args(get_args(expected)[0])[1].metadata
    found = [
        f"{sign} {_limit(getattr(bound, name))}"
        for bound in metadata
        for name, sign in _SIGNS.items()
        if hasattr(bound, name)
    ]
    if any(getattr(bound, "min_length", 0) for bound in metadata):
        found.append("not empty")
    return ", ".join(found)


def unit(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""


def default(field: FieldInfo) -> str:
    """The default as it stands in YAML, or ``required``."""
    if field.default is PydanticUndefined:
        return "required"
    return write_scalar(field.default)


def _limit(value: float) -> str:
    return "2^63" if value == 2**63 else f"{value:g}"

"""The schema for people and editors: a commented YAML file, a JSON Schema, a table for the docs."""

import shlex
import textwrap
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any

from pydantic.fields import FieldInfo

from charseq.config.describe import (
    bounds,
    choices,
    default,
    is_nullable,
    kind,
    sections,
    settings,
    unit,
)
from charseq.config.scalars import write_scalar
from charseq.config.schema import Config
from charseq.errors import CharseqError

SCHEMA_FILE = "charseq.schema.json"

_WIDTH = 100
_FACTS_AT = 38  # the column at which the remarks behind the values begin


def commented_config(
    text: str | None, task: str = "lm", file: str | PurePath = "charseq.yaml"
) -> str:
    """A complete YAML configuration: every setting at its default, with what it means and accepts.

    ``text`` is the training text, by default the Python standard library's own source, and ``file``
    is the name under which the configuration will be saved, for the commands in its head.

    Raises ``CharseqError`` for an unknown task.
    """
    values = {("task",): _known_task(task), ("data", "text"): text or "dataset:stdlib"}
    lines = [*_head(PurePath(file)), *_setting(("task",), values)]
    for name, section in sections().items():
        lines += ["", f"# {section.__doc__}", f"{name}:"]
        for path in settings():
            if path[0] == name:
                lines += (f"  {line}" for line in _setting(path, values))
    return "\n".join(lines) + "\n"


def json_schema(task: str = "lm") -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a configuration for ``task``.

    Raises ``CharseqError`` for an unknown task.
    """
    schema = Config.model_json_schema()
    schema["properties"]["task"] = {"const": _known_task(task)} | schema["properties"]["task"]
    for part in (schema, *schema["$defs"].values()):
        for setting in part["properties"].values():
            setting.pop("title", None)  # the name once more, with capitals
            if "unit" in setting:
                setting["description"] += f" ({setting.pop('unit')})"
    for name, section in schema["properties"].items():
        if name in sections() and name not in schema["required"]:
            # Its defaults stand at its settings. With all of them commented out, YAML says null.
            schema["properties"][name] = {
                "anyOf": [{"$ref": section["$ref"]}, {"type": "null"}],
                "description": sections()[name].__doc__,
            }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "charseq configuration",
    }


def reference_table() -> str:
    """Markdown: what every setting is, accepts and means, section by section."""
    lines = [
        "# Configuration",
        "",
        "<!-- Generated from charseq/config/schema.py: change a setting there. -->",
        "",
        "A configuration is a YAML file. `charseq init` writes a complete one with these settings,",
        "`charseq config check FILE` finds the mistakes in one, and `--set section.setting=value`",
        "changes a setting for one command. All settings but `data.text` may be left out.",
        "",
        "Paths are relative to the folder in which a command is typed. Numbers are decimal; `3e-4`",
        "is a number. Only `true` and `false` are booleans: `no` is text.",
        "",
        *_table([("task",)]),
    ]
    for name, section in sections().items():
        paths = [path for path in settings() if path[0] == name]
        lines += ["", f"## `{name}`", "", str(section.__doc__), "", *_table(paths)]
    return "\n".join(lines) + "\n"


def _known_task(task: str) -> str:
    known = choices(settings()[("task",)])
    if task in known:
        return task
    meant = "".join(f" (did you mean '{name}'?)" for name in get_close_matches(task, known, 1))
    raise CharseqError(f"unknown task '{task}'{meant}; there is {', '.join(known)}")


def _head(file: PurePath) -> Iterator[str]:
    if not str(file).isprintable():  # a line break in the name would end the comment
        file = PurePath("charseq.yaml")
    config, run = shlex.quote(str(file)), shlex.quote(f"runs/{file.stem}")
    commands = {
        f"charseq config check {config}": "find mistakes before a run does",
        f"charseq train {config}": f"train; writes {run}",
        f"charseq train {config} --set train.max_steps=200": "with another setting, once",
        f"charseq sample {run}": "write text with the trained model",
        f"charseq eval {run}": "measure it on text it has not seen",
    }
    width = max(map(len, commands))
    yield f"# yaml-language-server: $schema=./{SCHEMA_FILE}"
    yield "#"
    yield "# What to type next:"
    for command, what in commands.items():
        yield f"#   {command:{width}}  {what}"
    yield ""


def _setting(path: tuple[str, ...], values: dict[tuple[str, ...], str]) -> Iterator[str]:
    """The lines of one setting, not indented: what it means; its value and what it accepts."""
    field = settings()[path]
    value = write_scalar(values[path]) if path in values else default(field)
    line = f"{path[-1]}: {value}"
    meaning, facts = str(field.description), _facts(field)
    indent = 2 * (len(path) - 1)
    behind = f"{line:{_FACTS_AT - indent}}  # {facts}"
    if indent + len(behind) > _WIDTH:  # no room behind the value
        meaning, behind = f"{meaning} [{facts}]", line
    for part in textwrap.wrap(meaning, _WIDTH - indent - 2):
        yield f"# {part}"
    yield behind


def _facts(field: FieldInfo) -> str:
    """``whole number >= 1 (steps) or null; default 5000``"""
    limits = bounds(field)
    accepts = kind(field) + (f"{' ' if limits[0] in '<>' else ', '}{limits}" if limits else "")
    if unit(field):
        accepts += f" ({unit(field)})"
    if is_nullable(field):
        accepts += " or null"
    value = default(field)
    return f"{accepts}; {value if value == 'required' else f'default {value}'}"


def _table(paths: list[tuple[str, ...]]) -> Iterator[str]:
    yield "| setting | type | default | bounds, unit | meaning |"
    yield "|---|---|---|---|---|"
    for path in paths:
        field = settings()[path]
        accepts = f"{kind(field)} or null" if is_nullable(field) else kind(field)
        value = default(field)
        limits = ", ".join(part for part in (bounds(field), unit(field)) if part)
        cells = [
            f"`{path[-1]}`",
            accepts.replace("|", "\\|"),
            value if value == "required" else f"`{value}`",
            limits,
            str(field.description).replace("|", "\\|"),
        ]
        yield f"| {' | '.join(cells)} |"

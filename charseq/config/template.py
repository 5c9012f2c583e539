"""The schema for people and editors: a commented YAML file, a JSON Schema, a table for the docs."""

import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any, NamedTuple

from pydantic.fields import FieldInfo

from charseq.config.describe import (
    bounds,
    default,
    is_nullable,
    kind,
    sections,
    settings,
    unit,
)
from charseq.config.scalars import Scalar, write_scalar
from charseq.config.schema import DEFAULT_TASK, TASKS
from charseq.errors import CharseqError

SCHEMA_FILE = "charseq.schema.json"


class _Example(NamedTuple):
    """What a new configuration of a task trains on, and how its model is tried."""

    setting: tuple[str, str]
    source: str
    to_sample: str
    sampling: str


_EXAMPLES = {
    "lm": _Example(("data", "text"), "dataset:stdlib", "", "write text with the trained model"),
    "seq2seq": _Example(
        ("data", "train"),
        "data/dates/train.tsv",
        ' "a source"',
        "turn a source into its target",
    ),
}
_WIDTH = 100
_FACTS_AT = 38  # the column at which the remarks behind the values begin


def example_source(task: str) -> str:
    """What a new configuration trains on that names nothing else.

    Raises ``CharseqError`` for an unknown task.
    """
    return _EXAMPLES[_known_task(task)].source


def commented_config(
    source: str | None,
    task: str = DEFAULT_TASK,
    file: str | PurePath = "charseq.yaml",
    found: Mapping[tuple[str, ...], Scalar] | None = None,
    notes: Sequence[str] = (),
) -> str:
    """A complete YAML configuration: every setting with what it means and accepts.

    ``source`` is the training text or the file of pairs, by default the Python standard library's
    own source or the dates, and ``file`` is the name under which the configuration will be saved,
    for the commands in its head. ``found`` has the settings that are not at their defaults, and
    ``notes`` say why: printable lines, for the head too.

    Raises ``CharseqError`` for an unknown task.
    """
    source = source or example_source(task)
    example = _EXAMPLES[task]
    if ("data", "features_column") in (found or {}):
        example = example._replace(to_sample=f"{example.to_sample} --features TAGS")
    values = {**(found or {}), ("task",): task, example.setting: source}
    lines = [*_head(PurePath(file), example, notes), *_setting(("task",), values, task)]
    for name, section in sections(task).items():
        lines += ["", f"# {section.__doc__}", f"{name}:"]
        for path in settings(task):
            if path[0] == name:
                lines += (f"  {line}" for line in _setting(path, values, task))
    return "\n".join(lines) + "\n"


def json_schema(task: str | None = None) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a configuration for ``task``, or for any when None.

    Raises ``CharseqError`` for an unknown task.
    """
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "charseq configuration",
    }
    if task is not None:
        return {**head, **_task_schema(_known_task(task))}
    schemas = {name: _task_schema(name) for name in TASKS}
    definitions: dict[str, Any] = {}
    for schema in schemas.values():
        definitions |= schema.pop("$defs")
    default = schemas[DEFAULT_TASK]
    others = {name: schema for name, schema in schemas.items() if name != DEFAULT_TASK}
    for name, schema in others.items():
        named = {"properties": {"task": {"const": name}}, "required": ["task"]}
        default = {"if": named, "then": schema, "else": default}
    return {**head, "$defs": definitions, **default}


def _task_schema(task: str) -> dict[str, Any]:
    schema = TASKS[task].model_json_schema()
    del schema["title"]
    for part in (schema, *schema["$defs"].values()):
        for setting in part["properties"].values():
            setting.pop("title", None)  # the name once more, with capitals
            if "unit" in setting:
                setting["description"] += f" ({setting.pop('unit')})"
    if task != DEFAULT_TASK:
        schema["required"] = ["task", *schema["required"]]
    for name, section in schema["properties"].items():
        if name in sections(task) and name not in schema["required"]:
            # Its defaults stand at its settings. With all of them commented out, YAML says null.
            schema["properties"][name] = {
                "anyOf": [{"$ref": section["$ref"]}, {"type": "null"}],
                "description": sections(task)[name].__doc__,
            }
    return schema


def reference_table() -> str:
    """Markdown: what every setting is, accepts and means, section by section."""
    lines = [
        "# Configuration",
        "",
        "<!-- Generated from charseq/config/schema/: change a setting there. -->",
        "",
        "A configuration is a YAML file. `charseq init` writes a complete one with these settings,",
        "`charseq config check FILE` finds the mistakes in one, and `--set section.setting=value`",
        "changes a setting for one command. All settings but `data.text`, and for pairs `task` and",
        "`data.train`, may be left out.",
        "",
        "Paths are relative to the folder in which a command is typed. Numbers are decimal; `3e-4`",
        "is a number. Only `true` and `false` are booleans: `no` is text.",
        "",
    ]
    for task, config in TASKS.items():
        what = str(config.model_fields["task"].description).removeprefix(f"{task}: ")
        lines += [f"## `task: {task}`", "", f"{what.capitalize()}.", ""]
        for name, section in sections(task).items():
            paths = [path for path in settings(task) if path[0] == name]
            lines += [f"### `{name}`", "", str(section.__doc__), "", *_table(paths, task), ""]
    return "\n".join(lines)


def _known_task(task: str) -> str:
    if task in TASKS:
        return task
    meant = "".join(f" (did you mean '{name}'?)" for name in get_close_matches(task, TASKS, 1))
    raise CharseqError(f"unknown task '{task}'{meant}; there is {', '.join(TASKS)}")


def _head(file: PurePath, example: _Example, notes: Sequence[str]) -> Iterator[str]:
    if not str(file).isprintable():  # a line break in the name would end the comment
        file = PurePath("charseq.yaml")
    config, run = shlex.quote(str(file)), shlex.quote(f"runs/{file.stem}")
    commands = {
        f"charseq config check {config}": "find mistakes before a run does",
        f"charseq train {config}": f"train; writes {run}",
        f"charseq train {config} --set train.max_steps=200": "with another setting, once",
        f"charseq sample {run}{example.to_sample}": example.sampling,
        f"charseq eval {run}": "measure it on what it has not seen",
    }
    width = max(map(len, commands))
    yield f"# yaml-language-server: $schema=./{SCHEMA_FILE}"
    yield "#"
    yield "# What to type next:"
    for command, what in commands.items():
        yield f"#   {command:{width}}  {what}"
    if notes:
        yield "#"
        yield "# What was noticed in the data, and so set; correct the settings where it is wrong:"
    for note in notes:
        yield from textwrap.wrap(
            note, _WIDTH, initial_indent="#   ", subsequent_indent="#     ", break_on_hyphens=False
        )
    yield ""


def _setting(
    path: tuple[str, ...], values: Mapping[tuple[str, ...], Scalar], task: str
) -> Iterator[str]:
    """The lines of one setting, not indented: what it means; its value and what it accepts."""
    field = settings(task)[path]
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


def _table(paths: list[tuple[str, ...]], task: str) -> Iterator[str]:
    yield "| setting | type | default | bounds, unit | meaning |"
    yield "|---|---|---|---|---|"
    for path in paths:
        field = settings(task)[path]
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

"""A YAML file and ``--set key=value`` options to a ``Config``, and back to YAML or JSON.

Every mistake is reported at once, each as ``file:line:column: key: why (did you mean …?)``.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from charseq.config.describe import sections, settings, value_type
from charseq.config.document import BROKEN, Document, Place, Problem, printable, read_yaml
from charseq.config.explain import explain, unknown_key
from charseq.config.scalars import write_scalar
from charseq.config.schema import DEFAULT_TASK, TASKS, Config, Section
from charseq.errors import ConfigError

MAX_BYTES = 2**20


def load_config(
    path: str | Path, overrides: Sequence[str] = (), over: Sequence[str] = ()
) -> Config:
    """Read a configuration file; each override is ``key.sub=value``, the value in YAML.

    Later overrides win over earlier ones, and all of them over the file. Those of ``over`` come
    last; errors name them ``--over`` instead of ``--set``. Files that the settings
    name are not looked at, and their paths stay as they are written.

    Raises ``ConfigError`` with every mistake of the file and of the overrides.
    """
    text = _read_text(Path(path))
    document = read_yaml(text, Place(str(path), 1, 1))
    if not isinstance(document.values, dict) and (why := _data_for(Path(path))):
        raise ConfigError([why])
    if document.values is None:
        why = "holds no settings; `charseq init` writes a complete file"
        document.problems.append(Problem(document.start, "", why))
    elif not isinstance(document.values, dict) and document.values is not BROKEN:
        kind = "a list" if isinstance(document.values, list) else f"the text '{text.strip()[:40]}'"
        why = f"expected settings such as 'task: lm', found {printable(kind)}"
        document.problems.append(Problem(document.place_of(()), "", why))
    if not isinstance(document.values, dict):
        document.values = BROKEN
    given = [("--set", text) for text in overrides] + [("--over", text) for text in over]
    for option, text in sorted(given, key=lambda one: not one[1].startswith("task=")):
        _override(document, option, text)  # the task first: it says which other settings there are
    return _validate(document)


def config_from_json(data: Any, where: str) -> Config:
    """The configuration that ``config_to_json`` wrote; errors name ``where``, a checkpoint."""
    document = Document(Place(where), values=data)
    if not isinstance(data, dict):
        why = "expected the settings of a configuration"
        raise ConfigError([str(Problem(document.start, "", why))])
    return _validate(document)


def config_to_json(config: Config) -> dict[str, Any]:
    """Every setting, as plain JSON values."""
    return config.model_dump(mode="json")


def dump_config(config: Config) -> str:
    """Every setting, as YAML that ``load_config`` reads back to an equal configuration."""
    return "".join(f"{line}\n" for line in _yaml_lines(config))


def _yaml_lines(section: Section) -> Iterable[str]:
    for name, value in section:
        if isinstance(value, Section):
            yield f"{name}:"
            yield from (f"  {line}" for line in _yaml_lines(value))
        else:
            yield f"{name}: {write_scalar(value)}"


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file{_similar_file(path)}"]) from None
    except IsADirectoryError:
        inside = path / "config.yaml"
        hint = f" (did you mean '{inside}'?)" if inside.is_file() else "; name a file in it"
        raise ConfigError([f"{path}: is a folder{hint}"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    if len(data) > MAX_BYTES:
        large = f"{path}: is larger than 1 MiB; this is not a configuration"
        raise ConfigError([_data_for(path) or large])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if why := _data_for(path):
            raise ConfigError([why]) from None
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise ConfigError([f"{path}:1:1: is UTF-16 text; save it as UTF-8"]) from None
        before = error.object[: error.start].decode().split("\n")
        place = Place(str(path), len(before), len(before[-1]) + 1)
        why = f"byte 0x{error.object[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise ConfigError([f"{place}: {why}"]) from None


def _data_for(path: Path) -> str | None:
    """By its name, what a file that holds no settings is, and what writes some for it."""
    for ends, what, option in (
        ((".tsv", ".tsv.gz"), "a file of pairs", "--pairs"),
        ((".txt",), "a text", "--text"),
    ):
        if path.name.endswith(ends):
            command = f"charseq init {path.name.partition('.')[0]}.yaml {option} {path}"
            return f"{path}: is {what}, not a configuration; `{command}` writes one for it"
    return None


def _similar_file(path: Path) -> str:
    there = {file.stem: file.name for file in path.parent.glob("*.y*ml")}
    for stem in difflib.get_close_matches(path.stem, there, 1):
        return f" (did you mean '{path.with_name(there[stem])}'?)"
    return f"; `charseq init {path}` writes one"


def _task(document: Document) -> str:
    """The task that the document names; where it names none that there is, the one it is for."""
    values = document.values if isinstance(document.values, dict) else {}
    task = values.get("task")
    if isinstance(task, str) and task in TASKS:
        return task
    there = {
        (section, key)
        for section, inside in values.items()
        if isinstance(inside, dict)
        for key in inside
    }
    known = {task: len(there & settings(task).keys()) for task in (DEFAULT_TASK, *TASKS)}
    return max(known, key=known.__getitem__)


def _override(document: Document, option: str, text: str) -> None:
    """Put the value of one ``--set key.sub=value`` in its place, or note what is wrong with it."""
    task = _task(document)
    place = Place(f"{option} {printable(text)}")
    key, equals, value = text.partition("=")
    path = tuple(part.strip() for part in key.split("."))
    if not equals or not key.strip():
        why = f"expected key=value, as in {option} train.max_steps=1000"
        document.problems.append(Problem(place, "", why))
        return
    if path not in settings(task):
        why = unknown_key(path, task)
        if key in sections(task):
            first = next(iter(sections(task)[key].model_fields))
            why = f"is a section; set one of its settings, as in {option} {key}.{first}=…"
        document.problems.append(Problem(place, printable(key), why))
        return
    said = read_yaml(value, place, at=path)
    document.problems += said.problems
    target = document.values
    for name in path[:-1]:
        if isinstance(target, dict) and target.get(name) is None:
            target[name] = {}
        target = target[name] if isinstance(target, dict) else BROKEN
    if isinstance(target, dict):  # if not, what stands there has been refused already
        target[path[-1]] = said.values
        for old in [old for old in document.places if old[: len(path)] == path]:
            del document.places[old]
        document.places |= {path: place} | said.places


def _validate(document: Document) -> Config:
    problems = list(document.problems)
    if isinstance(document.values, Mapping):
        task = _task(document)
        document.values = _fill(document.values, task)
        if "task" not in document.values and task != DEFAULT_TASK:
            why = f"is missing; the settings are those of `task: {task}`"
            problems.append(Problem(document.start, "task", why))
            document.values["task"] = task
        try:
            config = TASKS[task].model_validate(document.values)
        except ValidationError as error:
            problems += explain(error, document, task)
        else:
            if not problems:
                return config
    # In the order of the file; what has no line (--set) comes last, in its own order.
    problems.sort(key=lambda problem: (not problem.place.line, problem.place[1:]))
    raise ConfigError([str(problem) for problem in problems])


def _fill(values: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Make an empty section a section, and ``5e3`` a whole number where one is expected."""
    filled = dict(values)
    for name, section in sections(task).items():
        if filled.get(name) is None:  # a section whose settings are all commented out, or absent
            filled[name] = {}
        if isinstance(filled[name], dict):
            filled[name] = dict(filled[name])
            for key, field in section.model_fields.items():
                value = filled[name].get(key)
                if value_type(field) is int and isinstance(value, float) and value.is_integer():
                    filled[name][key] = int(value)
    return filled

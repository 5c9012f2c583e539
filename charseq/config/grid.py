"""Values to try, ``--over train.learning_rate=1e-3,3e-3``, as configurations: a grid, or draws.

Every combination is validated, and every mistake of all of them reported at once.
"""

import hashlib
import math
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any

from charseq.config.describe import settings, value_type
from charseq.config.difference import flat, short
from charseq.config.document import printable
from charseq.config.load import load_config
from charseq.config.scalars import read_scalar, write_scalar
from charseq.config.schema import TASKS, Config
from charseq.errors import ConfigError

SEED = "train.seed"
MOST = 10_000  # runs; more are a slip of the keyboard
DECADE = 10  # ends that are so many times apart are drawn from on a logarithmic scale
DIGITS = 3  # of a drawn number
TRIES = 100  # draws of what was drawn already, before all is taken for drawn
CORNERS = 64  # combinations of the ends of ranges that are looked at
LONGEST_NAME = 120  # characters of a folder


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included."""

    low: float
    high: float

    def draw(self, generator: random.Random, *, whole: bool) -> str:
        """One of them, as YAML."""
        low, high = self.low, self.high
        if low > 0 and high >= DECADE * low:
            number = math.exp(generator.uniform(math.log(low), math.log(high)))
        else:
            number = generator.uniform(low, high)
        if whole:
            return str(min(max(round(number), math.ceil(low)), math.floor(high)))
        return write_scalar(min(max(float(f"{number:.{DIGITS}g}"), low), high))


@dataclass(frozen=True)
class Axis:
    """One ``--over``: a setting, and what to try for it: values as YAML, or a range."""

    key: str
    values: tuple[str, ...]
    range: Range | None = None


@dataclass(frozen=True)
class Planned:
    """One run: the name of its combination, the same for all its seeds, and its settings."""

    name: str
    config: Config

    @property
    def seed(self) -> int:
        return self.config.train.seed


def plan(
    path: Path,
    overrides: Sequence[str] = (),
    over: Sequence[str] = (),
    *,
    seeds: int = 1,
    draws: int | None = None,
    draw_seed: int = 0,
) -> list[Planned]:
    """Every run of a sweep: all combinations with the first seed, then all with the next.

    Seeds count from the configuration's. With ``draws`` so many combinations are drawn, or all
    where there are no more; a higher number later begins with the same ones.

    Raises:
        ConfigError: what is wrong with the file, with the overrides and with any combination.
    """
    axes = [_axis(text) for text in over]
    # Before each value is looked at, which takes a while for so many
    count = math.prod(len(axis.values) for axis in axes) if draws is None else draws
    if count * seeds > MOST:
        what = "try fewer values, or draw some: --random" if draws is None else "draw fewer"
        raise ConfigError([f"--over: these are {count * seeds:,} runs; {what}"])
    _check(path, overrides, axes, seeds=seeds, draws=draws)
    combinations: Iterable[tuple[str, ...]] = product(*(axis.values for axis in axes))
    if draws is not None:
        task = load_config(path, overrides, _first(axes)).task
        combinations = _draws(axes, task, random.Random(draw_seed))  # noqa: S311
    problems: dict[str, None] = {}  # in their order, each once
    configs: dict[str, Config] = {}
    refused = 0
    for combination in combinations:
        chosen = [f"{axis.key}={value}" for axis, value in zip(axes, combination, strict=True)]
        try:
            config = load_config(path, overrides, chosen)
        except ConfigError as error:
            refused += 1
            if any(axis.range for axis in axes) and refused < TRIES:
                continue  # an odd width, where it must be even, is drawn anew
            problems |= dict.fromkeys(error.problems)
            if draws is not None and refused >= TRIES:
                break
        else:  # a value that is there twice, 1e-3 and 0.001, is tried once
            refused = 0
            configs.setdefault(_name(config, [axis.key for axis in axes]), config)
        if len(configs) == draws:
            break
    if problems:
        raise ConfigError(list(problems))
    return [
        Planned(name, _with_seed(config, config.train.seed + seed))
        for seed in range(seeds)
        for name, config in configs.items()
    ]


def base_settings(planned: Sequence[Planned], over: Sequence[str]) -> dict[str, Any]:
    """What all runs of a sweep share, as plain values: all but what is tried, and the seeds."""
    tried = {_axis(text).key for text in over} | {SEED}
    return {key: v for key, v in flat(planned[0].config).items() if key not in tried}


def _axis(text: str) -> Axis:
    key, equals, rest = text.partition("=")
    key = ".".join(part.strip() for part in key.split("."))
    values = tuple(part.strip() for part in _split(rest))
    if not equals or not key or "" in values:
        why = "expected key=value,value, as in --over model.dropout=0.1,0.3"
        raise ConfigError([f"--over {printable(text)}: {why}"])
    found = [found for value in values if (found := _range(value))]
    if not found:
        return Axis(key, values)
    if len(values) > 1 or found[0].low >= found[0].high:
        why = "a range stands alone, from a lower to a higher number, as in 1e-4..1e-2"
        raise ConfigError([f"--over {printable(text)}: {why}"])
    return Axis(key, (), found[0])


def _range(text: str) -> Range | None:
    ends = [read_scalar(part) for part in text.split("..")]
    if len(ends) != 2 or not all(isinstance(end, int | float) for end in ends):
        return None
    low, high = (float(end) for end in ends if isinstance(end, int | float))
    return Range(low, high) if math.isfinite(low) and math.isfinite(high) else None


def _split(text: str) -> Iterator[str]:
    """The parts between commas, but for those in brackets or quotes."""
    part, depth, quote = "", 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        else:
            depth += (character in "[{") - (character in "]}")
            if character == "," and depth <= 0:
                yield part
                part = ""
                continue
        part += character
    yield part


def _check(
    path: Path, overrides: Sequence[str], axes: Sequence[Axis], *, seeds: int, draws: int | None
) -> None:
    """What is wrong with the keys and with each value alone: more would be said of it otherwise.

    Raises:
        ConfigError: all of it.
    """
    problems: dict[str, None] = {}
    keys = [axis.key for axis in axes]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        problems[f"--over {printable(key)}=…: is given twice; name all values in one"] = None
    if SEED in keys and seeds > 1:
        problems[f"--over {SEED}=…: and --seeds are two ways to say it; take one"] = None
    for axis in axes:
        others = [other for other in axes if other.key != axis.key]
        if axis.range and draws is None:
            ends = f"{axis.range.low:g}..{axis.range.high:g}"
            problems[
                f"--over {printable(axis.key)}={ends}: a range is drawn from: say how often with"
                " --random, or name the values"
            ] = None
        known = any(tuple(axis.key.split(".")) in settings(task) for task in TASKS)
        for value in _ends(axis) if known else _ends(axis)[:1]:
            problems |= _alone(path, overrides, f"{axis.key}={value}", others)
    if draws is not None and not axes:
        problems["--random: there is nothing to draw; give values or ranges with --over"] = None
    if not axes:
        load_config(path, overrides)
    if problems:
        raise ConfigError(list(problems))


def _alone(
    path: Path, overrides: Sequence[str], chosen: str, others: Sequence[Axis]
) -> dict[str, None]:
    """What is wrong with a value, whatever ends of the ranges, and first values, are beside it."""
    problems: dict[str, None] = {}
    ends = [_ends(axis) if axis.range else _ends(axis)[:1] for axis in others]
    for corner in islice(product(*ends), CORNERS):
        beside = [f"{axis.key}={value}" for axis, value in zip(others, corner, strict=True)]
        try:
            load_config(path, overrides, [chosen, *beside])
        except ConfigError as error:
            problems = problems or dict.fromkeys(error.problems)
        else:
            return {}
    return problems


def _ends(axis: Axis) -> Sequence[str]:
    if axis.range is None:
        return axis.values
    return [_written(end) for end in (axis.range.low, axis.range.high)]


def _written(number: float) -> str:
    return str(int(number)) if number.is_integer() else write_scalar(number)


def _first(axes: Sequence[Axis]) -> list[str]:
    return [f"{axis.key}={_ends(axis)[0]}" for axis in axes]


def _draws(axes: Sequence[Axis], task: str, generator: random.Random) -> Iterator[tuple[str, ...]]:
    """Combinations, each once, until hardly any is new."""
    whole = {
        axis.key: value_type(settings(task)[tuple(axis.key.split("."))]) is int for axis in axes
    }
    drawn: set[tuple[str, ...]] = set()
    tries = 0
    while tries < TRIES:
        combination = tuple(
            axis.range.draw(generator, whole=whole[axis.key])
            if axis.range
            else generator.choice(axis.values)
            for axis in axes
        )
        tries += 1
        if combination not in drawn:
            drawn.add(combination)
            tries = 0
            yield combination


def _name(config: Config, keys: Sequence[str]) -> str:
    """``learning_rate=0.001,dropout=0.1``: a readable folder, the same for the same values."""
    values = flat(config)
    tried = short({key: values[key] for key in keys})
    exact = ",".join(f"{key}={write_scalar(value)}" for key, value in tried.items())
    name = re.sub(r"[^\w.,=+-]+", "-", re.sub(r"[]['\" ]", "", exact))[:LONGEST_NAME]
    if name == exact:
        return name
    return f"{name}-{hashlib.sha256(exact.encode()).hexdigest()[:6]}"


def _with_seed(config: Config, seed: int) -> Config:
    return config.model_copy(update={"train": config.train.model_copy(update={"seed": seed})})

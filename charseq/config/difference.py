"""Configurations side by side: which settings differ, by their dotted keys."""

from collections.abc import Sequence
from typing import Any

from charseq.config.scalars import write_scalar
from charseq.config.schema import Config, Section


def flat(config: Config) -> dict[str, Any]:
    """Every setting by its dotted key, as ``train.learning_rate``, in the order of the file."""
    found: dict[str, Any] = {}
    for name, value in config:
        if isinstance(value, Section):
            found |= {f"{name}.{key}": setting for key, setting in value}
        else:
            found[name] = value
    return found


def differing(configs: Sequence[dict[str, Any]]) -> list[str]:
    """The keys of flat configurations whose values are not all the same, or not in all of them."""
    keys = dict.fromkeys(key for config in configs for key in config)
    return [key for key in keys if _differs([config.get(key, _ABSENT) for config in configs])]


def changes(before: Config, now: Config) -> dict[str, str]:
    """By the key of each setting that differs: ``train.max_steps was 150 and is 2500``."""
    old, new = flat(before), flat(now)
    return {
        key: f"{key} was {write_scalar(old.get(key))} and is {write_scalar(new.get(key))}"
        for key in differing([old, new])
    }


def short(values: dict[str, Any]) -> dict[str, Any]:
    """By the last parts of the keys, where these are unambiguous."""
    last = [key.rpartition(".")[2] for key in values]
    return {
        name if last.count(name) == 1 else key: value
        for name, (key, value) in zip(last, values.items(), strict=True)
    }


_ABSENT = object()


def _differs(values: Sequence[Any]) -> bool:
    return any(value != values[0] for value in values)

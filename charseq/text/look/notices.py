"""What a look at a file notices, and the settings that it asks for: for ``charseq init``."""

from typing import NamedTuple

from charseq.config.recipes import Recipe, Settings
from charseq.config.scalars import write_scalar
from charseq.text.wording import number_of


class Notice(NamedTuple):
    """What was seen, in a line that is safe to show, and the settings that it asks for."""

    seen: str
    settings: Settings


def notice_of(why: str, settings: Settings) -> Notice:
    """A notice that says its settings."""
    return Notice(f"{why}: {said(settings)}", settings)


def said(settings: Settings) -> str:
    """``train.batch_size: 16, train.seq_len: 64``"""
    return ", ".join(f"{'.'.join(path)}: {write_scalar(settings[path])}" for path in settings)


def few(count: int, what: str, recipe: Recipe) -> str:
    """``800 pairs, fewer than 2,500: `model` and `train` as in …``"""
    return (
        f"{number_of(count, what)}, fewer than {recipe.below:,}: `model` and"
        f" `train` as in {recipe.source}, made for {recipe.made_for:,}"
    )

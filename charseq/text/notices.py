"""What a look at a file notices, and the settings that it asks for: for ``charseq init``."""

from typing import NamedTuple

from charseq.config.scalars import Scalar, write_scalar

Settings = dict[tuple[str, ...], Scalar]


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

"""What a command gives: files that are whole or not there, and text that harms no terminal."""

import json
import math
import os
import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import typer

from charseq.errors import CharseqError
from charseq.files import replacing

_STREAMS = {"stdout": 1, "stderr": 2}
_DESCRIPTOR = re.compile(r"/dev/(?P<stream>stdout|stderr)|/(?:dev|proc/self)/fd/(?P<number>\d+)")


@contextmanager
def whole_file(name: str) -> Iterator[BinaryIO]:
    """A file to write to, which appears under its name when all is written, or not at all.

    A name of something else, such as ``/dev/stdout`` or a pipe, is written to as it goes; where
    standard output is a file, it is never begun anew.

    Raises:
        CharseqError: it cannot be written.
    """
    from charseq.text.read import expand

    if "\0" in name:
        raise CharseqError(f"{name}: is no name of a file")
    opened = _DESCRIPTOR.fullmatch(name)
    if opened:
        with _descriptor(opened, name) as file:
            yield file
        return
    path = Path(os.path.realpath(expand(name)))  # what a link points at is replaced, not the link
    direct = path.exists() and not path.is_file() and not path.is_dir()
    try:
        if path.is_dir() or name.endswith(os.sep):
            raise CharseqError(f"{name}: is a folder; name a file in it")
        with path.open("wb") if direct else replacing(path) as file:
            yield file
    except BrokenPipeError:  # a reader that has enough
        raise
    except OSError as error:
        raise CharseqError(f"{name}: cannot be written: {error.strerror}") from None


@contextmanager
def _descriptor(opened: re.Match[str], name: str) -> Iterator[BinaryIO]:
    """What this process has open already; to open it by its name could empty the file behind it."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        with os.fdopen(os.dup(int(opened["number"] or _STREAMS[opened["stream"]])), "wb") as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CharseqError(f"{name}: cannot be written: {error.strerror}") from None


def harmless(text: str) -> str:
    r"""The text with control characters as ``\x1b``, all but line ends and tabs.

    What a model writes could otherwise move the cursor, or tell a terminal worse things.
    """
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) == "Cc" and character not in "\n\t"
        else character
        for character in text
    )


def json_text(value: object, indent: int | None = 2) -> str:
    """JSON that can be read in any alphabet; in ASCII where a terminal could obey some of it."""
    value = _finite(value)
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    plain = all(line.isprintable() for line in text.split("\n"))
    return text if plain else json.dumps(value, indent=indent)


def _finite(value: object) -> object:
    """JSON has neither NaN nor infinity: they are null."""
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_json(value: object) -> None:
    """On standard output, UTF-8 in any locale."""
    typer.echo(json_text(value).encode())

"""Text into a command and out of it: files, standard input, control characters, Ctrl-C."""

import json
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, TypeAlias

import typer

from charseq.errors import CharseqError
from charseq.text.characters import escape

if TYPE_CHECKING:
    from charseq.config.schema import LMConfig

Wrong: TypeAlias = Callable[[CharseqError], object]
Told: TypeAlias = Callable[[int, int | None], object]  # done, and of how much where that is known

MANY = 50  # sources; fewer need no progress bar
STANDARD_INPUT = "-"
_STREAMS = {"stdout": 1, "stderr": 2}
_DESCRIPTOR = re.compile(r"/dev/(?P<stream>stdout|stderr)|/(?:dev|proc/self)/fd/(?P<number>\d+)")
INTERRUPTED = 130  # what a shell reports for a command that Ctrl-C ended


def read_text(source: str, config: "LMConfig") -> str:
    """A whole text from a file, or from standard input for ``-``, read as the training text was.

    Raises:
        CharseqError: the file cannot be read, or the text is not UTF-8.
    """
    from charseq.text.read import BYTE_ORDER_MARK, expand, read_chunks

    errors, newlines = config.data.errors, config.data.newlines
    if source != STANDARD_INPUT:
        return "".join(read_chunks(expand(source), errors=errors, newlines=newlines))
    data = sys.stdin.buffer.read()
    try:
        text = data.decode("utf-8", "strict" if errors == "raise" else "replace")
    except UnicodeDecodeError as error:
        raise CharseqError(
            f"standard input: byte 0x{data[error.start]:02x} at byte offset {error.start} is not"
            f" UTF-8 ({error.reason}); convert it first, with iconv for example"
        ) from None
    text = text.removeprefix(BYTE_ORDER_MARK)
    return text.replace("\r\n", "\n").replace("\r", "\n") if newlines == "unix" else text


def refuse(error: CharseqError) -> None:
    """What to do with a wrong line, if nothing else is said."""
    raise error


def read_lines(source: str, wrong: Wrong = refuse) -> Iterator[tuple[str, str]]:
    """The lines of a file, or of standard input for ``-``, each with its ``file:line``.

    A line comes as soon as it is there. Lines end with LF or CRLF, which are left out; so is a
    byte-order mark. A line that is not UTF-8 is left out when ``wrong``, which is given the error,
    returns.

    Raises:
        CharseqError: the file cannot be read, or ``wrong`` raises it.
    """
    from charseq.text.read import expand

    if source == STANDARD_INPUT:
        yield from _decoded(sys.stdin.buffer, "standard input", wrong)
        return
    try:
        with expand(source).open("rb") as file:
            yield from _decoded(file, escape(source), wrong)
    except FileNotFoundError:
        raise CharseqError(f"{source}: there is no such file") from None
    except IsADirectoryError:
        raise CharseqError(f"{source}: is a folder; name a file in it") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CharseqError(f"{source}: cannot be read: {reason}") from None


def _decoded(file: BinaryIO, name: str, wrong: Wrong) -> Iterator[tuple[str, str]]:
    from charseq.text.read import BYTE_ORDER_MARK

    for number, data in enumerate(file, 1):
        where = f"{name}:{number}"
        try:
            line = data.decode("utf-8")
        except UnicodeDecodeError as error:
            advice = "convert it first, with iconv for example"
            if data.startswith(b"\x1f\x8b"):
                advice = "it begins as a gzip archive does; unpack it first, with gzip -dc"
            why = f"byte 0x{data[error.start]:02x} is not UTF-8 ({error.reason}); {advice}"
            wrong(CharseqError(f"{where}: {why}"))
            continue
        if number == 1:
            line = line.removeprefix(BYTE_ORDER_MARK)
        yield where, line.removesuffix("\n").removesuffix("\r")


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
    temporary = path if direct else path.with_name(f".{path.name}.tmp")
    try:
        if path.is_dir():
            raise CharseqError(f"{name}: is a folder; name a file in it")
        with temporary.open("wb") as file:
            yield file
        if not direct:
            temporary.replace(path)
    except BrokenPipeError:  # a reader that has enough
        raise
    except OSError as error:
        raise CharseqError(f"{name}: cannot be written: {error.strerror}") from None
    finally:
        if not direct:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


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
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    plain = all(line.isprintable() for line in text.split("\n"))
    return text if plain else json.dumps(value, indent=indent)


def print_json(value: object) -> None:
    """On standard output, UTF-8 in any locale."""
    typer.echo(json_text(value).encode())


def refuse_options(given: Mapping[str, object], why: str) -> None:
    """Refuse the first option that is there (neither None, False nor empty).

    Raises:
        CharseqError: ``--beam: why``.
    """
    for name, value in given.items():
        if value is not None and value is not False and value != []:
            raise CharseqError(f"{name}: {why}")


def show_note(text: str, kind: Literal["note", "warning"] = "note") -> None:
    """On standard error, yellow on a terminal; a hostile text cannot send it control characters."""
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True).print(Text(f"{kind}: {escape(text)}", style="yellow"), soft_wrap=True)


@contextmanager
def progress_bar(what: str, *, shown: bool) -> Iterator[Told]:
    """A bar on standard error that goes when it is done: tell it how much is, of how much.

    Where standard error is no terminal, nothing is drawn.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not shown or not console.is_terminal:
        yield lambda _, __: None
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        TextColumn("{task.description}"), *columns, console=console, transient=True
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def quiet_interrupt() -> Iterator[None]:
    """Ctrl-C ends the command without a word, with the exit code that shells expect."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None

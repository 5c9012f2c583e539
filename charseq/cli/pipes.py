"""Text into a command and out of it: files, standard input, control characters, Ctrl-C."""

import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Final

import typer

from charseq.errors import CharseqError

if TYPE_CHECKING:
    from charseq.config import Config

STANDARD_INPUT = "-"
INTERRUPTED = 130  # what a shell reports for a command that Ctrl-C ended


class UnknownPolicy(Enum):
    """What to do with a character that the model does not know, as an option of a command."""

    ERROR: Final = "error"
    SKIP: Final = "skip"
    REPLACE: Final = "replace"


def read_text(source: str, config: "Config") -> str:
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


@contextmanager
def quiet_interrupt() -> Iterator[None]:
    """Ctrl-C ends the command without a word, with the exit code that shells expect."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None

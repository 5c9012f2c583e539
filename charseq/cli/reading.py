"""Text into a command: a file, or standard input."""

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from charseq.errors import CharseqError
from charseq.text.characters import escape

if TYPE_CHECKING:
    from charseq.config.schema import LMConfig

Wrong: TypeAlias = Callable[[CharseqError], object]

STANDARD_INPUT = "-"
CONVERT = "convert it first, with iconv for example"


def read_text(source: str, config: "LMConfig") -> str:
    """A whole text from a file, or from standard input for ``-``, read as the training text was.

    Raises:
        CharseqError: the file cannot be read, or the text is not UTF-8.
    """
    from charseq.text.read import BYTE_ORDER_MARK, expand, read_chunks
    from charseq.text.utf8 import not_utf8

    errors, newlines = config.data.errors, config.data.newlines
    if source != STANDARD_INPUT:
        return "".join(read_chunks(expand(source), errors=errors, newlines=newlines))
    data = sys.stdin.buffer.read()
    try:
        text = data.decode("utf-8", "strict" if errors == "raise" else "replace")
    except UnicodeDecodeError as error:
        raise not_utf8("standard input", error, CONVERT) from None
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
    from charseq.text.utf8 import not_utf8

    begins_at = 0
    for number, data in enumerate(file, 1):
        where = f"{name}:{number}"
        try:
            line = data.decode("utf-8")
        except UnicodeDecodeError as error:
            wrong(not_utf8(where, error, CONVERT, begins_at))
            continue
        finally:
            begins_at += len(data)
        if number == 1:
            line = line.removeprefix(BYTE_ORDER_MARK)
        yield where, line.removesuffix("\n").removesuffix("\r")

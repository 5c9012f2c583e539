"""A text file as decoded chunks, so that a text larger than memory can be read.

A byte-order mark at the start is dropped. No chunk ends between the CR and the LF of a line ending.
"""

import codecs
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import chain, islice
from pathlib import Path
from typing import Literal, TypeVar

from charseq.errors import CharseqError
from charseq.text.characters import escape
from charseq.text.utf8 import not_utf8, refuse_zeros

Errors = Literal["raise", "replace"]
Newlines = Literal["keep", "unix"]
Item = TypeVar("Item")

CHUNK_BYTES = 1 << 19  # small enough that what is made of a chunk stays in the processor's caches
LOOKED_AT = 8 << 20  # bytes of a text that nobody waits for
BYTE_ORDER_MARK = "\ufeff"


def expand(name: str) -> Path:
    """The path that a user means by ``name``: ``~`` is the home folder, ``./~`` a file."""
    if not name.startswith("~"):  # a Path forgets the ./
        return Path(name)
    try:
        return Path(name).expanduser()
    except RuntimeError:  # ~name, and there is no such user: a file may be called so
        return Path(name)


def read_chunks(
    path: Path,
    *,
    errors: Errors = "raise",
    newlines: Newlines = "keep",
    observe: Callable[[bytes], object] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> Iterator[str]:
    """Decode the UTF-8 file ``path`` half a megabyte at a time; no chunk is empty.

    Args:
        errors: what to do with bytes that are not UTF-8: refuse them, or read them as U+FFFD, one
            for each longest run that could have begun a character (what the Unicode standard
            recommends and ``bytes.decode`` does).
        newlines: ``unix`` turns CRLF and a lone CR into LF.
        observe: is called with the raw bytes as they are read, such as a digest's ``update``: in
            order, in a thread of its own beside the work on the text; it has seen all of them when
            the iteration ends.

    Raises:
        CharseqError: the file is missing, is no regular file, cannot be read, holds no character,
            or is not UTF-8 (with line, byte offset and the byte).
    """
    held, at_start, empty = "", True, True
    for piece in _decoded(path, errors, observe, chunk_bytes):
        text = held + piece
        held = ""
        if at_start and text:
            text = text.removeprefix(BYTE_ORDER_MARK)
            at_start = False
        if text.endswith("\r"):  # the next chunk may begin with its LF
            text, held = text[:-1], "\r"
        if text:
            empty = False
            yield _convert(text, newlines)
    if held:
        yield _convert(held, newlines)
    elif empty:
        raise CharseqError(f"{_name(path)}: the file is empty")


def beside(items: Iterable[Item], work: Callable[[Item], object]) -> Iterator[Item]:
    """The same items; a thread works on each while the reader does, and is done when they end.

    Hashing, writing and numpy let go of Python's lock: a text is hashed while it is encoded.
    """
    thread = ThreadPoolExecutor(1)
    working: Future[object] | None = None
    try:
        for item in items:
            if working is not None:
                working.result()  # raises what it raised; no more than one item waits
            working = thread.submit(work, item)
            yield item
        if working is not None:
            working.result()
    except Exception:
        if working is not None:
            wait([working])
        raise
    finally:
        # Whoever gives up on the items is not made to wait: it may be the garbage collector, in a
        # thread that is just beginning, and that has the lock which joining another needs.
        thread.shutdown(wait=False)


def read_beginning(path: Path, errors: Errors = "raise") -> None:
    """Read the beginning of a text, to say soon what is wrong with it. Raises as ``read_chunks``.

    Args:
        errors: as in ``read_chunks``.
    """
    for _ in islice(read_chunks(path, errors=errors), LOOKED_AT // CHUNK_BYTES):
        pass


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes, in hex. Raises CharseqError when the file cannot be read."""
    digest = hashlib.sha256()
    for data in _raw(path, CHUNK_BYTES):
        digest.update(data)
    return digest.hexdigest()


def file_bytes(path: Path) -> bytes:
    """All bytes of a file. Raises CharseqError when it cannot be read."""
    return b"".join(_raw(path, CHUNK_BYTES))


def changed(path: Path) -> CharseqError:
    """The error for a file that is not what it was a moment ago."""
    return CharseqError(
        f"{_name(path)}: changed while it was read; start again when nothing writes to it"
    )


def _convert(text: str, newlines: Newlines) -> str:
    if newlines == "keep" or "\r" not in text:  # one character is found much faster than two
        return text
    return text.replace("\r\n", "\n").replace("\r", "\n")


_CONVERT_OR_REPLACE = (
    "convert the file to UTF-8, or set `data.errors: replace` to read such bytes as U+FFFD"
)


def _decoded(
    path: Path, errors: Errors, observe: Callable[[bytes], object] | None, chunk_bytes: int
) -> Iterator[str]:
    """Decode incrementally: the bytes of a character cut in two wait for the next chunk."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict" if errors == "raise" else "replace")
    offset = 0
    chunks = _raw(path, chunk_bytes)
    for data in chain(chunks if observe is None else beside(chunks, observe), [b""]):
        if offset == 0 and errors == "raise":
            refuse_zeros(_name(path), data)
        waiting = len(decoder.getstate()[0])
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            begins_at = offset - waiting
            where = f"{_name(path)}:{_line(path, begins_at + error.start)}"
            raise not_utf8(where, error, _CONVERT_OR_REPLACE, begins_at) from None
        offset += len(data)
        yield text


def _line(path: Path, offset: int) -> int:
    """The line, counted from 1, of a byte. The file is read again: counting on the way is slow."""
    lines = 1
    for data in _raw(path, CHUNK_BYTES):
        lines += data[:offset].count(b"\n")
        offset -= len(data)
        if offset <= 0:
            break
    return lines


def _raw(path: Path, chunk_bytes: int) -> Iterator[bytes]:
    """The bytes of a regular file; a FIFO or a device is refused, as a text is read twice."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise CharseqError(f"{_name(path)}: there is no such file{_below(path)}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _unreadable(path, error) from None
    _check_regular(path, mode)
    total = 0
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            before = os.fstat(file.fileno())
            _check_regular(path, before.st_mode)  # another may have taken its place
            while data := file.read(chunk_bytes):
                total += len(data)
                # What grows as fast as it is read would never end.
                if total > before.st_size != os.fstat(file.fileno()).st_size:
                    raise changed(path)
                yield data
    except OSError as error:
        raise _unreadable(path, error) from None


def _below(path: Path) -> str:
    """Where a relative path was looked for: its reader may think of another folder."""
    try:
        return "" if path.is_absolute() else f" in {escape(os.getcwd())}"  # noqa: PTH109  no Path
    except OSError:  # that has been removed
        return ""


def _check_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise CharseqError(f"{_name(path)}: is a folder; name a text file in it")
    if not stat.S_ISREG(mode):
        raise CharseqError(f"{_name(path)}: is not a regular file; save the text to a file first")


def _open_at_once(name: str, flags: int) -> int:
    """A pipe that has just taken the place of a file would otherwise wait for a writer."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def _unreadable(path: Path, error: OSError | ValueError) -> CharseqError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return CharseqError(f"{_name(path)}: cannot be read: {reason}")


def _name(path: Path) -> str:
    return escape(str(path))

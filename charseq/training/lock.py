"""Who works in a folder: one process at a time, by a lock of the operating system. No torch."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from charseq.errors import CharseqError

LOCK, HOLDER = ".lock", ".pid"
PATIENCE = 0.5  # seconds


@contextmanager
def hold(path: Path, *, doing: str, instead: str) -> Iterator[None]:
    """Hold a folder, which is made where it does not exist, and write in it who does.

    ``doing`` and ``instead`` are for the message: what is done there, and what else can be.

    Raises:
        CharseqError: another process holds it, or it cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        # flock, not a file that is there or not: a killed process leaves no lock behind. Whoever
        # looks whether it is held has it for a moment.
        lock = FileLock(path / LOCK, timeout=PATIENCE, poll_interval=PATIENCE / 50)
        lock.acquire()
    except Timeout:
        raise CharseqError(
            f"{path}: {_holder(path)} {doing} in this folder; wait for it, stop it, or {instead}"
        ) from None
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        try:
            _note_holder(path)
        except OSError as error:
            raise _unwritable(path, error) from None
        yield
    finally:
        with suppress(OSError):  # a disk that has become read-only
            (path / HOLDER).unlink(missing_ok=True)
        lock.release()


def is_held(path: Path) -> bool:
    """Whether somebody works there now.

    Only where a holder left its number is the lock tried: to try it is to hold it for a moment, for
    which a training that begins would have to wait.
    """
    if not (path / HOLDER).exists():
        return False
    try:
        with (path / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _unwritable(path: Path, error: OSError) -> CharseqError:
    return CharseqError(f"{path}: cannot be written: {error.strerror}")


def _note_holder(path: Path) -> None:
    """For the message to whoever tries next."""
    note = path / HOLDER
    note.unlink(missing_ok=True)  # in a folder from a stranger it may link to anything
    with note.open("x") as file:
        file.write(str(os.getpid()))


def _holder(path: Path) -> str:
    try:
        return f"process {int((path / HOLDER).read_text())}"
    except (OSError, ValueError):
        return "another process"

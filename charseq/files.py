"""Files written whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of ``path`` when the block ends without an exception.

    A reader sees the old file or the whole new one, also after a power cut; it may be read and
    written by whom the old one could. One writer at a time:
    the temporary file beside it has a fixed name, so that writers that were killed leave one.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)  # in a folder from a stranger it may link to anything
        with temporary.open("xb") as file:
            with suppress(FileNotFoundError):
                shutil.copymode(path, temporary)
            yield file
            to_disk(file)
        temporary.replace(path)
    finally:  # Ctrl-C too leaves nothing behind
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def to_disk(file: BinaryIO) -> None:
    """What was written, past every buffer."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Bring to the disk which names a folder holds."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

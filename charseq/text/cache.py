"""The user's cache folder, and writing into it: whole or not at all, one process at a time.

Everything in the folder can be made again; deleting it is always safe.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Event
from typing import BinaryIO

import platformdirs

from charseq.files import replacing
from charseq.text.read import expand

SYNC_SECONDS = 0.05  # between two times that a growing file is brought to the disk


def cache_folder() -> Path:
    """``$CHARSEQ_CACHE_DIR``, else the place for caches of this system. It may not exist yet."""
    if chosen := os.environ.get("CHARSEQ_CACHE_DIR"):
        return expand(chosen)
    return platformdirs.user_cache_path("charseq", appauthor=False)


def locked(path: Path) -> AbstractContextManager[object]:
    """Hold the lock of a file of the cache; waits while another process does. Makes its folder.

    Raises:
        OSError: the folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    from filelock import FileLock  # a command that locks nothing starts without it

    return FileLock(f"{path}.lock")


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """``replacing``, for a large file: a thread brings to the disk what is written.

    So little is left for the end. Only the holder of ``locked(path)`` may call it.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    with replacing(path) as file, _to_disk_early(file):
        yield file


@contextmanager
def _to_disk_early(file: BinaryIO) -> Iterator[None]:
    done = Event()

    def sync() -> None:
        while not done.wait(SYNC_SECONDS):
            os.fsync(file.fileno())

    with ThreadPoolExecutor(1) as thread:
        try:
            syncing = thread.submit(sync)
            yield
        finally:
            done.set()
        syncing.result()  # an error of the disk is told once: the last fsync may not hear of it

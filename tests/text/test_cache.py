"""A file of the cache is there whole or not at all, and one process at a time writes it."""

import errno
import os
from pathlib import Path
from threading import Event

import pytest
from filelock import FileLock, Timeout

from charseq.text import cache
from charseq.text.cache import atomic_write, cache_folder, locked


def test_the_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", "~/mine")
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", "")
    assert cache_folder().name == "charseq"


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    path.write_text("old")

    def interrupted() -> None:
        with atomic_write(path) as file:
            file.write(b"half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"ids": "old"}
    with atomic_write(path) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"ids": "new"}


def test_an_error_of_the_disk_that_is_told_once_while_writing_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Event()

    def fail_once(_: int) -> None:
        if not told.is_set():
            told.set()
            raise OSError(errno.EIO, "the disk is broken")

    def write() -> None:
        with atomic_write(tmp_path / "ids") as file:
            file.write(b"ids")
            assert told.wait(50)

    (tmp_path / "ids").write_text("old")
    monkeypatch.setattr(os, "fsync", fail_once)
    monkeypatch.setattr(cache, "SYNC_SECONDS", 0.001)
    with pytest.raises(OSError, match="the disk is broken"):
        write()
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"ids": "old"}


def test_the_lock_keeps_others_out_and_makes_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "ids"
    another_process = FileLock(f"{path}.lock", timeout=0)
    with locked(path), pytest.raises(Timeout):
        another_process.acquire()
    another_process.acquire()
    another_process.release()

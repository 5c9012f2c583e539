"""A file of the cache is there whole or not at all, and one process at a time writes it."""

from pathlib import Path

import pytest
from filelock import FileLock, Timeout

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


def test_the_lock_keeps_others_out_and_makes_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "ids"
    another_process = FileLock(f"{path}.lock", timeout=0)
    with locked(path), pytest.raises(Timeout):
        another_process.acquire()
    another_process.acquire()
    another_process.release()

"""Named text sets are found in the cache or a mirror, verified, and downloaded only on demand."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from charseq.errors import CharseqError
from charseq.text import datasets
from charseq.text.datasets import (
    DATASETS,
    Dataset,
    cached_path,
    dataset_path,
    find_dataset,
    get_dataset,
    source_path,
)
from charseq.text.download import Download

CONTENT = b"To be, or not to be"
PLAY = Dataset(
    name="play",
    description="a line of a play",
    licence="public domain",
    download=Download(
        url="https://invalid.example/plays/input.txt",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    ),
)


@pytest.fixture(autouse=True)
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("CHARSEQ_DATA_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setattr(datasets, "DATASETS", (PLAY,))
    monkeypatch.setattr(datasets, "download", no_network)
    (tmp_path / "mirror").mkdir()
    return tmp_path / "mirror"


def test_what_is_not_here_is_not_downloaded_by_surprise() -> None:
    with pytest.raises(CharseqError, match="`charseq data get play` downloads it"):
        source_path("dataset:play")


def test_without_a_mirror_the_url_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHARSEQ_DATA_MIRROR")
    with pytest.raises(AssertionError, match="the network was used"):
        get_dataset("play")


@pytest.mark.parametrize("place", ["input.txt", "play/input.txt"])
def test_a_mirror_serves_at_once_and_get_keeps_a_copy(
    mirror: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mirror / place).parent.mkdir(exist_ok=True)
    (mirror / place).write_bytes(CONTENT)
    assert source_path("dataset:play") == mirror / place
    assert cached_path(PLAY) is None
    got = get_dataset("play")
    monkeypatch.delenv("CHARSEQ_DATA_MIRROR")
    assert got == dataset_path("play") == cached_path(PLAY) == get_dataset("play")
    assert got.read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[::-1], CONTENT + b"x"], ids=["sum", "size"])
def test_a_wrong_file_in_the_mirror_is_named(mirror: Path, content: bytes) -> None:
    (mirror / "input.txt").write_bytes(content)
    for use in (dataset_path, get_dataset):
        with pytest.raises(CharseqError, match=r"input\.txt: this is not the file of dataset:play"):
            use("play")


def test_two_at_once_do_one_download(monkeypatch: pytest.MonkeyPatch) -> None:
    both_begin = threading.Barrier(2)
    downloads = []

    def fetch(source: Download, target: Path, **_: object) -> None:
        downloads.append(source.url)
        target.write_bytes(CONTENT)

    def get() -> Path:
        both_begin.wait(timeout=10)
        return get_dataset("play")

    monkeypatch.setattr(datasets, "download", fetch)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.submit(get), threads.submit(get)
        assert first.result() == second.result()
    assert len(downloads) == 1


def test_a_damaged_cached_file_is_fetched_again(mirror: Path) -> None:
    (mirror / "input.txt").write_bytes(CONTENT)
    path = get_dataset("play")
    path.write_bytes(b"damaged")
    assert cached_path(PLAY) is None
    assert get_dataset("play").read_bytes() == CONTENT


def test_a_cache_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(datasets, "DATASETS", DATASETS)
    for name in ("tinyshakespeare", "stdlib"):
        with pytest.raises(CharseqError, match=r"cannot be written: .*set CHARSEQ_CACHE_DIR"):
            get_dataset(name)


def test_a_name_that_is_nearly_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "DATASETS", DATASETS)
    assert find_dataset("stdlib").name == "stdlib"
    with pytest.raises(CharseqError, match=r"dataset:tinyshakespear: .*mean tinyshakespeare\?"):
        source_path("dataset:tinyshakespear")
    with pytest.raises(CharseqError, match=r"\\x1bfoo: .*there are tinyshakespeare, stdlib"):
        find_dataset("\x1bfoo")


def test_a_source_that_is_no_dataset_is_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert source_path("book.txt") == Path("book.txt")
    assert source_path("~/book.txt") == Path("/home/me/book.txt")
    assert source_path("~no such user/x") == Path("~no such user/x")

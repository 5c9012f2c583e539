"""Named text sets are found in the cache or a mirror, verified, and downloaded only on demand."""

import hashlib
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from charseq.errors import CharseqError
from charseq.progress import Progress
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
    files=(
        Download(
            url="https://invalid.example/plays/input.txt",
            size=len(CONTENT),
            sha256=hashlib.sha256(CONTENT).hexdigest(),
        ),
    ),
)
WORDS = {"a_train.tsv": b"a\tA\n", "a_test.tsv": b"aa\tA A\n", "b_train.tsv": b"b\tB\n"}
LEXICON = Dataset(
    name="lexicon",
    description="three files",
    licence="public domain",
    files=tuple(
        Download(
            url=f"https://invalid.example/{name[0]}/{name}",
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        for name, content in WORDS.items()
    ),
)


@pytest.fixture(autouse=True)
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("CHARSEQ_DATA_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setattr(datasets, "DATASETS", (PLAY, LEXICON))
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
    [got] = get_dataset("play")
    monkeypatch.delenv("CHARSEQ_DATA_MIRROR")
    assert got == dataset_path("play") == cached_path(PLAY)
    assert get_dataset("play") == get_dataset("play/input.txt") == [got]
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
        return get_dataset("play")[0]

    monkeypatch.setattr(datasets, "download", fetch)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.submit(get), threads.submit(get)
        assert first.result() == second.result()
    assert len(downloads) == 1


def test_a_damaged_cached_file_is_fetched_again(mirror: Path) -> None:
    (mirror / "input.txt").write_bytes(CONTENT)
    [path] = get_dataset("play")
    path.write_bytes(b"damaged")
    assert cached_path(PLAY) is None
    assert get_dataset("play")[0].read_bytes() == CONTENT


@pytest.mark.parametrize("place", ["", "lexicon"])
def test_a_set_of_several_files(mirror: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (mirror / place).mkdir(exist_ok=True)
    for name, content in WORDS.items():
        (mirror / place / name).write_bytes(content)
    assert source_path("dataset:lexicon/a_test.tsv") == mirror / place / "a_test.tsv"
    seen: list[tuple[int, int]] = []
    paths = get_dataset("lexicon", progress=lambda *here: seen.append(here))
    monkeypatch.delenv("CHARSEQ_DATA_MIRROR")
    assert {path.name: path.read_bytes() for path in paths} == WORDS
    assert len({path.parent for path in paths}) == 1
    assert [source_path(f"dataset:lexicon/{name}") for name in WORDS] == paths
    assert seen == [(4, 15), (11, 15), (15, 15)]


def test_one_file_of_several_can_be_fetched_alone(mirror: Path) -> None:
    (mirror / "b_train.tsv").write_bytes(WORDS["b_train.tsv"])
    [path] = get_dataset("lexicon/b_train.tsv")
    assert path.read_bytes() == WORDS["b_train.tsv"]
    assert [cached_path(LEXICON, file) for file in LEXICON.files] == [None, None, path]
    with pytest.raises(
        CharseqError, match=r"lexicon/a_test\.tsv: .*`charseq data get lexicon` down"
    ):
        source_path("dataset:lexicon/a_test.tsv")


def test_the_files_before_a_broken_one_stay_and_progress_is_of_all(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mirror / "a_train.tsv").write_bytes(WORDS["a_train.tsv"])
    seen: list[tuple[int, int]] = []

    def broken(source: Download, target: Path, *, progress: Progress, wait: object) -> None:
        progress(2, source.size)
        raise CharseqError(f"{source.url}: broken")

    monkeypatch.setattr(datasets, "download", broken)
    with pytest.raises(CharseqError, match=r"invalid\.example/a/a_test\.tsv: broken"):
        get_dataset("lexicon", progress=lambda *here: seen.append(here))
    assert seen == [(4, 15), (6, 15)]
    assert [bool(cached_path(LEXICON, file)) for file in LEXICON.files] == [True, False, False]


def test_a_set_of_several_files_is_no_file() -> None:
    with pytest.raises(CharseqError, match=r"has 3 files; .* dataset:lexicon/a_train\.tsv"):
        source_path("dataset:lexicon")


def test_a_file_name_that_is_nearly_right(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CharseqError, match=r"no file of that name; did you mean a_train\.tsv\?"):
        source_path("dataset:lexicon/a_trian.tsv")
    for wrong in ("", "\x1b", "/etc/passwd"):
        with pytest.raises(
            CharseqError, match=r"there are a_train\.tsv, a_test\.tsv, b_train\.tsv"
        ):
            get_dataset(f"lexicon/{wrong}")
    monkeypatch.setattr(datasets, "DATASETS", DATASETS)
    with pytest.raises(CharseqError, match="no file of that name; name dataset:stdlib alone"):
        source_path("dataset:stdlib/os.py")


def test_what_can_be_fetched_names_each_file_once() -> None:
    assert {dataset.name: len(dataset.files) for dataset in DATASETS} == {
        "tinyshakespeare": 1,
        "stdlib": 0,
        "sigmorphon2021_g2p": 15,
        "cmudict_g2p": 3,
    }
    for dataset in DATASETS:
        assert len({file.filename for file in dataset.files}) == len(dataset.files)
        assert len({file.sha256 for file in dataset.files}) == len(dataset.files)
        for file in dataset.files:
            assert re.fullmatch(r"https://\S+/[\w.]+", file.url)
            assert re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert file.size > 0


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

"""A text that changes while it is read: refused in plain words, or read as it was."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from charseq.config.schema.lm import TextDataConfig
from charseq.config.schema.seq2seq import PairDataConfig
from charseq.errors import CharseqError
from charseq.text import encode, read
from charseq.text.corpus import load_corpus
from charseq.text.pairs import load_pairs
from charseq.text.read import CHUNK_BYTES, read_chunks

GOOD = "the cat sat on the mat. " * 50
OTHER = "a hot day, a cold night; " * 50
CHANGED = "changed while it was read; start again when nothing writes to it"

Change = Callable[[Path], object]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "encoded"


def by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


CHANGES: dict[str, tuple[Change, str]] = {
    "grown": (lambda path: path.write_text(GOOD + "the mat"), CHANGED),
    "grown by what is new": (lambda path: path.write_text(GOOD + "DOGS"), CHANGED),
    "cut": (lambda path: path.write_text(GOOD[:-1]), CHANGED),
    "rewritten": (lambda path: path.write_text(GOOD[::-1]), CHANGED),
    "another": (lambda path: path.write_text(OTHER), CHANGED),
    "emptied": (lambda path: path.write_text(""), "the file is empty"),
    "no text any more": (lambda path: path.write_bytes(b"\xff"), "not UTF-8"),
    "removed": (Path.unlink, "there is no such file"),
    "replaced by a pipe": (by_pipe, "is not a regular file"),
    "replaced by a folder": (by_folder, "is a folder"),
}


@pytest.mark.parametrize("vocabulary", ["char", "byte"])
@pytest.mark.parametrize("kind", CHANGES)
def test_a_text_that_changes_between_two_passes_is_refused(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, kind: str, vocabulary: str
) -> None:
    """The first counts the characters, the second encodes them."""
    change, why = CHANGES[kind]
    path = tmp_path / "text.txt"
    path.write_text(GOOD)
    write = encode._write_ids

    def changed_before(*arguments: object) -> int:
        change(path)
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(encode, "_write_ids", changed_before)
    data = TextDataConfig.model_validate({"text": str(path), "vocabulary": vocabulary})
    with pytest.raises(CharseqError) as caught:
        load_corpus(data)
    if kind == "no text any more" and vocabulary == "byte":
        why = "not UTF-8"
    assert str(path) in str(caught.value)
    assert why in str(caught.value)
    assert [file.suffix for file in cache.iterdir()] == [".lock"]  # no ids, no half of them


def test_a_stranger_that_is_gone_again_is_a_change_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third pass, which looks for the place of an unknown character, finds none."""
    path = tmp_path / "text.txt"
    path.write_text(GOOD)
    passes = iter([OTHER, GOOD])

    def changing(*arguments: object, **options: object) -> object:
        path.write_text(next(passes))
        return read_chunks(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("charseq.text.encode.read_chunks", changing)
    with pytest.raises(CharseqError, match=CHANGED):
        load_corpus(TextDataConfig(text=str(path)))


def test_what_grows_as_fast_as_it_is_read_is_not_read_forever(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("a" * 3 * CHUNK_BYTES)
    sizes = []

    def read_and_write() -> None:
        with path.open("a") as file:
            for chunk in read_chunks(path):
                sizes.append(file.write(chunk))
                file.flush()
                assert len(sizes) < 20

    with pytest.raises(CharseqError, match=CHANGED):
        read_and_write()
    assert sizes == [CHUNK_BYTES] * 3


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the look at what it is: nobody writes into it, and to open it would wait."""
    path = tmp_path / "text.txt"
    path.write_text(GOOD)
    opened = read._open_at_once

    def replaced(name: str, flags: int) -> int:
        by_pipe(path)
        return opened(name, flags)

    monkeypatch.setattr(read, "_open_at_once", replaced)
    with pytest.raises(CharseqError, match="is not a regular file"):
        list(read_chunks(path))


@pytest.mark.parametrize("task", ["lm", "seq2seq"])
def test_ids_are_those_of_one_of_the_texts_that_take_turns(tmp_path: Path, task: str) -> None:
    """A thread puts one or the other in place, again and again, while it is read many times."""
    rows = {"abc": "\n".join(f"a{n:b}\t{n}" for n in range(300)), "xyz": "xz\ty\n" * 300}
    texts = [GOOD, OTHER] if task == "lm" else list(rows.values())
    path, over = tmp_path / "text.txt", threading.Event()
    path.write_text(texts[0])

    def take_turns() -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            (tmp_path / "new.txt").write_text(texts[turn % 2])
            (tmp_path / "new.txt").replace(path)

    def text_read() -> str:
        if task == "lm":
            data = TextDataConfig.model_validate({"text": str(path), "split": [1.0, 0.0, 0.0]})
            corpus = load_corpus(data)
            return corpus.vocab.decode(corpus.train)
        pairs = PairDataConfig.model_validate(
            {"train": str(path), "split": [1.0, 0.0, 0.0], "errors": "skip"}
        )
        return "\n".join(
            f"{one.source}\t{one.targets[0]}" for one in load_pairs(pairs).train.examples
        )

    wanted = {GOOD, OTHER} if task == "lm" else {rows["abc"], "xz\ty"}
    found, refusals = set(), []
    thread = threading.Thread(target=take_turns)
    thread.start()
    try:
        for _ in range(60):
            try:
                found.add(text_read())
            except CharseqError as error:
                refusals.append(str(error))
    finally:
        over.set()
        thread.join()
    assert found == wanted
    assert all(CHANGED in why for why in refusals)
    assert task == "lm" or not refusals  # pairs are read in one pass; of two, luck decides

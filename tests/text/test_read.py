"""A text read in chunks is the text read whole, and a file that is no text is refused by name."""

import hashlib
import os
import re
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import CharseqError
from charseq.text import read
from charseq.text.read import beside, file_sha256, read_chunks

# Characters of one to four bytes, line endings, NUL and byte-order marks, beside each other.
TEXTS = st.text(st.sampled_from("ab\r\n\0é€😀\ufeff\u2028"), min_size=1, max_size=30)
BYTES = st.lists(
    st.sampled_from([b"a", b"\r", b"\n", "é".encode(), "😀".encode(), b"\xff", b"\xe2", b"\x82"]),
    min_size=1,
    max_size=12,
).map(b"".join)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("read") / "text.txt"


@given(text=TEXTS, chunk_bytes=st.integers(1, 7), newlines=st.sampled_from(["keep", "unix"]))
def test_small_chunks_give_the_text_as_it_is_read_whole(
    scratch: Path, text: str, chunk_bytes: int, newlines: Literal["keep", "unix"]
) -> None:
    scratch.write_bytes(text.encode())
    expected = text[1:] if text[0] == "\ufeff" else text
    if newlines == "unix":
        expected = re.sub("\r\n?", "\n", expected)
    if not expected:
        return
    chunks = list(read_chunks(scratch, newlines=newlines, chunk_bytes=chunk_bytes))
    assert "".join(chunks) == expected
    assert all(chunks), "an empty chunk"
    for left, right in pairwise(chunks):
        assert not (left.endswith("\r") and right.startswith("\n")), "a CRLF was cut in two"


@given(data=BYTES, chunk_bytes=st.integers(1, 7))
def test_bytes_that_are_not_utf8_are_replaced_as_in_a_whole_decode(
    scratch: Path, data: bytes, chunk_bytes: int
) -> None:
    scratch.write_bytes(data)
    chunks = read_chunks(scratch, errors="replace", chunk_bytes=chunk_bytes)
    assert "".join(chunks) == data.decode(errors="replace")


@given(data=BYTES, chunk_bytes=st.integers(1, 7))
def test_the_first_bad_byte_is_named_with_its_place(
    scratch: Path, data: bytes, chunk_bytes: int
) -> None:
    scratch.write_bytes(data)
    try:
        expected = data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        place = f"{scratch}:{line}: byte 0x{data[error.start]:02x} at byte offset {error.start} "
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(read, "CHUNK_BYTES", chunk_bytes)  # in which the lines are counted
            with pytest.raises(CharseqError, match=r"`data\.errors: replace`") as caught:
                list(read_chunks(scratch, chunk_bytes=chunk_bytes))
        assert str(caught.value).startswith(place)
    else:
        assert "".join(read_chunks(scratch, chunk_bytes=chunk_bytes)) == expected


def test_a_utf16_file_gets_the_command_that_converts_it(tmp_path: Path) -> None:
    path = tmp_path / "windows.txt"
    path.write_bytes("hello".encode("utf-16"))
    with pytest.raises(CharseqError, match="iconv -f UTF-16 -t UTF-8"):
        list(read_chunks(path))


def test_the_raw_bytes_can_be_hashed_in_the_same_pass(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo")
    digest = hashlib.sha256()
    chunks = read_chunks(path, newlines="unix", observe=digest.update, chunk_bytes=2)
    assert "".join(chunks) == "one\ntwo"
    assert digest.hexdigest() == file_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("bad", [b"0", b"5", b"9"])
def test_what_the_observer_raises_is_raised(tmp_path: Path, bad: bytes) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"0123456789")

    def refuse(data: bytes) -> None:
        if bad in data:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(read_chunks(path, observe=refuse, chunk_bytes=3))


def test_a_text_that_is_left_in_the_middle_leaves_no_thread(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"some text\xff")
    before = set(threading.enumerate())  # one of another test may end meanwhile
    seen: list[bytes] = []
    chunks = read_chunks(path, observe=seen.append, chunk_bytes=2)
    assert next(chunks) == "so"
    del chunks
    with pytest.raises(CharseqError):
        list(read_chunks(path, observe=seen.append))
    deadline = time.monotonic() + 30
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)  # it is told to end, and nobody waits for it
    assert not set(threading.enumerate()) - before
    assert seen == [b"so", b"some text\xff"]


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"], ids=["no byte", "only a mark"])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "empty.txt"
    path.write_bytes(content)
    with pytest.raises(CharseqError, match=r"empty\.txt: the file is empty"):
        list(read_chunks(path))


def test_what_is_no_readable_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, why in {
        tmp_path / "absent": "there is no such file",
        tmp_path: "is a folder",
        pipe: "is not a regular file",
        tmp_path / "a\0b": r"a\\x00b: cannot be read",
        tmp_path / ("n" * 300): "cannot be read: File name too long",
    }.items():
        with pytest.raises(CharseqError, match=why):
            list(read_chunks(path))

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    secret = tmp_path / "secret"
    secret.write_text("x")
    monkeypatch.setattr("charseq.text.read._open_at_once", refuse)
    with pytest.raises(CharseqError, match="secret: cannot be read: Permission denied"):
        list(read_chunks(secret))


def test_giving_up_on_the_items_does_not_wait_for_the_work() -> None:
    """It would for ever, where the garbage collector gives up in a thread that is beginning."""
    finished = threading.Event()
    items = beside(iter("abc"), lambda _: finished.wait(60))
    assert next(items) == "a"
    giving_up = threading.Thread(target=items.close)  # type: ignore[attr-defined]
    giving_up.start()
    giving_up.join(30)
    assert not giving_up.is_alive()
    finished.set()


@pytest.mark.parametrize("broken", ["items", "work"])
def test_an_error_is_raised_once_nothing_is_worked_on_any_more(broken: str) -> None:
    worked: list[str] = []

    def items() -> Iterator[str]:
        yield "a"
        if broken == "items":
            raise ValueError(broken)
        yield "b"

    def work(item: str) -> None:
        time.sleep(0.05)
        worked.append(item)
        if broken == "work":
            raise ValueError(broken)

    with pytest.raises(ValueError, match=broken):
        list(beside(items(), work))
    assert worked == ["a"]


def test_a_file_that_is_not_there_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    with pytest.raises(CharseqError, match=f"^a.txt: there is no such file in {gone}$"):
        list(read_chunks(Path("a.txt")))
    with pytest.raises(CharseqError, match=r"a.txt: there is no such file$"):
        list(read_chunks(gone / "a.txt"))
    gone.rmdir()
    with pytest.raises(CharseqError, match=r"^a.txt: there is no such file$"):
        list(read_chunks(Path("a.txt")))

"""A file's ids are kept in the cache, rebuilt when damaged, and never those of another text."""

import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import CharseqError
from charseq.text import encode
from charseq.text.encode import encode_file
from charseq.text.read import read_chunks
from charseq.text.vocab import Vocab

TEXT = "one line\r\nand another: é 漢 😀\n"
VOCAB = Vocab.from_counts(Counter(TEXT))

# ASCII in runs, odd and even, beside characters of two, three and four bytes.
PIECES = st.lists(
    st.text("ab\0 \r\n", max_size=5) | st.text("é€漢😀\ufeff\ufffd", max_size=2), max_size=8
).map("".join)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "encoded"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_bytes(TEXT.encode())
    return path


def cached_files(cache: Path) -> list[Path]:
    return sorted(cache.glob("*.npy"))


def one_at_a_time(text: str, vocab: Vocab, unknown: str) -> list[int]:
    """What encoding means: a symbol after the other, by its place in the list."""
    ids = []
    for character in text:
        if character in vocab.symbols:
            ids.append(vocab.symbols.index(character))
        elif unknown == "replace":
            ids.append(0)
    return ids


@given(
    text=PIECES,
    more=st.text("abé漢😀", max_size=4),
    wide=st.sampled_from([0, 300, 70_000]),
    unknown=st.sampled_from(["skip", "replace"]),
    newlines=st.sampled_from(["keep", "unix"]),
    chunk_bytes=st.integers(1, 9),
)
def test_any_text_in_any_chunks_encodes_as_one_character_at_a_time(
    tmp_path_factory: pytest.TempPathFactory,
    text: str,
    more: str,
    wide: int,
    unknown: Literal["skip", "replace"],
    newlines: Literal["keep", "unix"],
    chunk_bytes: int,
) -> None:
    read = text.removeprefix("\ufeff")
    if newlines == "unix":
        read = read.replace("\r\n", "\n").replace("\r", "\n")
    if not read:
        return
    known = {*read[::2], *more, "a", *map(chr, range(0x20000, 0x20000 + wide))}
    vocab = Vocab.from_counts(dict.fromkeys(known, 1), unknown=unknown)
    folder = tmp_path_factory.mktemp("any")
    (folder / "text").write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHARSEQ_CACHE_DIR", str(folder))
        patch.setattr(encode, "read_chunks", partial(read_chunks, chunk_bytes=chunk_bytes))
        ids = encode_file(folder / "text", vocab, newlines=newlines, unknown=unknown)
    assert ids.tolist() == one_at_a_time(read, vocab, unknown)
    assert ids.dtype == vocab.dtype


@pytest.mark.parametrize("chunk_bytes", [1, 5, 1 << 20])
def test_a_file_encodes_as_its_text_does(
    path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    monkeypatch.setattr(encode, "read_chunks", partial(read_chunks, chunk_bytes=chunk_bytes))
    ids = encode_file(path, VOCAB)
    assert ids.tolist() == VOCAB.encode(TEXT).tolist()
    assert isinstance(ids, np.memmap)
    assert not ids.flags.writeable
    assert np.load(cached_files(cache)[0]).tolist() == ids.tolist()


def test_the_second_time_nothing_is_encoded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = encode_file(path, VOCAB)
    monkeypatch.delattr(encode, "_write_ids")
    assert encode_file(path, VOCAB).tolist() == first.tolist()


def test_another_text_vocabulary_or_setting_is_another_file(path: Path, cache: Path) -> None:
    larger = Vocab.from_counts(Counter(TEXT + "!"))
    encode_file(path, VOCAB)
    encode_file(path, larger)
    unix = encode_file(path, VOCAB, newlines="unix")
    assert VOCAB.decode(unix) == TEXT.replace("\r\n", "\n")
    path.write_bytes(TEXT.upper().encode())
    skipped = encode_file(path, VOCAB, unknown="skip")
    assert VOCAB.decode(skipped) == "".join(c for c in TEXT.upper() if c in TEXT)
    assert len(cached_files(cache)) == 4


def test_how_unknown_characters_are_treated_is_part_of_the_name(path: Path) -> None:
    path.write_text("a?a")
    vocab = Vocab.from_counts({"a": 1}, unknown="replace")
    assert encode_file(path, vocab, unknown="skip").tolist() == [1, 1]
    assert encode_file(path, vocab, unknown="replace").tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[:100],
        lambda data: b"",
        lambda data: b"\0" * len(data),
        lambda data: data.replace(b"|u1", b"|i1"),
        lambda data: data.replace(b"|u1", b"|O1"),
        lambda data: b"PK\x03\x04" + data,  # numpy would open an archive
    ],
    ids=["cut", "longer", "no ids", "empty", "zeros", "other dtype", "objects", "archive"],
)
def test_a_damaged_cache_is_rebuilt(
    path: Path, cache: Path, damage: Callable[[bytes], bytes]
) -> None:
    encode_file(path, VOCAB)
    (cached,) = cached_files(cache)
    whole = cached.read_bytes()
    cached.write_bytes(damage(whole))
    assert encode_file(path, VOCAB).tolist() == VOCAB.encode(TEXT).tolist()
    assert cached.read_bytes() == whole


def test_without_a_cache_folder_the_ids_are_still_a_memory_map(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(blocked))
    ids = encode_file(path, VOCAB)
    assert ids.tolist() == VOCAB.encode(TEXT).tolist()
    assert isinstance(ids, np.memmap)
    assert not ids.flags.writeable


def test_no_room_anywhere_is_an_error_that_says_what_to_set(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    blocked = tmp_path / "a file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(blocked))
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(CharseqError, match="No space left on device; set CHARSEQ_CACHE_DIR"):
        encode_file(path, VOCAB)


def test_an_unknown_character_is_placed_in_the_file(
    path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("one line\nand é? no: é!")
    monkeypatch.setattr(encode, "read_chunks", partial(read_chunks, chunk_bytes=4))
    known = Vocab.from_counts(Counter("one line\nand no:"))
    place = r"text\.txt: 'é' .* at position 14 \(line 2, column 5\) .* \(3 more are not either\)"
    with pytest.raises(CharseqError, match=place):
        encode_file(path, known)
    assert not cached_files(cache)
    assert not list(cache.glob("*.tmp"))


def test_every_character_may_be_unknown_and_skipped(path: Path) -> None:
    assert encode_file(path, Vocab.from_counts({"#": 1}), unknown="skip").tolist() == []


def test_a_file_that_changes_while_it_is_read_is_not_taken_for_the_old_one(path: Path) -> None:
    with pytest.raises(CharseqError, match="changed while it was read"):
        encode_file(path, VOCAB, sha256="0" * 64)

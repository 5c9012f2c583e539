"""A configuration's text is cut into parts, and the parts into the batches of a training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.config.schema.lm import TextDataConfig
from charseq.errors import CharseqError
from charseq.text.corpus import Corpus, Streams, load_corpus
from charseq.text.vocab import Vocab

TEXT = "".join(chr(33 + i % 90) for i in range(1000))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("text").write_text(TEXT)
    Path("other").write_text("other: ä")
    return tmp_path


def load(vocab: Vocab | None = None, **settings: Any) -> Corpus:
    return load_corpus(TextDataConfig(**{"text": "text", **settings}), vocab)


def parts(corpus: Corpus) -> tuple[str, str, str]:
    decode = corpus.vocab.decode
    return decode(corpus.train), decode(corpus.valid), decode(corpus.test)


def test_the_parts_are_cut_in_order() -> None:
    assert parts(load()) == (TEXT[:900], TEXT[900:950], TEXT[950:])
    assert load().source == "text"


def test_nanogpts_split() -> None:
    Path("text").write_text(TEXT[:999])
    n = 999
    expected = (TEXT[: int(n * 0.9)], TEXT[int(n * 0.9) : n], "")
    assert parts(load(split=(0.9, 0.1, 0.0))) == expected


@pytest.mark.parametrize(
    ("split", "lengths"),
    [
        ((1.0, 0.0, 0.0), (1000, 0, 0)),
        ((0.9, 0.0, 0.1), (900, 0, 100)),
        ((0.7, 0.1, 0.2), (700, 100, 200)),  # 0.7 + 0.1 is a little less than 0.8
        ((0.333, 0.333, 0.334), (333, 333, 334)),
    ],
)
def test_shares_of_a_thousand_characters(
    split: tuple[float, float, float], lengths: tuple[int, int, int]
) -> None:
    corpus = load(split=split)
    assert (len(corpus.train), len(corpus.valid), len(corpus.test)) == lengths
    assert "".join(parts(corpus)) == TEXT


def test_shares_that_are_joined_lose_no_character() -> None:
    corpus = load(split=(0.7, 0.1, 0.2), valid_text="other")
    assert (len(corpus.train), len(corpus.test)) == (800, 200)


def test_a_part_with_a_text_of_its_own_gives_its_share_back_to_train() -> None:
    assert parts(load(valid_text="other")) == (TEXT[:950], "other: ä", TEXT[950:])
    assert parts(load(test_text="other")) == (TEXT[:950], TEXT[950:], "other: ä")
    both = load(valid_text="other", test_text="other")
    assert parts(both) == (TEXT, "other: ä", "other: ä")


def test_the_vocabulary_is_counted_over_every_named_text() -> None:
    assert "ä" not in load().vocab.symbols
    assert "ä" in load(valid_text="other").vocab.symbols
    assert "ä" in load(test_text="other").vocab.symbols


def test_a_given_vocabulary_is_kept_and_strangers_to_it_are_refused() -> None:
    vocab = load().vocab
    assert load(vocab).vocab is vocab
    with pytest.raises(CharseqError, match=r"^other: ' ' \(U\+0020 SPACE\) at position 7 "):
        load(vocab, text="other")
    assert parts(load(vocab, text="other", unknown="skip", split=(1.0, 0.0, 0.0)))[0] == "other:"


def test_rare_characters_become_unknown() -> None:
    Path("text").write_text("aaabbbc")
    corpus = load(min_count=2, unknown="replace", split=(1.0, 0.0, 0.0))
    assert corpus.vocab.symbols == ("\ufffd", "a", "b")
    assert corpus.train.tolist() == [1, 1, 1, 2, 2, 2, 0]


def test_bytes_as_symbols() -> None:
    corpus = load(text="other", vocabulary="byte", split=(1.0, 0.0, 0.0))
    assert corpus.train.tolist() == list("other: ä".encode())
    assert corpus.vocab.size == 256
    assert corpus.train.dtype == np.uint8


def test_line_endings_and_bad_bytes_are_read_as_the_settings_say() -> None:
    Path("text").write_bytes(b"a\r\nb\xff")
    corpus = load(newlines="unix", errors="replace", split=(1.0, 0.0, 0.0))
    assert parts(corpus)[0] == "a\nb\ufffd"
    with pytest.raises(CharseqError, match=r"^text:2: byte 0xff at byte offset 4"):
        load()


@pytest.mark.parametrize("text", ["x", "xxxxx", "\0\0a\0"])
def test_tiny_texts_are_defined(text: str) -> None:
    Path("text").write_text(text)
    corpus = load(split=(1.0, 0.0, 0.0))
    assert parts(corpus) == (text, "", "")
    assert corpus.vocab.symbols == tuple(sorted(set(text)))


def test_an_empty_text_is_refused() -> None:
    Path("text").write_text("")
    for kind in ("char", "byte"):
        with pytest.raises(CharseqError, match="text: the file is empty"):
            load(vocabulary=kind)


def test_the_fingerprint_changes_with_all_that_decides_the_ids(folder: Path) -> None:
    prints = [
        load().fingerprint,
        load(split=(0.8, 0.1, 0.1)).fingerprint,
        load(valid_text="other").fingerprint,
        load(test_text="other").fingerprint,
        load(vocabulary="byte").fingerprint,
        load(unknown="replace").fingerprint,
    ]
    assert load(text=str(folder / "text")).fingerprint == prints[0], "the path does not count"
    Path("text").write_text(TEXT[::-1])
    prints.append(load().fingerprint)
    assert len(set(prints)) == 7


@given(
    n=st.integers(2, 200),
    batch_size=st.integers(1, 8),
    seq_len=st.integers(1, 12),
    step=st.integers(0, 100),
    shift=st.booleans(),
)
def test_batches_read_each_stream_on_and_on(
    n: int, batch_size: int, seq_len: int, step: int, shift: bool
) -> None:
    ids = np.arange(n, dtype=np.uint8)
    stride = (n - 1) // batch_size
    if stride < seq_len:
        with pytest.raises(CharseqError, match="too few for one batch"):
            Streams(ids, batch_size, seq_len)
        return
    streams = Streams(ids, batch_size, seq_len, shift=shift)
    assert streams.steps_per_epoch == stride // seq_len
    batch = streams.batch(step)
    epoch, window = divmod(step, streams.steps_per_epoch)
    begin = int(streams.batch(epoch * streams.steps_per_epoch).inputs[0, 0])
    assert 0 <= begin < (stride if shift and epoch else 1)
    for b in range(batch_size):
        first = begin + b * stride + window * seq_len
        read = [place % n for place in range(first, first + seq_len + 1)]
        assert batch.inputs[:, b].tolist() == read[:-1]
        assert batch.targets[:, b].tolist() == read[1:]
    assert batch.starts_epoch == (window == 0)
    for array in (batch.inputs, batch.targets):
        assert array.shape == (seq_len, batch_size)
        assert array.dtype == np.int64
        assert array.flags.c_contiguous


def test_each_shifted_epoch_begins_elsewhere() -> None:
    ids = np.arange(10_001, dtype=np.uint16)
    one, other = (Streams(ids, 10, 100, shift=True) for _ in range(2))
    begins = [one.batch(epoch * 10).inputs[0, 0] for epoch in range(100)]
    assert begins == [other.batch(epoch * 10).inputs[0, 0] for epoch in range(100)]
    assert begins[0] == 0
    assert len(set(begins)) > 90
    assert max(begins) > 900, "anywhere in a stride"


def test_the_example_of_the_docstring() -> None:
    streams = Streams(np.frombuffer(b"abcdefghijklm", dtype=np.uint8), batch_size=2, seq_len=3)
    rows = [
        bytes(array[:, b].tolist())
        for step in range(2)
        for array in (streams.batch(step).inputs, streams.batch(step).targets)
        for b in range(2)
    ]
    assert rows == [b"abc", b"ghi", b"bcd", b"hij", b"def", b"jkl", b"efg", b"klm"]


@pytest.mark.parametrize(
    ("length", "advice"),
    [
        (100, "or a train.batch_size of at most 9, or a train.seq_len of at most 4"),
        (15, "or a train.batch_size of at most 1"),
        (22, "or a train.batch_size of at most 2, or a train.seq_len of at most 1"),
        (1, "take a longer text"),
        (0, "take a longer text"),
        (350, "writes for one so short, or a train.batch_size of at most 34"),
    ],
)
def test_a_text_too_short_for_a_batch_names_what_would_work(length: int, advice: str) -> None:
    batch_size, seq_len = {100: (20, 11), 350: (400, 10)}.get(length, (20, 10))
    with pytest.raises(CharseqError) as caught:
        Streams(np.zeros(length, dtype=np.uint8), batch_size, seq_len)
    assert f"has {length} symbols, too few for one batch" in str(caught.value)
    assert f"needs {batch_size * seq_len + 1:,}; take a longer text" in str(caught.value)
    assert str(caught.value).endswith(advice)


def test_what_the_error_proposes_works_and_one_more_does_not() -> None:
    ids = np.zeros(100, dtype=np.uint8)
    assert Streams(ids, 9, 11).steps_per_epoch == Streams(ids, 20, 4).steps_per_epoch == 1
    for batch_size, seq_len in ((10, 11), (20, 5)):
        with pytest.raises(CharseqError, match="too few"):
            Streams(ids, batch_size, seq_len)

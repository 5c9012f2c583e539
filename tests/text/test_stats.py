"""What is counted in a text is what a reader with a pencil would count."""

import json
import math
import re
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.config.schema.lm import LMConfig, LMTrainConfig, TextDataConfig
from charseq.errors import CharseqError
from charseq.text import stats
from charseq.text.read import read_chunks
from charseq.text.stats import text_stats, training_stats


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stats") / "text.txt"


def test_a_small_text_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeffab\r\nccc é\rd\n\x1b[0m".encode())
    counted = text_stats(path, "my text")
    assert (counted.source, counted.bytes, counted.characters) == ("my text", 3 + 17, 16)
    assert (counted.lines, counted.longest_line) == (4, 5)
    assert (counted.lf, counted.crlf, counted.cr) == (1, 1, 1)
    assert counted.byte_order_mark
    assert counted.not_ascii == 1
    assert counted.control == {"\x1b": 1}
    assert counted.counts["c"] == counted.rare["c"] == 3


@given(
    text=st.text(st.sampled_from("ab\r\n\0é漢\u2028"), min_size=1), chunk_bytes=st.integers(1, 9)
)
def test_any_text_in_any_chunks(scratch: Path, text: str, chunk_bytes: int) -> None:
    scratch.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stats, "read_chunks", partial(read_chunks, chunk_bytes=chunk_bytes))
        counted = text_stats(scratch, "text")
    lines = re.split("\r\n|\r|\n", text)
    assert counted.counts == Counter(text)
    assert counted.lines == len(lines) - (lines[-1] == "")
    assert counted.longest_line == max(map(len, lines))
    assert counted.crlf == len(re.findall("\r\n", text))
    assert counted.lf == len(re.findall("(?<!\r)\n", text))
    assert counted.cr == len(re.findall("\r(?!\n)", text))
    assert counted.not_ascii == len(re.findall("[^\0-\x7f]", text))
    assert not counted.byte_order_mark


def test_entropy_of_known_distributions(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    for text, bits in {"aaaa": 0.0, "abcd" * 9: 2.0, "aab": math.log2(3) - 2 / 3}.items():
        path.write_text(text)
        assert text_stats(path, "text").entropy == pytest.approx(bits)
    path.write_text("aaaa")
    assert str(text_stats(path, "text").entropy) == "0.0"


def test_ten_occurrences_are_not_rare(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("a" * 10 + "b" * 9)
    assert text_stats(path, "text").rare == {"b": 9}


def test_all_of_it_is_json(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("a\0é")
    report = json.loads(json.dumps(text_stats(path, "text").to_json()))
    assert report["counts"] == report["rare"] == {"\0": 1, "a": 1, "é": 1}
    assert report["control"] == {"\0": 1}
    assert report["entropy"] == pytest.approx(math.log2(3))


def config(text: Path, **train: int | float | None) -> LMConfig:
    return LMConfig(
        data=TextDataConfig(text=str(text)),
        train=LMTrainConfig(batch_size=4, seq_len=10, **train),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("limits", "epochs"),
    [
        ({"max_steps": 44}, 2.0),
        ({"max_steps": None, "max_epochs": 1.5}, 1.5),
        ({"max_steps": 11, "max_epochs": 1.5}, 0.5),
        ({"max_steps": None, "max_minutes": 1.0, "schedule": "constant"}, None),
    ],
)
def test_a_training_by_hand(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limits: dict[str, int | float | None],
    epochs: float | None,
) -> None:
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "text.txt"
    path.write_text("ab" * 500)
    counted = training_stats(config(path, **limits))
    assert (counted.train, counted.valid, counted.test) == (900, 50, 50)
    assert counted.vocab_size == 2
    assert counted.steps_per_epoch == 22  # 899 // 4 = 224 characters a stream, 22 windows of 10
    assert counted.epochs == epochs


def test_a_training_that_cannot_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "text.txt"
    path.write_text("ab" * 10)
    with pytest.raises(CharseqError, match="too few for one batch"):
        training_stats(config(path))

"""What ``charseq bench`` trains on: the data of a configuration, or random ones like them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charseq.config import Config, config_from_json
from charseq.models.build import load_data, make_batches
from charseq.reports.bench_data import with_data
from charseq.text.corpus import Corpus
from charseq.text.pairs import PairCorpus


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def text(**data: Any) -> Config:
    train = {"batch_size": 3, "seq_len": 5}
    return config_from_json({"data": {"text": "cat.txt", **data}, "train": train}, where="here")


def pairs(**data: Any) -> Config:
    data = {"train": "cat.tsv", **data}
    return config_from_json({"task": "seq2seq", "data": data}, where="here")


def test_the_text_that_is_here(folder: Path) -> None:
    Path("cat.txt").write_text("the cat sat on the mat. " * 9)
    config, told = with_data(text(valid_text="absent.txt"), folder)
    data = load_data(config)
    assert isinstance(data, Corpus)
    assert told == "cat.txt"
    assert data.vocab.symbols == tuple(sorted(set("the cat sat on the mat. ")))


@pytest.mark.parametrize("name", ["absent.txt", "dataset:tinyshakespeare", "dataset:absent"])
def test_a_text_that_is_not(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHARSEQ_DATA_MIRROR", raising=False)
    config, told = with_data(text(text=name), folder)
    data = load_data(config)
    assert isinstance(data, Corpus)
    assert told == "random text of 65 symbols"
    assert data.vocab.size == 65
    counts = np.bincount(data.train)
    assert counts.min() > 0.6 * counts.mean()  # 10,000 draws of 65: about 154 each
    assert make_batches(config, data).steps_per_epoch > 10


def test_bytes_stay_bytes(folder: Path) -> None:
    config, _ = with_data(text(vocabulary="byte"), folder)
    assert load_data(config).vocab.to_json()["kind"] == "byte"


def test_the_pairs_that_are_here(folder: Path) -> None:
    Path("cat.tsv").write_text("cat\tchat\ndog\tchien\n")
    config, told = with_data(pairs(valid="absent.tsv", split=[1.0, 0.0, 0.0]), folder)
    data = load_data(config)
    assert isinstance(data, PairCorpus)
    assert told == "cat.tsv"
    assert len(data.train) == 2


def test_pairs_that_are_not(folder: Path) -> None:
    config, told = with_data(pairs(features_column=3, target_separator=" "), folder)
    data = load_data(config)
    assert isinstance(data, PairCorpus)
    assert told == "random pairs: about 20 symbols to 10, of 65"
    assert data.train.source.lengths.mean() == pytest.approx(20, abs=0.5)
    assert data.train.source.lengths.std() == pytest.approx(6, abs=0.5)
    assert set(data.train.target.lengths.tolist()) == {10}
    assert len(data.vocab.source) == len(data.vocab.target) == 65

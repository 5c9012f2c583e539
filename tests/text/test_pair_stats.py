"""What is counted in pairs is what a reader with a pencil would count."""

import json
import statistics
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.config.schema.seq2seq import PairDataConfig, Seq2SeqConfig, Seq2SeqTrainConfig
from charseq.errors import CharseqError
from charseq.text.pair_stats import Lengths, Overlap, PairStats, pair_file_stats, pair_stats
from charseq.text.pairs import Example


def write(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def of_file(path: Path, **settings: Any) -> PairStats:
    return pair_file_stats(path, "mine", PairDataConfig(train="unused", **settings))


def test_a_small_file_by_hand(tmp_path: Path) -> None:
    path = write(
        tmp_path, "t.tsv", "ab\tx yy\tN", "ab\tx\tV", "abcd\tx x x\tN;V", "ab\tyy\tN", "oops", "\tx"
    )
    counted = of_file(path, target_separator=" ", features_column=3)
    (part,) = counted.parts.values()
    assert list(counted.parts) == ["file"]
    assert (part.pairs, part.sources, part.examples, part.ambiguous) == (4, 2, 3, 1)
    assert part.source_lengths == Lengths(2.5, 2.0, 4, (0, 0, 3, 0, 1))
    assert part.target_lengths == Lengths(1.75, 1.5, 3, (0, 2, 1, 1))
    assert counted.source_symbols == {"a": 4, "b": 4, "c": 1, "d": 1}
    assert counted.target_symbols == {"x": 5, "yy": 2}
    assert counted.tags == {"N": 3, "V": 2}
    assert counted.ambiguous == (Example("ab", ("N",), ("x yy", "yy")),)
    assert counted.skipped == {"no tab": 1, "too few columns": 1}
    assert counted.mistakes[0] == f"{path}:5: there is no tab between a source and a target"
    assert counted.source == "mine"
    assert counted.training is None
    assert counted.overlaps == ()
    assert (part.unknown_source, part.unknown_target, part.unknown_tags) == ({}, {}, {})


def test_ten_occurrences_are_not_rare(tmp_path: Path) -> None:
    counted = of_file(write(tmp_path, "t.tsv", "a" * 10 + "b" * 9 + "\t" + "x" * 9 + "y" * 10))
    assert (counted.rare_source, counted.rare_target) == ({"b": 9}, {"x": 9})


def test_a_configuration_by_hand(tmp_path: Path) -> None:
    data = PairDataConfig(
        train=str(write(tmp_path, "train.tsv", "ab\tx\tN", "ba\tx\tN", "b\txx\tV", "b\ty\tV")),
        valid=str(write(tmp_path, "valid.tsv", "ab\txz\tN", "acc\tx\tU", "b\tz\tN", "oops")),
        test=str(write(tmp_path, "test.tsv", "acc\tx\tN")),
        features_column=3,
        errors="skip",
    )
    counted = pair_stats(Seq2SeqConfig(data=data, train=Seq2SeqTrainConfig(batch_size=3)))
    assert list(counted.parts) == ["train", "valid", "test"]
    train, valid, _ = counted.parts.values()
    assert (train.pairs, train.sources, train.ambiguous) == (4, 3, 1)
    assert (train.unknown_source, train.unknown_target, train.unknown_tags) == ({}, {}, {})
    assert valid.unknown_source == {"c": 2}
    assert valid.unknown_target == {"z": 2}
    assert valid.unknown_tags == {"U": 1}
    assert counted.source_symbols == {"a": 2, "b": 4}  # of training alone
    assert counted.overlaps == (
        Overlap("train", "valid", sources=2, examples=1),
        Overlap("train", "test", sources=0, examples=0),
        Overlap("valid", "test", sources=1, examples=0),
    )
    assert counted.ambiguous == (Example("b", ("V",), ("xx", "y")),)
    assert counted.skipped == {"no tab": 1}
    assert counted.training is not None
    assert (counted.training.source_size, counted.training.target_size) == (5, 4)
    assert (counted.training.batch_size, counted.training.steps_per_epoch) == (3, 2)
    assert counted.training.epochs == 2500.0


@pytest.mark.parametrize(
    ("limits", "epochs"),
    [
        ({"max_steps": 4}, 2.0),
        ({"max_epochs": 1.5}, 1.5),
        ({"max_steps": 1, "max_epochs": 1.5}, 0.5),
        ({"max_minutes": 1.0}, None),
    ],
)
def test_the_length_of_a_training(
    tmp_path: Path, limits: dict[str, Any], epochs: float | None
) -> None:
    data = PairDataConfig(
        train=str(write(tmp_path, "t.tsv", "a\tx", "b\tx")), split=(1.0, 0.0, 0.0)
    )
    train = Seq2SeqTrainConfig(batch_size=1, **{"schedule": "constant", **limits})
    counted = pair_stats(Seq2SeqConfig(data=data, train=train))
    assert counted.training is not None
    assert counted.training.epochs == epochs
    assert list(counted.parts) == ["train"]  # the others are empty


def test_spliced_pairs_lengthen_an_epoch(tmp_path: Path) -> None:
    """abc and kab share the seam a|b: that gives ab, and kabc, which is longer than any."""
    write(tmp_path, "t", "abc\tABC", "kab\tKAB", "xyz\tXYZ")
    data = PairDataConfig(train=str(tmp_path / "t"), split=(1, 0, 0))
    train = Seq2SeqTrainConfig(batch_size=2, max_steps=12, spliced_pairs=100)
    training = pair_stats(Seq2SeqConfig(data=data, train=train)).training
    assert training is not None
    assert (training.spliced_pairs, training.steps_per_epoch, training.epochs) == (1, 2, 6)


def test_rare_symbols_of_training_are_unknown_too(tmp_path: Path) -> None:
    train = write(tmp_path, "t.tsv", "aab\txx", "a\txy")
    data = PairDataConfig(train=str(train), split=(1.0, 0.0, 0.0), min_count=2)
    part = pair_stats(Seq2SeqConfig(data=data)).parts["train"]
    assert (part.unknown_source, part.unknown_target) == ({"b": 1}, {"y": 1})


def test_a_configuration_is_refused_where_its_training_is(tmp_path: Path) -> None:
    data = PairDataConfig(train=str(write(tmp_path, "t.tsv", "a\tx", "b")))
    with pytest.raises(CharseqError, match=r"t\.tsv:2: there is no tab"):
        pair_stats(Seq2SeqConfig(data=data))


def test_a_file_of_which_no_line_is_right(tmp_path: Path) -> None:
    with pytest.raises(CharseqError, match=r"t\.tsv:1: there is no tab"):
        of_file(write(tmp_path, "t.tsv", "a", "b"))
    with pytest.raises(CharseqError, match="mine: there are no pairs left in it"):
        of_file(write(tmp_path, "t.tsv", "source\ttarget"), source_column="source")


@given(lengths=st.lists(st.integers(1, 30), min_size=1))
def test_lengths_of_any_pairs(tmp_path_factory: pytest.TempPathFactory, lengths: list[int]) -> None:
    path = tmp_path_factory.getbasetemp() / "lengths.tsv"
    path.write_text("".join(f"{'a' * n}\t{row}\n" for row, n in enumerate(lengths)))
    found = of_file(path).parts["file"].source_lengths
    assert found.mean == pytest.approx(statistics.mean(lengths))
    assert found.median == statistics.median(lengths)
    assert found.longest == max(lengths)
    assert list(found.histogram) == [lengths.count(n) for n in range(max(lengths) + 1)]
    bins = found.bins()
    assert len(bins) <= 12
    assert sum(count for *_, count in bins) == len(lengths)
    for first, last, count in bins:
        assert count == sum(first <= n <= last for n in lengths)


def test_bars_have_a_round_width() -> None:
    def bins(longest: int) -> list[tuple[int, int, int]]:
        return Lengths(0.0, 0.0, longest, (0, *[1] * longest)).bins()

    assert bins(3) == [(1, 1, 1), (2, 2, 1), (3, 3, 1)]
    assert bins(12)[0] == (1, 1, 1)
    assert bins(13)[:2] == [(1, 2, 2), (3, 4, 2)]
    assert bins(13)[-1] == (13, 14, 1)
    assert bins(61)[0] == (1, 10, 10)


def test_all_of_it_is_json(tmp_path: Path) -> None:
    data = PairDataConfig(
        train=str(write(tmp_path, "t.tsv", "a\tx", "a\ty")), split=(1.0, 0.0, 0.0)
    )
    report = json.loads(json.dumps(pair_stats(Seq2SeqConfig(data=data)).to_json()))
    assert report["rare_source"] == report["source_symbols"] == {"a": 2}
    assert report["rare_target"] == {"x": 1, "y": 1}
    assert report["parts"]["train"]["source_lengths"]["histogram"] == [0, 2]
    assert report["ambiguous"] == [{"source": "a", "features": [], "targets": ["x", "y"]}]
    assert report["training"]["steps_per_epoch"] == 1

"""Pairs in three parts: no source in two of them, a vocabulary of training alone, ids that fit."""

import gc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.config.schema.seq2seq import PairDataConfig
from charseq.errors import CharseqError
from charseq.text.pairs import Example, PairCorpus, Pairs, load_pairs, read_pairs
from charseq.text.vocab import UnknownCharacterError

ALL = (1.0, 0.0, 0.0)


def write(folder: Path, name: str, *lines: str) -> str:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def load(train: str, **settings: Any) -> PairCorpus:
    return load_pairs(PairDataConfig(train=train, **settings))


def read_back(corpus: PairCorpus, part: Pairs) -> list[tuple[list[str], str]]:
    vocab = corpus.vocab
    return [
        (vocab.source_symbols(source), vocab.decode_target(target))
        for source, target in zip(part.source, part.target, strict=True)
    ]


def sources(part: Pairs) -> set[str]:
    return {example.source for example in part.examples}


def test_a_file_by_hand(tmp_path: Path) -> None:
    train = write(tmp_path, "train.tsv", "ab\tx y\tN;PL", "b\ty\t", "ab\tx\tN;PL", "ab\tx\tV")
    corpus = load(train, split=ALL, target_separator=" ", features_column=3)
    assert corpus.vocab.source.symbols == ("a", "b")
    assert corpus.vocab.target.symbols == ("x", "y")
    assert corpus.vocab.features == ("N", "PL", "V")
    assert corpus.train.examples == [
        Example("ab", ("N", "PL"), ("x y", "x")),
        Example("b", (), ("y",)),
        Example("ab", ("V",), ("x",)),
    ]
    assert corpus.train.example_of.tolist() == [0, 1, 0, 2]
    assert [row.tolist() for row in corpus.train.source] == [
        [3, 4, 1, 2],
        [2],
        [3, 4, 1, 2],
        [5, 1, 2],
    ]
    assert [row.tolist() for row in corpus.train.target] == [[2, 3], [3], [2], [2]]
    assert len(corpus.train) == 4
    assert len(corpus.valid) == len(corpus.test) == 0
    assert corpus.source == train
    assert corpus.skipped == {}


def test_further_targets_and_repeated_rows_are_answers_of_one_source(tmp_path: Path) -> None:
    train = write(tmp_path, "t.tsv", "a\tx\ty", "b\tz", "a\tw")
    corpus = load(train, split=ALL, further_targets=True)
    assert corpus.train.examples == [Example("a", (), ("x", "y", "w")), Example("b", (), ("z",))]
    assert corpus.train.example_of.tolist() == [0, 0, 1, 0]
    assert len(corpus.train) == 4


def test_symbols_are_turned_and_tags_are_not(tmp_path: Path) -> None:
    train = write(tmp_path, "t.tsv", "abc\tx\tN;V", "d\ty\tV")
    corpus = load(train, split=ALL, features_column=3, reverse_source=True)
    assert read_back(corpus, corpus.train) == [(["N", "V", "c", "b", "a"], "x"), (["V", "d"], "y")]


SOURCES = st.lists(
    st.tuples(st.text("abc", min_size=1, max_size=3), st.text("xy", min_size=1, max_size=2)),
    min_size=1,
    max_size=40,
    unique=True,
)
SHARES = st.sampled_from([(0.9, 0.05, 0.05), (0.5, 0.5, 0.0), (0.6, 0.0, 0.4), (0.7, 0.1, 0.2)])


@given(pairs=SOURCES, split=SHARES, seed=st.integers(0, 2**63 - 1))
def test_no_source_stands_in_two_parts(
    tmp_path_factory: pytest.TempPathFactory,
    pairs: list[tuple[str, str]],
    split: tuple[float, float, float],
    seed: int,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    train = write(folder, "split.tsv", *["abc\txy", *map("\t".join, pairs)], "abc\tz", "cccc\tz")
    pairs = [("abc", "xy"), *(pair for pair in pairs if pair != ("abc", "xy"))]
    pairs += [("abc", "z"), ("cccc", "z")]
    corpus = load(train, split=split, split_seed=seed, errors="skip")
    parts = (corpus.train, corpus.valid, corpus.test)
    assert sum(map(len, parts)) == len(pairs)
    found = [sources(part) for part in parts]
    assert set.union(*found) == {source for source, _ in pairs}
    assert not found[0] & found[1]
    assert not found[0] & found[2]
    assert not found[1] & found[2]
    count = sum(map(len, found))
    for some, share in zip(found, split, strict=True):
        assert abs(len(some) - share * count) <= 1.0
        assert share or not some
    for part in parts:  # in the order of the file, and with all answers
        rows = [pair for pair in pairs if pair[0] in sources(part)]
        assert [
            (part.examples[example].source, rows[row][1])
            for row, example in enumerate(part.example_of)
        ] == rows
        assert [len(example.targets) for example in part.examples] == list(
            Counter(source for source, _ in rows).values()
        )


def test_the_shares_are_exact_and_the_seed_decides(tmp_path: Path) -> None:
    lines = [f"s{i}\tt{i}" for i in range(1000)]
    train = write(tmp_path, "t.tsv", *lines)
    corpus = load(train, split=(0.7, 0.1, 0.2))
    assert [len(part) for part in (corpus.train, corpus.valid, corpus.test)] == [700, 100, 200]
    again = load(write(tmp_path, "other.tsv", *lines[::-1]), split=(0.7, 0.1, 0.2))
    assert sources(again.valid) == sources(corpus.valid)  # the order of the lines is no matter
    other = load(train, split=(0.7, 0.1, 0.2), split_seed=1)
    common = len(sources(other.test) & sources(corpus.test))
    assert 20 <= common <= 60  # 40 are expected of two independent draws
    positions = sorted(int(source[1:]) for source in sources(corpus.valid))
    assert 400 < np.mean(positions) < 600
    grown = load(write(tmp_path, "more.tsv", *lines, "new\tt"), split=(0.7, 0.1, 0.2))
    assert len(sources(grown.test) - sources(corpus.test)) <= 2


def test_a_part_with_a_file_gives_its_share_back(tmp_path: Path) -> None:
    lines = [f"s{i}\tt" for i in range(20)]
    train = write(tmp_path, "train.tsv", *lines)
    valid = write(tmp_path, "valid.tsv", "s1\tt", "s1\tt1", "s31\tt", "s2\tt")
    test = write(tmp_path, "test.tsv", "s3\tt")
    corpus = load(train, split=(0.5, 0.25, 0.25), valid=valid)
    assert [len(part) for part in (corpus.train, corpus.valid, corpus.test)] == [15, 4, 5]
    corpus = load(train, split=(0.5, 0.25, 0.25), test=test)
    assert [len(part) for part in (corpus.train, corpus.valid, corpus.test)] == [15, 5, 1]
    corpus = load(train, split=(0.5, 0.25, 0.25), valid=valid, test=test)
    assert [len(part) for part in (corpus.train, corpus.valid, corpus.test)] == [20, 4, 1]
    assert corpus.seen == {"valid": 2, "test": 1}


def test_the_vocabulary_is_of_training_alone(tmp_path: Path) -> None:
    train = write(tmp_path, "train.tsv", "ab\tx\tN")
    valid = write(tmp_path, "valid.tsv", "acb\txyx\tV;N")
    corpus = load(train, valid=valid, split=ALL, features_column=3, unknown="replace")
    assert corpus.vocab.source.symbols == ("a", "b")
    assert corpus.vocab.target.symbols == ("x",)
    assert corpus.vocab.features == ("N",)
    assert read_back(corpus, corpus.valid) == [(["\ufffd", "N", "a", "\ufffd", "b"], "x\ufffdx")]
    assert corpus.valid.examples == [Example("acb", ("V", "N"), ("xyx",))]
    left = load(train, valid=valid, split=ALL, features_column=3)  # skip, as by default
    assert read_back(left, left.valid) == [(["N", "a", "b"], "x\ufffdx")]


def test_symbols_of_the_other_parts_of_a_file_are_unknown(tmp_path: Path) -> None:
    train = write(tmp_path, "t.tsv", *(f"{symbol}\t{symbol}\t{symbol}" for symbol in "dbac"))
    corpus = load(train, split=(0.5, 0.25, 0.25), features_column=3)
    vocab = corpus.vocab
    learned = tuple(sorted(sources(corpus.train)))
    assert vocab.source.symbols == vocab.target.symbols == vocab.features == learned
    assert len(learned) == 2
    for part in (corpus.valid, corpus.test):
        assert read_back(corpus, part) == [(["\ufffd"], "\ufffd")]  # no tag, nothing else


def test_symbols_that_training_lacks_are_refused_with_their_line(tmp_path: Path) -> None:
    train = write(tmp_path, "train.tsv", "ab\tx\tN", "b\tx\tN")
    for line, why in {
        "aµc\tx\tN": "'µ' (U+00B5 MICRO SIGN) at position 2 is not among the 2 source symbols",
        "a\tx\tN;V": "the tag 'V' is not among the 1 tags",
    }.items():
        valid = write(tmp_path, "valid.tsv", "a\txyz\tN", line, "µ\tx\tW")
        with pytest.raises(UnknownCharacterError) as caught:
            load(train, valid=valid, split=ALL, features_column=3, unknown="error")
        assert str(caught.value).startswith(f"{valid}:2: {why} that the model knows")
        assert "`data.unknown: skip` leaves" in str(caught.value)
    valid = write(tmp_path, "valid.tsv", "a\txyz\tN")  # strange in the target alone
    assert len(load(train, valid=valid, split=ALL, features_column=3, unknown="error").valid) == 1


def test_a_source_of_which_nothing_is_left(tmp_path: Path) -> None:
    train = write(tmp_path, "train.tsv", "a\tx")
    valid = write(tmp_path, "valid.tsv", "ab\tx", "bb\ty", "a\tz")
    corpus = load(train, valid=valid, split=ALL, unknown="skip")
    assert read_back(corpus, corpus.valid) == [
        (["a"], "x"),
        (["\ufffd", "\ufffd"], "\ufffd"),
        (["a"], "\ufffd"),
    ]
    assert [example.source for example in corpus.valid.examples] == ["ab", "bb", "a"]


def test_rare_symbols_are_unknown(tmp_path: Path) -> None:
    train = write(tmp_path, "train.tsv", "aab\txx\tN;V", "ac\txy\tN")
    corpus = load(train, split=ALL, min_count=2, features_column=3)
    assert corpus.vocab.source.symbols == ("a",)
    assert corpus.vocab.target.symbols == ("x",)
    assert corpus.vocab.features == ("N",)
    assert read_back(corpus, corpus.train) == [
        (["N", "\ufffd", "a", "a", "\ufffd"], "xx"),
        (["N", "a", "\ufffd"], "x\ufffd"),
    ]
    with pytest.raises(CharseqError, match=r"none of the 3 different symbols occurs 9 times"):
        load(train, split=ALL, min_count=9, features_column=3)


def test_mistakes_of_all_files_come_at_once(tmp_path: Path) -> None:
    train = write(tmp_path, "train.tsv", "a\tx", "b")
    valid = write(tmp_path, "valid.tsv", "\tx", "b\tx")
    with pytest.raises(CharseqError) as caught:
        load(train, valid=valid)
    assert str(caught.value).split("\n") == [
        f"{train}:2: there is no tab between a source and a target",
        f"{valid}:1: the source is empty",
        "correct them, or set `data.errors: skip` to leave them out and count them",
    ]
    corpus = load(train, valid=valid, split=ALL, errors="skip")
    assert corpus.skipped == {"no tab": 1, "empty source": 1}
    assert (len(corpus.train), len(corpus.valid)) == (1, 1)


def test_when_nothing_is_left(tmp_path: Path) -> None:
    wrong = write(tmp_path, "wrong.tsv", "a", "b")
    good = write(tmp_path, "good.tsv", "a\tx")
    for train, valid in ((wrong, None), (good, wrong)):
        with pytest.raises(CharseqError, match=r"wrong\.tsv: there are no pairs left in it"):
            load(train, valid=valid, errors="skip")
    with pytest.raises(CharseqError, match=r"good\.tsv: there are no pairs left in it"):
        load(good, split=(0.4, 0.6, 0.0))  # the one source goes to valid


def test_a_trained_vocabulary_is_used(tmp_path: Path) -> None:
    vocab = load(write(tmp_path, "train.tsv", "ab\txy"), split=ALL).vocab
    other = write(tmp_path, "other.tsv", "abc\tyz")
    corpus = load_pairs(PairDataConfig(train=other, split=ALL), vocab)
    assert corpus.vocab is vocab
    assert read_back(corpus, corpus.train) == [(["a", "b"], "y\ufffd")]


@pytest.mark.parametrize(
    ("name", "value", "trained"),
    [
        ("source_separator", "\x1b", '""'),
        ("target_separator", "x", '""'),
        ("normalize", "NFC", '"none"'),
        ("reverse_source", True, "false"),
    ],
)
def test_a_model_reads_as_it_was_trained(
    tmp_path: Path, name: str, value: Any, trained: str
) -> None:
    train = write(tmp_path, "train.tsv", "ab\tzy")
    vocab = load(train, split=ALL).vocab
    with pytest.raises(CharseqError) as caught:
        load_pairs(PairDataConfig(train=train, split=ALL, **{name: value}), vocab)
    why = f"data.{name}: the model was trained with {trained}; set that, or train another"
    assert str(caught.value) == why


def test_one_more_file(tmp_path: Path) -> None:
    data = PairDataConfig(train=write(tmp_path, "train.tsv", "ab\txy"), split=ALL)
    vocab = load_pairs(data).vocab
    more = write(tmp_path, "more.tsv", "ba\tyx", "b\tz")
    pairs = read_pairs(more, data, vocab)
    assert [row.tolist() for row in pairs.source] == [[2, 1], [2]]
    assert [row.tolist() for row in pairs.target] == [[3, 2], [1]]
    wrong = write(tmp_path, "wrong.tsv", "ba")
    with pytest.raises(CharseqError, match=r"wrong\.tsv:1: there is no tab"):
        read_pairs(wrong, data, vocab)
    with pytest.raises(CharseqError, match=r"wrong\.tsv: there are no pairs left"):
        read_pairs(wrong, data.model_copy(update={"errors": "skip"}), vocab)
    with pytest.raises(CharseqError, match=r"data\.normalize: the model was trained with"):
        read_pairs(more, data.model_copy(update={"normalize": "NFC"}), vocab)


def test_the_fingerprint_names_all_that_decides(tmp_path: Path) -> None:
    lines = [f"s{i}\tt" for i in range(9)]
    train = write(tmp_path, "train.tsv", *lines)
    first = load(train).fingerprint
    assert load(train).fingerprint == first
    assert load(write(tmp_path, "same.tsv", *lines)).fingerprint == first  # its name is no matter
    own = write(tmp_path, "own.tsv", "s1\tt")
    others = [
        load(write(tmp_path, "changed.tsv", *lines, "s0\tu")),
        load(train, valid=own),
        load(train, test=own),
        load(train, split_seed=1),
        load(train, split=(0.5, 0.5, 0.0)),
        load(train, reverse_source=True),
        load(train, normalize="NFC"),
        load_pairs(PairDataConfig(train=train), load(own).vocab),
    ]
    assert len({first, *(corpus.fingerprint for corpus in others)}) == 1 + len(others)
    assert len(first) == 64


def test_the_fingerprint_names_the_draw(tmp_path: Path) -> None:
    lines = [f"{'a' * n}{'b' * m}\tt" for n in range(1, 5) for m in range(1, 5)]
    train = write(tmp_path, "train.tsv", *lines)
    one, other = load(train), load(train, split_seed=1)
    assert one.vocab == other.vocab
    assert one.fingerprint != other.fingerprint


def test_a_set_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CharseqError, match=r"^dataset:nosuch"):
        load("dataset:nosuch")
    with pytest.raises(CharseqError, match=r"absent\.tsv: there is no such file"):
        load(str(tmp_path / "absent.tsv"))


def test_the_garbage_collector_is_on_again_afterwards(tmp_path: Path) -> None:
    train = write(tmp_path, "train.tsv", "a\tx")
    load(train, split=ALL)
    assert gc.isenabled()
    with pytest.raises(CharseqError):
        load(str(tmp_path / "absent.tsv"))
    assert gc.isenabled()
    gc.disable()
    try:
        load(train, split=ALL)
        assert not gc.isenabled()
    finally:
        gc.enable()

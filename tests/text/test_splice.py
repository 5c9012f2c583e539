"""Spliced pairs, where it is known how any word is written."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charseq.config.schema.seq2seq import PairDataConfig
from charseq.text.pairs import PairCorpus, Pairs, load_pairs
from charseq.text.splice import with_spliced

WRITTEN = {"a": "A", "b": "B", "c": "CH", "h": "", "k": "K", "s": "S", "x": "KS", "o": "OU"}


def corpus_of(folder: Path, lines: list[str], **more: Any) -> PairCorpus:
    path = folder / "train.tsv"
    path.write_text("".join(f"{line}\n" for line in lines))
    return load_pairs(PairDataConfig(train=str(path), split=(1.0, 0.0, 0.0), **more))


def write(word: str) -> str:
    return "".join(WRITTEN[letter] for letter in word)


def words(count: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    drawn = {
        "".join(generator.choice(list(WRITTEN), generator.integers(2, 9))) for _ in range(count)
    }
    return sorted(word for word in drawn if write(word))


def added(pairs: Pairs, before: Pairs) -> list[tuple[str, tuple[str, ...], str]]:
    return [
        (example.source, example.features, example.targets[0])
        for example in pairs.examples[len(before.examples) :]
    ]


@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_they_are_written_as_the_language_writes_them(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    known = words(150, seed)
    lines = [f"{word}\t{write(word)}" for word in known]
    corpus = corpus_of(tmp_path_factory.mktemp("words"), lines)
    pairs = with_spliced(corpus.train, corpus.vocab, 200, seed)
    spliced = added(pairs, corpus.train)
    assert len(spliced) == 200
    sources = [source for source, _, _ in spliced]
    assert len({*known, *sources}) == len(known) + 200  # no word twice
    assert max(map(len, sources)) <= max(map(len, known))
    there = {word[i : i + 2] for word in known for i in range(len(word))}
    assert {word[i : i + 2] for word in sources for i in range(len(word))} <= there
    right = [target == write(source) for source, _, target in spliced]
    assert np.mean(right) > 0.97  # a letter that is silent may be taken for a part of its neighbour


def test_ids_and_texts_are_of_the_same_pairs(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, [f"{word}\t{write(word)}" for word in words(80, 0)])
    pairs = with_spliced(corpus.train, corpus.vocab, 50, 0)
    assert len(pairs) == len(corpus.train) + 50
    for row, example in enumerate(pairs.examples[number] for number in pairs.example_of):
        assert "".join(corpus.vocab.source_symbols(pairs.source[row])) == example.source
        assert corpus.vocab.decode_target(pairs.target[row]) in example.targets
    rows = range(len(corpus.train))
    assert [pairs.source[row].tolist() for row in rows] == [
        row.tolist() for row in corpus.train.source
    ]


def test_the_seed_decides(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, [f"{word}\t{write(word)}" for word in words(80, 0)])
    one, same, other = (
        added(with_spliced(corpus.train, corpus.vocab, 50, seed), corpus.train)
        for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other


def test_both_halves_have_the_same_tags(tmp_path: Path) -> None:
    """A verb ends in S, a noun in A: halves of both would end wrongly."""
    lines = [f"{word}\t{write(word)}S\tV" for word in words(60, 1)]
    lines += [f"{word}\t{write(word)}A\tN;PL" for word in words(60, 2)]
    corpus = corpus_of(tmp_path, lines, features_column=3)
    spliced = added(with_spliced(corpus.train, corpus.vocab, 100, 0), corpus.train)
    assert {features for _, features, _ in spliced} == {("V",), ("N", "PL")}
    for _, features, target in spliced:
        assert target[-1] == {"V": "S", "N": "A"}[features[0]]


def test_a_rare_tag_that_is_skipped_is_no_symbol(tmp_path: Path) -> None:
    lines = [f"{word}\t{write(word)}\tV;RARE{n}" for n, word in enumerate(words(60, 1))]
    options: dict[str, Any] = {"features_column": 3, "min_count": 2, "unknown": "skip"}
    corpus = corpus_of(tmp_path, lines, **options)
    pairs = with_spliced(corpus.train, corpus.vocab, 100, 0)
    assert len(pairs) - len(corpus.train) == 100
    for example, row in zip(pairs.examples, pairs.source, strict=True):
        assert corpus.vocab.source_symbols(row) == ["V", *example.source]


def test_a_rare_tag_is_a_tag(tmp_path: Path) -> None:
    """Its id is that of any symbol that is not known, and it ends its words in K."""
    lines = [f"{word}\t{write(word)}S\tV" for word in words(60, 1)]
    lines += [f"{word}\t{write(word)}K\tV;RARE{n}" for n, word in enumerate(words(60, 2))]
    corpus = corpus_of(tmp_path, lines, features_column=3, min_count=2)
    pairs = with_spliced(corpus.train, corpus.vocab, 100, 0)
    spliced = added(pairs, corpus.train)
    assert {len(features) for _, features, _ in spliced} == {1, 2}
    known = {letter for word in words(60, 1) + words(60, 2) for letter in word}
    assert {letter for source, _, _ in spliced for letter in source} <= known
    right = [target[-1] == ("S" if len(features) == 1 else "K") for _, features, target in spliced]
    assert np.mean(right) > 0.95  # as above
    rows = [row.tolist() for row in pairs.source]
    assert len({tuple(row) for row in rows[len(corpus.train) :]}) == len(spliced)


def test_a_word_is_not_spliced_with_itself(tmp_path: Path) -> None:
    """baxaxa holds the seam a|x twice; of its own halves it would be baxa."""
    corpus = corpus_of(tmp_path, ["baxaxa\tBAKSAKSA", "kaxs\tKAKSS"])
    spliced = added(with_spliced(corpus.train, corpus.vocab, 100, 0), corpus.train)
    assert {source for source, _, _ in spliced} == {"baxs", "baxaxs", "kaxa", "kaxaxa"}


def test_no_more_than_there_are(tmp_path: Path) -> None:
    """xab and kab share the seam a|b: each half goes with each, and that is all."""
    corpus = corpus_of(tmp_path, ["xabc\tKSABCH", "kabs\tKABS"])
    spliced = added(with_spliced(corpus.train, corpus.vocab, 100, 0), corpus.train)
    assert {(source, target) for source, _, target in spliced} == {
        ("xabs", "KSABS"),
        ("kabc", "KABCH"),
    }


def test_nothing_in_common(tmp_path: Path) -> None:
    """An a before another letter is no seam."""
    corpus = corpus_of(tmp_path, ["xac\tKSACH", "kab\tKAB"])
    pairs = with_spliced(corpus.train, corpus.vocab, 100, 0)
    assert len(pairs) == 2


def test_a_target_too_long_to_align_is_not_cut(tmp_path: Path) -> None:
    long = "KS" * 10
    corpus = corpus_of(tmp_path, ["abab\tABAB", "cabs\tCHABS", f"xabo\t{long}", f"kabs\t{long}"])
    spliced = added(with_spliced(corpus.train, corpus.vocab, 100, 0), corpus.train)
    assert {source for source, _, _ in spliced} == {"abs", "cab"}

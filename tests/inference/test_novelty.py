"""What a model has learned by heart, what it has not, and where that stands."""

import numpy as np
import pytest

from charseq.inference.novelty import held_out_pieces, novelty
from charseq.text.vocab import Unknown, Vocab

TRAINING = "To be, or not to be:\nthat is the question.\nWhether 'tis nobler\n"


def vocab_of(text: str, unknown: Unknown = "error") -> Vocab:
    return Vocab.from_counts(dict.fromkeys(text, 1), unknown=unknown)


def test_shares_and_the_longest_run_with_its_place() -> None:
    vocab = vocab_of(TRAINING)
    (found,) = novelty(
        [[vocab.encode("the question. the quest"), vocab.encode("ebebebebeb")]],
        vocab.encode(TRAINING),
        vocab,
    )
    assert found.symbols == 33
    # "the question." is 13 long and " the quest" 10, and nothing else reaches 10
    assert found.copied == {10: 23 / 33, 20: 0.0, 40: 0.0, 80: 0.0}
    assert found.longest is not None
    assert (found.longest.text, found.longest.length) == ("the question.", 13)
    assert (found.longest.line, found.longest.column) == (2, 9)


def test_columns_of_bytes_are_counted_in_characters() -> None:
    vocab = Vocab.from_counts({}, kind="byte")
    training = vocab.encode("é\n→→ naïve")
    (found,) = novelty([[vocab.encode("naïv")]], training, vocab)
    assert found.longest is not None
    assert (found.longest.text, found.longest.length) == ("naïv", 5)
    assert (found.longest.line, found.longest.column) == (2, 4)


def test_unknown_characters_are_no_copies_of_each_other() -> None:
    vocab = vocab_of("ab", unknown="replace")
    training = vocab.encode("ab→→ab", unknown="replace")
    (found,) = novelty([[vocab.encode("b××a", unknown="replace")]], training, vocab)
    assert found.longest is not None
    assert found.longest.length == 1
    (nothing,) = novelty([[vocab.encode("××", unknown="replace")]], training, vocab)
    assert nothing.longest is None
    assert set(nothing.copied.values()) == {0.0}


def test_lines_are_counted_over_the_whole_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charseq.inference.novelty.CHUNK", 50)
    text = "".join(f"line {number}\n" for number in range(300))
    vocab = vocab_of(text + "x")
    for number in (0, 1, 123, 299):
        (found,) = novelty([[vocab.encode(f"xline {number}\nx")]], vocab.encode(text), vocab)
        assert found.longest is not None
        assert (found.longest.line, found.longest.column) == (number + 1, 1)


@pytest.mark.parametrize(
    ("size", "expected"),
    [(100, [(0, 10), (45, 10), (90, 5)]), (25, [(0, 10), (15, 10)]), (4, [(0, 4)]), (0, [(0, 0)])],
)
def test_held_out_pieces_are_as_long_as_those_sampled(
    size: int, expected: list[tuple[int, int]]
) -> None:
    text = np.arange(size, dtype=np.uint8)
    like = [np.zeros(n, dtype=np.uint8) for n in (10, 10, 5)]
    pieces = held_out_pieces(text, like)
    assert [len(piece) for piece in pieces] == [length for _, length in expected]
    assert [piece[0] for piece in pieces if len(piece)] == [at for at, n in expected if n]

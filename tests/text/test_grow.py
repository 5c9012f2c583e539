"""A vocabulary grows by the symbols of new data, and every old one can be found in it again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import CharseqError
from charseq.text.grow import grown_pair_vocab, grown_vocab, growth
from charseq.text.pair_vocab import PairVocab
from charseq.text.symbols import Symbols
from charseq.text.vocab import BYTES, Vocab

CHARACTERS = st.sets(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
WORDS = st.sets(st.text("abc", min_size=1, max_size=2), min_size=1, max_size=9)


def vocab_of(characters: set[str], *, unknown: bool = False) -> Vocab:
    counts = dict.fromkeys(characters, 1)
    return Vocab.from_counts(counts, unknown="replace" if unknown else "error")


@given(CHARACTERS, CHARACTERS, st.booleans(), st.booleans())
def test_every_character_of_both_is_there_once_and_knows_its_old_id(
    before: set[str], now: set[str], unknown_before: bool, unknown_now: bool
) -> None:
    known = vocab_of(before, unknown=unknown_before)
    counted = vocab_of(now, unknown=unknown_now)
    vocab = grown_vocab(known, counted)
    assert set(vocab.symbols) == {*known.symbols, *counted.symbols}
    assert (vocab.unknown_id == 0) == (unknown_before or unknown_now)
    assert grown_vocab(vocab, counted) == vocab, "it grew twice"
    assert Vocab.from_json(json.loads(json.dumps(vocab.to_json()))) == vocab
    (side,) = growth(vocab, known).values()
    for ident, symbol in enumerate(vocab.symbols):
        old = int(side.ids_before[ident])
        assert known.symbols[old] == symbol if old >= 0 else symbol not in known.symbols
    assert side.taken == known.size
    assert sorted(side.new) == sorted(set(vocab.symbols) - set(known.symbols))


def test_bytes_have_nothing_to_grow_and_are_no_characters() -> None:
    both = Vocab("byte", BYTES)
    assert grown_vocab(both, both) == both
    with pytest.raises(CharseqError, match=r"data\.vocabulary: .* the kind byte, .* kind char"):
        grown_vocab(both, vocab_of({"a"}))


@given(st.tuples(WORDS, WORDS, WORDS, WORDS, WORDS, WORDS))
def test_pairs_grow_on_both_sides_and_in_tags_that_are_no_symbols(
    sets: tuple[set[str], ...],
) -> None:
    """The tag "a" is not the symbol "a", and unknown and END stay where they are."""
    before, now = (
        PairVocab(Symbols(" ", tuple(source)), Symbols(" ", tuple(target)), tuple(tags))
        for source, target, tags in (map(sorted, sets[:3]), map(sorted, sets[3:]))
    )
    vocab = grown_pair_vocab(before, now)
    sides = growth(vocab, before)
    for word in sets[0] | sets[3]:
        old = int(sides["source"].ids_before[vocab.encode_source(word)[0]])
        assert old == (before.encode_source(word)[0] if word in sets[0] else -1)
    for tag in sets[2] | sets[5]:
        ident = vocab.tag_ids(vocab.tag_numbers([[tag]])[0])[0]
        was = before.tag_ids(before.tag_numbers([[tag]])[0])[0]
        assert int(sides["source"].ids_before[ident]) == (was if tag in sets[2] else -1)
    for word in sets[1] | sets[4]:
        old = int(sides["target"].ids_before[vocab.encode_target(word)[0]])
        assert old == (before.encode_target(word)[0] if word in sets[1] else -1)
    assert sides["source"].ids_before[0] == 0
    assert sides["target"].ids_before[:2].tolist() == [0, 1]
    assert sides["source"].taken == len(sets[0]) + len(sets[2])
    assert sides["target"].taken == len(sets[1])
    assert sides["source"].new == (*sorted(sets[3] - sets[0]), *sorted(sets[5] - sets[2]))
    assert sides["target"].new == tuple(sorted(sets[4] - sets[1]))

"""Pairs become ids and come back; a symbol that training lacked is refused, or treated as asked."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import CharseqError
from charseq.text.pair_vocab import PairVocab
from charseq.text.symbols import Symbols, count_symbols
from charseq.text.vocab import UnknownCharacterError

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n"), max_size=12)
G2P = PairVocab(Symbols("", ("a", "b", "x")), Symbols(" ", ("a", "b", "tʃ")), ("N", "PL"))


def counted(texts: list[str], separator: str) -> Symbols:
    return Symbols.from_counts(separator, count_symbols(texts, separator))


def test_ids_by_hand() -> None:
    assert G2P.encode_source("bax").tolist() == [2, 1, 3]
    assert G2P.encode_source("ab", ["PL", "N"]).tolist() == [5, 4, 1, 2]
    assert G2P.encode_target("tʃ a b").tolist() == [4, 2, 3]
    assert (G2P.source_size, G2P.target_size) == (6, 5)
    assert G2P.source_symbols([5, 0, 1]) == ["PL", "\ufffd", "a"]
    assert G2P.decode_target([4, 1, 2, 0, 3]) == "tʃ \ufffd a"
    assert G2P.target_symbols([4, 1, 2, 0, 3]) == ["tʃ", "\ufffd", "a"]
    assert G2P.decode_target([]) == G2P.decode_target([0]) == ""
    assert G2P.encode_source("a").dtype == G2P.encode_target("a").dtype == "int64"


@given(source=TEXTS.filter(bool), target=TEXTS, tags=st.lists(st.sampled_from(["N", "PL", "é"])))
def test_every_pair_of_characters_comes_back(source: str, target: str, tags: list[str]) -> None:
    vocab = PairVocab(counted([source], ""), counted([target, "x"], ""), ("N", "PL", "é"))
    ids = vocab.encode_source(source, tags)
    assert vocab.source_symbols(ids) == [*tags, *source]
    assert vocab.decode_target([*vocab.encode_target(target), 0, 1, 2]) == target
    assert 0 not in ids
    assert not {0, 1} & {*vocab.encode_target(target).tolist()}


@given(symbols=st.lists(TEXTS.map(lambda text: text.replace("|", "")).filter(bool), min_size=1))
def test_every_text_of_longer_symbols_comes_back(symbols: list[str]) -> None:
    text = "|".join(symbols)
    side = counted([text], "|")
    assert side.symbols == tuple(sorted(set(symbols)))
    assert (side.split(text), side.join(symbols)) == (symbols, text)
    vocab = PairVocab(side, side)
    assert vocab.source_symbols(vocab.encode_source(text)) == symbols
    assert vocab.decode_target(vocab.encode_target(text)) == text


def test_separators_at_the_ends_or_in_a_row_add_no_id() -> None:
    assert G2P.encode_target(" b  a ").tolist() == G2P.encode_target("b a").tolist()
    spaced = PairVocab(Symbols(" ", ("a",)), Symbols("", ("a",)))
    assert spaced.encode_source("  a  a").tolist() == spaced.encode_source("a a").tolist()


def test_tags_never_clash_with_symbols() -> None:
    vocab = PairVocab(Symbols("", ("N", "a")), Symbols("", ("a",)), ("N",))
    assert vocab.encode_source("N", ["N"]).tolist() == [3, 1]
    assert vocab.copy_table().tolist() == [1, -1, 2, -1]


def test_how_many_target_symbols_are_source_symbols() -> None:
    """A tag that is written like one is none."""
    vocab = PairVocab(Symbols("", ("a", "b", "x")), Symbols("", ("N", "a", "b", "c", "d")), ("N",))
    assert vocab.shared == 2


def test_a_source_is_normalized_before_it_is_split() -> None:
    vocab = PairVocab(Symbols("", ("e", "\u0301")), Symbols("", ("é",)), normalize="NFD")
    assert vocab.encode_source("é").tolist() == [1, 2]
    assert vocab.encode_target("é").tolist() == [2]
    compat = PairVocab(Symbols(" ", ("f", "i")), Symbols("", ("a",)), normalize="NFKC")
    # NFKC turns the no-break space into one
    assert compat.encode_source("f\u00a0i").tolist() == compat.encode_source("f i").tolist()


def test_a_source_may_be_read_from_its_end_but_its_tags_come_first() -> None:
    vocab = PairVocab(G2P.source, G2P.target, G2P.features, reverse_source=True)
    assert vocab.encode_source("abx", ["N", "PL"]).tolist() == [4, 5, 3, 2, 1]
    assert vocab.encode_target("a b").tolist() == [2, 3]


def test_the_copy_table_leads_to_the_same_symbol() -> None:
    for number, target in enumerate(G2P.copy_table()):
        (symbol,) = G2P.source_symbols([number])
        same = symbol in (*G2P.target.symbols, "\ufffd")
        assert G2P.target_symbols([target]) == [symbol] if same else target == -1
    assert G2P.copy_table().dtype == "int64"


def test_an_unknown_symbol_is_named_with_its_place_and_what_to_do() -> None:
    with pytest.raises(UnknownCharacterError) as caught:
        G2P.encode_source("aµb\x1b", where="source 3")
    assert str(caught.value) == (
        "source 3: 'µ' (U+00B5 MICRO SIGN) at position 2 is not among the 3 source symbols that "
        "the model knows (1 more is not either); `--unknown skip` leaves such symbols out, "
        "`--unknown replace` reads them as the unknown symbol"
    )
    phones = PairVocab(Symbols(" ", ("aː",)), Symbols("", ("a",)))
    with pytest.raises(UnknownCharacterError, match=r"^the source: 'b\\x1b' at position 2 is not"):
        phones.encode_source("aː b\x1b")
    with pytest.raises(UnknownCharacterError) as caught:
        phones.encode_source("x" * 50)
    assert f"'{'x' * 40}…' at position 1" in str(caught.value)
    assert "more" not in str(caught.value)


def test_what_should_stand_apart_is_told_to() -> None:
    with pytest.raises(UnknownCharacterError, match=r"knows: .*; ';' separates tags; `--unkn"):
        G2P.encode_source("a", ["N,PL"])
    phones = PairVocab(Symbols(" ", ("a", "b", "tʃ")), Symbols("", ("a",)))
    with pytest.raises(UnknownCharacterError, match=r"knows; write its symbols apart: 'a b a'; `"):
        phones.encode_source("b aba")
    with pytest.raises(UnknownCharacterError) as caught:
        phones.encode_source("abx")
    assert "apart" not in str(caught.value)


def test_an_unknown_tag_is_named() -> None:
    with pytest.raises(
        UnknownCharacterError, match=r"the tag 'DU' is not .* knows: .*; `--unknown sk"
    ):
        G2P.encode_source("a", ["N", "DU"])
    with pytest.raises(UnknownCharacterError) as caught:
        G2P.encode_source("ay", ["N", "DU"])
    assert "the tag 'DU' is not among the 2 tags that the model knows (1 more is" in str(
        caught.value
    )


def test_known_tags_are_listed_the_nearest_first_and_not_too_many() -> None:
    def listed(tag: str, *known: str) -> str:
        letters = Symbols("", ("a",))
        with pytest.raises(UnknownCharacterError) as caught:
            PairVocab(letters, letters, known).encode_source("a", [tag])
        return str(caught.value).split(" knows")[1].split("; `")[0]

    assert listed("pst", "N", "PL", "PST", "V") == ": PST, PL, N, V"
    assert listed("V,PST", "N", "PST", "V") == ": PST, V, N; ';' separates tags"
    assert listed("x", "N\x1b") == ": N\\x1b"
    assert listed("x") == ""
    many = [f"case{number:02}" for number in range(30)]
    shown = listed("gen", *many, "gender").split(", ")
    assert shown[0] == ": gender"
    assert (len(shown), shown[-1]) == (9, "…")


def test_unknown_symbols_are_left_out_or_replaced() -> None:
    assert G2P.encode_source("ayb", ["DU", "N"], unknown="skip").tolist() == [4, 1, 2]
    assert G2P.encode_source("ayb", ["DU", "N"], unknown="replace").tolist() == [0, 4, 1, 0, 2]
    assert G2P.encode_target("a y").tolist() == [2, 1]
    with pytest.raises(CharseqError, match=r"^line 7: the model knows none of its symbols"):
        G2P.encode_source("yz", ["N"], unknown="skip", where="line 7")


def test_an_empty_source_is_refused() -> None:
    spaced = PairVocab(Symbols(" ", ("a",)), Symbols("", ("a",)))
    for vocab, text in ((G2P, ""), (spaced, ""), (spaced, "  ")):
        with pytest.raises(CharseqError, match="the source: is empty"):
            vocab.encode_source(text)
    with pytest.raises(CharseqError, match="the source: is empty"):
        G2P.encode_source("", ["N"])
    assert spaced.encode_target("").tolist() == []


def test_half_a_surrogate_pair_is_refused() -> None:
    for vocab in (G2P, PairVocab(Symbols(" ", ("a",)), Symbols("", ("a",)), normalize="NFD")):
        with pytest.raises(CharseqError, match=r"U\+D800 at position 2 is half of a surrogate"):
            vocab.encode_source("a\ud800", unknown="replace")


def test_ids_that_no_model_has_are_refused() -> None:
    for ids in ([5], [-1], [0, 9]):
        with pytest.raises(CharseqError, match=r"decode: the ids are not all in 0 … 4$"):
            G2P.decode_target(ids)
    with pytest.raises(CharseqError, match=r"decode: the ids are not all in 0 … 5$"):
        G2P.source_symbols([6])


def test_json_brings_it_back() -> None:
    vocab = PairVocab(G2P.source, G2P.target, G2P.features, "NFKD", reverse_source=True)
    for one in (G2P, vocab):
        assert PairVocab.from_json(json.loads(json.dumps(one.to_json()))) == one


def changed(path: str, value: Any) -> Any:
    data = G2P.to_json()
    *parents, last = path.split(".")
    place = data
    for name in parents:
        place = place[name]
    place[last] = value
    return data


HOSTILE = {
    "a number": 3,
    "nothing": {},
    "one key too many": {**G2P.to_json(), "more": 1},
    "a side that is a list": changed("source", ["a"]),
    "a side with other keys": changed("target", {"symbols": []}),
    "symbols as a string": changed("source.symbols", "abc"),
    "no source symbols": changed("source.symbols", []),
    "no target symbols": changed("target.symbols", []),
    "a symbol that is a number": changed("source.symbols", ["a", 1]),
    "a symbol that is an object": changed("source.symbols", [{}]),
    "two characters without a separator": changed("source.symbols", ["a", "bc"]),
    "an empty symbol": changed("target.symbols", ["", "a"]),
    "a symbol with the separator": changed("target.symbols", ["a", "b c"]),
    "half a surrogate pair": changed("source.symbols", ["\ud800"]),
    "a tab": changed("source.symbols", ["\t"]),
    "a line end": changed("target.symbols", ["a\nb"]),
    "a symbol twice": changed("source.symbols", ["a", "a"]),
    "disorder": changed("target.symbols", ["b", "a"]),
    "a separator of two": changed("target.separator", "ab"),
    "a tab as separator": changed("target.separator", "\t"),
    "half a pair as separator": changed("target.separator", "\udc00"),
    "no separator": changed("target.separator", None),
    "tags as a string": changed("features", "NV"),
    "a tag that is a number": changed("features", [1]),
    "a tag twice": changed("features", ["N", "N"]),
    "an empty tag": changed("features", [""]),
    "a tag of two": changed("features", ["N;V"]),
    "a tag with a space": changed("features", [" N"]),
    "another form": changed("normalize", "NFX"),
    "a form that is a list": changed("normalize", []),
    "reversed by a number": changed("reverse_source", 1),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_json_from_a_stranger_is_checked(data: Any) -> None:
    with pytest.raises(CharseqError, match=r"^vocabulary: "):
        PairVocab.from_json(data)


def test_an_accent_typed_apart_is_told_from_a_symbol_that_is_not_known() -> None:
    vocab = PairVocab(Symbols("", ("a", "é")), Symbols("", ("x",)))
    with pytest.raises(UnknownCharacterError, match=r"; as Unicode NFC writes them, .* all are; `"):
        vocab.encode_source("ae\u0301")
    with pytest.raises(UnknownCharacterError) as caught:
        vocab.encode_source("ao\u0301")
    assert "NFC" not in str(caught.value)
    apart = PairVocab(Symbols("", ("a", "e", "\u0301")), Symbols("", ("x",)))
    with pytest.raises(UnknownCharacterError, match=r"; as Unicode NFD writes them, .* all are; `"):
        apart.encode_source("aé")

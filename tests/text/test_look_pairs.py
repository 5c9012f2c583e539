"""What a look at a file of pairs notices, and what it leaves alone."""

import gzip
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.config import load_config
from charseq.config.recipes import PAIRS, Recipe
from charseq.config.schema import Seq2SeqConfig
from charseq.config.schema.seq2seq import PairDataConfig
from charseq.errors import CharseqError
from charseq.text.look import first_lines as first_lines_of_pairs
from charseq.text.look.columns import missing_columns
from charseq.text.look.first_lines import LINES, FirstLines, first_lines
from charseq.text.look.odd_lines import without_tab
from charseq.text.look.pairs import data_settings, look_at_pairs

ROOT = Path(__file__).parent.parent.parent
DRAW = random.Random(0)
WORDS = ["".join(DRAW.choices("abcdefghij", k=8)) for _ in range(200)]


def rows(*columns: Iterable[str]) -> list[str]:
    return ["\t".join(cells) for cells in zip(*columns, strict=False)]


def read_as(*lines: str) -> dict[str, Any]:
    """The settings of ``data`` that the lines ask for."""
    return data_settings(look_at_pairs(FirstLines([line.split("\t") for line in lines], True)))


PLAIN = rows(WORDS, reversed(WORDS))


def test_plain_pairs_are_left_alone() -> None:
    assert read_as(*PLAIN) == {}


def test_the_dates_that_come_with_charseq_have_tags_in_their_third_column() -> None:
    (notice,) = look_at_pairs(first_lines(ROOT / "data" / "dates" / "train.tsv"))
    assert notice.seen == "column 3 holds tags: data.features_column: 3"
    assert notice.settings == {("data", "features_column"): 3}


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("misspelled\tcorrect", ("misspelled", "correct")),
        ("source\ttarget", ("source", "target")),
        ("Word\t IPA ", ("Word", " IPA ")),
        ("tgt\tsrc", ("src", "tgt")),
        ("form\tlemma", ("form", "lemma")),
        ("id\tlemma\ttags\tform", ("lemma", "form", "tags")),
        ("Lemma\tForm\tMSD\tMSD", ("Lemma", "Form", 3)),
    ],
)
def test_a_first_line_of_known_names_is_a_header(
    header: str, columns: tuple[int | str, ...]
) -> None:
    body = rows(WORDS, reversed(WORDS), WORDS, WORDS)
    names = ("source_column", "target_column", "features_column")
    assert read_as(header, *body) == dict(zip(names, columns, strict=False))


@pytest.mark.parametrize("first", ["word\tword", "word\tMot", "form\tinform", "src\ttgt\tsrc"])
def test_a_first_line_that_may_be_a_pair_is_one(first: str) -> None:
    assert read_as(first, *PLAIN) == {}


def test_words_over_targets_without_letters_are_a_header() -> None:
    dates = [f"{1900 + number}-01-02" for number in range(100)]
    expected = {"source_column": "datum", "target_column": "iso"}
    assert read_as("datum\tiso", *rows(WORDS, dates)) == expected
    assert read_as("datum\tiso", *rows(WORDS, dates[1:])) == {}  # too few to tell
    assert read_as("datum\tiso", *rows(WORDS, [*dates, "so"])) == {}
    assert read_as("1 mai\tiso", *rows(WORDS, dates)) == {}


def test_tags_in_the_third_column() -> None:
    tags = ["N;PL", "V;PST;3", "", "N;SG", "V"] * 40
    assert read_as(*rows(WORDS, reversed(WORDS), tags)) == {"features_column": 3}
    assert read_as("lemma\tform\tinfo", *rows(WORDS, reversed(WORDS), tags)) == {
        "source_column": "lemma",
        "target_column": "form",
        "features_column": "info",
    }


@pytest.mark.parametrize(
    "third",
    [
        WORDS,  # further answers, or remarks
        ["1", "2.5", "3", "4"] * 50,  # counts
        ["de"] * 200,  # says nothing
        ["N", "V"] * 85,  # lacks in many lines
    ],
)
def test_a_third_column_of_something_else(third: list[str]) -> None:
    lines = [*rows(WORDS, reversed(WORDS), third), *PLAIN[len(third) :]]
    assert read_as(*lines) == {}
    seen = [
        notice.seen
        for notice in look_at_pairs(FirstLines([line.split("\t") for line in lines], False))
    ]
    said = "sources are column 1, targets column 2; column 3 is not read: if it holds tags, set "
    if len(third) == 200:
        assert seen == [f"{said}data.features_column: 3"]
    else:
        [notice] = seen
        assert notice.startswith(f"line 1 and {len(third) - 1} more: more than 2 columns; what is")


def test_tags_between_lemma_and_form() -> None:
    tags = ["N;PL", "V;PST", "N;SG", "V;3"] * 50
    assert read_as(*rows(WORDS, tags, reversed(WORDS))) == {
        "target_column": 3,
        "features_column": 2,
    }
    assert read_as(*rows(tags, WORDS, reversed(WORDS))) == {
        "source_column": 2,
        "target_column": 3,
        "features_column": 1,
    }
    assert read_as(*rows(WORDS, tags)) == {}  # they are what is predicted
    assert read_as(*rows(WORDS, [f"{one};" for one in WORDS], WORDS)) == {}


def test_spaces_between_phones_are_separators() -> None:
    phones = [" ".join(DRAW.choices(["t͡ʃ", "aː", "k", "ɛ̃"], k=5)) for _ in WORDS]
    assert read_as(*rows(WORDS, phones)) == {"target_separator": " "}
    assert read_as(*rows(phones, WORDS)) == {"source_separator": " "}
    assert read_as(*rows(WORDS, ["k", *phones])) == {"target_separator": " "}
    assert read_as(*rows(WORDS, ["k"] * 30 + phones)) == {}


@pytest.mark.parametrize(
    "targets",
    [
        ["one hundred and one", "two hundred"] * 100,  # words
        ["3 5 1979", "17 11 2001"] * 100,  # numbers
        [f"{one[:2]} {one[2:4]} {one[4:6]}" for one in map(str, range(10**6, 10**6 + 20_000, 97))],
        [" ".join(map(chr, range(code, code + 3))) for code in range(0x4E00, 0x5200, 3)],  # open
    ],
)
def test_spaces_between_anything_else(targets: list[str]) -> None:
    assert read_as(*rows(map(str, range(10**9, 10**9 + 200)), targets)) == {}


def test_what_nobody_sees_in_a_line_is_told() -> None:
    plain = [[word, word[::-1]] for word in WORDS]
    assert not look_at_pairs(FirstLines(plain, False))
    rows = [*plain, ["ab", "ba", "ab"], ["ab ", "ba"], ["abc", " cba"], ["abcd", "dcba", "", ""]]
    n = len(plain)
    assert [one.seen for one in look_at_pairs(FirstLines(rows, False))] == [
        f"line {n + 1} and 1 more: more than 2 columns; what is there is not read, unless"
        " data.further_targets: true says that they are further right targets",
        f"line {n + 2}: a space at an end of the source is a symbol like any other",
        f"line {n + 3}: a space at an end of the target is a symbol like any other",
    ]


def test_accents_typed_in_two_ways_are_told() -> None:
    """As where a part of a file was typed on a Mac; in print they are the same."""
    plain = [["ab", "ab"]] * 3
    rows = [*plain, ["caf\xe9", "x"], ["e\u0301t\xe9", "y"]]
    [notice] = [one for one in look_at_pairs(FirstLines(rows, True)) if "accents" in one.seen]
    assert notice.seen == (
        "line 5: accents of the source are characters of their own (Unicode NFD), elsewhere not:"
        " data.normalize: NFC"
    )
    assert notice.settings == {("data", "normalize"): "NFC"}
    rows = [["a", "\xe9"], ["b", "e\u0301"], *plain, ["c", "o\u0302"]]
    [notice] = [one for one in look_at_pairs(FirstLines(rows, True)) if "accents" in one.seen]
    assert notice.seen.startswith("line 2 and 1 more: accents of the target are characters of")
    assert notice.seen.endswith("targets are read as they are: save the file as NFC")
    assert notice.settings == {}
    rows = [*plain, ["e\u0301", "e\u0301"], ["xe\u0301", "ye\u0301"]]
    [notice] = [one for one in look_at_pairs(FirstLines(rows, True)) if "accents" in one.seen]
    assert notice.settings == {("data", "normalize"): "NFD"}
    for alike in ("\xe9", "ɛ̃"):  # the last has no other form
        rows = [*plain, [alike, alike], [f"x{alike}", f"y{alike}"]]
        assert not any("accents" in one.seen for one in look_at_pairs(FirstLines(rows, True)))
    for other in ("\u212b", "\u09dc"):  # other forms, which are no accents
        rows = [*plain, [other, other], ["\xe9", "\xe9"], ["\u09cb", "\u09cb"]]
        assert not any("accents" in one.seen for one in look_at_pairs(FirstLines(rows, True)))


@pytest.mark.parametrize(
    ("pairs", "config"),
    [
        (2_499, "configs/g2p_ady.yaml"),
        (2_500, "configs/g2p_fre.yaml"),
        (11_999, "configs/g2p_fre.yaml"),
        (12_000, None),
    ],
)
def test_few_pairs_are_trained_on_as_so_few_have_been(pairs: int, config: str | None) -> None:
    cells = [["lemma", "form"], *([str(number), f"{number}ed"] for number in range(pairs)), [""]]
    _, *seen = [notice.seen for notice in look_at_pairs(FirstLines(cells, True))]
    [empty] = without_tab(FirstLines(cells, True))
    assert empty.seen.startswith(f"line {pairs + 2:,}: empty; mend")
    assert len(seen) == (config is not None)
    assert all(line.startswith(f"{pairs:,} pairs, ") and str(config) in line for line in seen)
    assert len(look_at_pairs(FirstLines(cells, False))) == 1  # there are more of them


@pytest.mark.parametrize("recipe", PAIRS, ids=lambda recipe: recipe.source)
def test_a_recipe_is_the_configuration_that_it_names(recipe: Recipe) -> None:
    named = load_config(ROOT / recipe.source)
    assert isinstance(named, Seq2SeqConfig)
    sections: dict[str, dict[str, Any]] = {"data": {"train": "t.tsv"}, "model": {}, "train": {}}
    for (section, name), value in recipe.settings.items():
        sections[section][name] = value
    made = Seq2SeqConfig.model_validate(sections)
    assert (made.model, made.train) == (named.model, named.train)
    assert f"{recipe.made_for:,} words to train on" in (ROOT / recipe.source).read_text()
    assert recipe.made_for < recipe.below


def test_pairs_whose_symbols_move_get_attention_that_may_go_back() -> None:
    """Dates: the day comes first in one and last in the other; a word and its plural: no."""
    days = [(1 + n % 28, 1 + n % 12, 1950 + n % 77) for n in range(400)]
    dates = [[f"{d}/{m}/{y}", f"{y}-{m:02}-{d:02}"] for d, m, y in days]
    words = [[word, f"{word}s"] for word in WORDS]
    for cells, attention in ((dates, "general"), (words, "monotonic")):
        found = {
            k: v for n in look_at_pairs(FirstLines(cells, True)) for k, v in n.settings.items()
        }
        assert found["model", "attention"] == attention
        assert found["model", "num_layers"] == 2
        assert found["train", "spliced_pairs"] == (3200 if attention == "monotonic" else 0)


def test_a_line_that_ends_before_its_source_is_passed_over() -> None:
    cells = [["target", "x", "source"], *[["b", "y"]] * 200, *[["cat", "y", "act"]] * 200]
    seen = [notice.seen for notice in look_at_pairs(FirstLines(cells, True))]
    assert seen[-1].startswith("33% of the letters")  # c and a of "act", not t


def test_the_first_lines_of_a_file_however_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    text = "\ufeffé\tx\r\n\r\nb\ty\tz".encode()
    expected = FirstLines([["é", "x"], [""], ["b", "y", "z"]], True)
    for data in (text, text + b"\n", gzip.compress(text)):
        path.write_bytes(data)
        assert first_lines(path) == expected
    path.write_bytes(b"caf\xe9\tx\n")  # who reads it all refuses it
    assert first_lines(path).cells == [["caf\ufffd", "x"]]


def test_a_large_file_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(b"a\tb\n" * LINES)
    assert first_lines(path).whole
    path.write_bytes(b"a\tb\n" * (LINES + 1))
    lines = first_lines(path)
    assert (len(lines.cells), lines.whole) == (LINES, False)
    monkeypatch.setattr(first_lines_of_pairs, "BYTES", 10)  # in the middle of the third line
    assert first_lines(path) == FirstLines([["a", "b"]] * 2, False)
    path.write_bytes(b"a\t" + b"b" * 9 + b"\n")
    with pytest.raises(
        CharseqError, match=r"t\.tsv:1: the line is longer than 10 bytes; a file of "
    ):
        first_lines(path)


def test_files_at_which_nobody_can_look(tmp_path: Path) -> None:
    damaged = tmp_path / "t.tsv.gz"
    damaged.write_bytes(gzip.compress(b"a\tb\n" * 99)[:-9])
    empty = tmp_path / "empty.tsv"
    empty.touch()
    for path, why in (
        (damaged, "t.tsv.gz: cannot be read: Compressed file ended"),
        (empty, "the file is empty"),
        (tmp_path / "none.tsv", "there is no such file"),
        (tmp_path / ("x" * 300), "cannot be read: File name too long"),
        (tmp_path, "is a folder"),
    ):
        with pytest.raises(CharseqError, match=why):
            first_lines(path)


def test_lines_without_a_tab_say_so() -> None:
    (notice,) = look_at_pairs(FirstLines([["a,b"], ["c,d"]], True))
    assert notice == ("no line has a tab between a source and a target", {})


@pytest.mark.parametrize(
    ("wrong", "seen"),
    [([7], "line 8: no tab between"), ([2, 5, 7], "line 3 and 2 more: no tab between"), ([], "")],
)
def test_single_lines_without_a_tab_are_named(wrong: list[int], seen: str) -> None:
    cells = [["a"] if i in wrong else [f"a{i}", f"b{i}"] for i in range(9)]
    said = [notice.seen for notice in without_tab(FirstLines(cells, True))]
    assert [line.startswith(seen) and line.endswith("data.errors: skip") for line in said] == (
        [True] if seen else []
    )


@given(st.lists(st.lists(st.text(max_size=5), min_size=1, max_size=4), min_size=1, max_size=30))
def test_any_cells_are_looked_at_and_what_is_said_is_safe_to_show(cells: list[list[str]]) -> None:
    names = [["word", "pron", *cells[0]], *cells]
    for lines in (FirstLines(cells, True), FirstLines(names, True)):
        for notice in look_at_pairs(lines):
            assert notice.seen.isprintable()
        settings = data_settings(look_at_pairs(lines))
        PairDataConfig.model_validate({"train": "t.tsv", **settings})


def test_a_hostile_name_is_shown_as_the_configuration_writes_it() -> None:
    tags = ["N", "V", "A", "P"] * 50
    lines = ["word\tpron\t\x1b[2J\u202e", *rows(WORDS, reversed(WORDS), tags)]
    _, notice, *_ = look_at_pairs(FirstLines([line.split("\t") for line in lines], True))
    assert notice.seen == 'column 3 holds tags: data.features_column: "\\x1b[2J\\u202e"'


def test_columns_that_a_file_lacks() -> None:
    lines = FirstLines([["word", "pron", "pron"], ["a", "b", "c"]], True)

    def lacking(**columns: int | str) -> dict[str, str]:
        return dict(missing_columns(lines, PairDataConfig(train="t.tsv", **columns)))  # type: ignore[arg-type]

    assert lacking() == {}
    assert lacking(source_column="word", target_column=2) == {}
    assert lacking(source_column="Word", features_column=4) == {
        "source_column": "no column is called 'Word': the first line has 'word', 'pron', 'pron'; "
        "did you mean 'word'?",
        "features_column": "there is no column 4: the first lines have 3",
    }
    assert lacking(target_column="pron") == {
        "target_column": "several columns are called 'pron'; choose one by its number"
    }


def test_a_column_of_targets_is_not_one_of_tags_by_its_name() -> None:
    rows = [["year", "tag"], *([word, str(1900 + n)] for n, word in enumerate(WORDS))]
    found = data_settings(look_at_pairs(FirstLines(rows, True)))
    assert found == {"source_column": "year", "target_column": "tag"}


NAMES = ("source", "target", "tags", "word", "form", "tag", "", "x", "V;PST", "1")


@given(
    header=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4),
    cells=st.lists(st.sampled_from(("a b", "ab", "V;PST", "N", "7", "")), min_size=1, max_size=4),
    times=st.sampled_from((1, 120)),
)
def test_whatever_is_noticed_can_be_read_so(
    header: list[str], cells: list[str], times: int
) -> None:
    found = data_settings(look_at_pairs(FirstLines([header, *[cells] * times], True)))
    PairDataConfig.model_validate({"train": "t.tsv", **found})


def test_a_first_line_in_other_letters_may_be_a_header() -> None:
    words = [["слово" + "аб" * n, "слава" + "аб" * n] for n in range(120)]
    said = "line 1 is read as a pair; if it names the columns, set data.source_column: "
    for first, settings in (
        (["old", "new"], "old, data.target_column: new"),
        (["слово", "new"], '"слово", data.target_column: new'),
        (["ваб", "баб"], None),
    ):
        seen = [one.seen for one in look_at_pairs(FirstLines([first, *words], True))]
        odd = [one for one in seen if one.startswith(said)]
        assert odd == ([said + settings] if settings else [])
    signs = [[chr(0x4E00 + n), f"ab{n % 7}"] for n in range(150)]  # each stands in one line alone
    assert not any(one.seen.startswith(said) for one in look_at_pairs(FirstLines(signs, True)))
    few = look_at_pairs(FirstLines([["old", "new"], *words[:50]], True))
    assert not any(one.seen.startswith(said) for one in few)


def test_a_header_is_one_in_the_first_line_only() -> None:
    """That is where columns are looked up; and what it is called is no pair."""
    body = [[word, word] for word in WORDS]
    names = [["source", "target"], *body]
    assert data_settings(look_at_pairs(FirstLines(names, False)))["source_column"] == "source"
    for line in (["# made by us"], [""]):
        assert data_settings(look_at_pairs(FirstLines([line, *names], False))) == {}
    header = [" Source ", "target"]
    (notice,) = look_at_pairs(FirstLines([header, *body], False))
    assert notice.seen.startswith("the first line names the columns")

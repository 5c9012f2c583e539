"""What the columns of a file of pairs are."""

import pytest
from looked_at import DRAW, PLAIN, WORDS, noticed, read_as, rows

from charseq.config.schema.seq2seq import PairDataConfig
from charseq.text.look.columns import missing_columns
from charseq.text.look.first_lines import FirstLines
from charseq.text.look.pairs import data_settings


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
    seen = [notice.seen for notice in noticed([line.split("\t") for line in lines])]
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
    found = data_settings(noticed(rows))
    assert found == {"source_column": "year", "target_column": "tag"}


def test_a_header_is_one_in_the_first_line_only() -> None:
    """That is where columns are looked up; and what it is called is no pair."""
    body = [[word, word] for word in WORDS]
    names = [["source", "target"], *body]
    assert data_settings(noticed(names))["source_column"] == "source"
    for line in (["# made by us"], [""]):
        assert data_settings(noticed([line, *names])) == {}
    header = [" Source ", "target"]
    (notice,) = noticed([header, *body])
    assert notice.seen.startswith("the first line names the columns")

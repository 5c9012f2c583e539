"""A file of pairs is read as it stands, and each wrong line is told with its number and reason."""

import gzip
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.config.schema.seq2seq import PairDataConfig
from charseq.errors import CharseqError
from charseq.text.rows import Mistakes, Rows, read_rows

Cells = list[tuple[int, str, tuple[str, ...], str]]


def read(path: Path, content: str | bytes, **settings: Any) -> tuple[Cells, Mistakes]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    mistakes = Mistakes()
    rows = read_rows(path, PairDataConfig(train="unused", **settings), mistakes)
    return cells(rows), mistakes


def cells(rows: Rows) -> Cells:
    return list(zip(rows.lines, rows.sources, rows.features, rows.targets, strict=True))


def pairs(found: Cells) -> list[tuple[str, str]]:
    return [(source, target) for _, source, _, target in found]


def right(path: Path, content: str | bytes, **settings: Any) -> Cells:
    found, mistakes = read(path, content, **settings)
    assert mistakes.first == []
    return found


@pytest.fixture
def tsv(tmp_path: Path) -> Path:
    return tmp_path / "pairs.tsv"


def test_two_columns(tsv: Path) -> None:
    assert right(tsv, "a\tb\nc d\t é\n") == [(1, "a", (), "b"), (2, "c d", (), " é")]


def test_the_last_line_needs_no_end(tsv: Path) -> None:
    assert right(tsv, "a\tb\nc\td") == right(tsv, "a\tb\nc\td\n")


def test_a_byte_order_mark_and_line_ends_of_windows(tsv: Path) -> None:
    assert pairs(right(tsv, "\ufeffa\tb\r\nc\td\r\n")) == [("a", "b"), ("c", "d")]
    assert pairs(right(tsv, "\ufeff\ufeffa\tb")) == [("\ufeffa", "b")]


def test_only_lf_ends_a_line(tsv: Path) -> None:
    strange = "\r\u2028\u2029\x0b\x0c\x1c\x85"
    assert pairs(right(tsv, f"a{strange}b\tc{strange}d\nx\ty\n")) == [
        (f"a{strange}b", f"c{strange}d"),
        ("x", "y"),
    ]


@given(
    wanted=st.lists(
        st.tuples(
            *[
                st.text(
                    st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r\ufeff"),
                    min_size=1,
                    max_size=9,
                )
            ]
            * 2
        ),
        min_size=1,
        unique=True,
    ),
    end=st.sampled_from(["\n", "\r\n"]),
    packed=st.booleans(),
)
def test_any_pairs_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    wanted: list[tuple[str, str]],
    end: str,
    packed: bool,
) -> None:
    content = "".join(f"{source}\t{target}{end}" for source, target in wanted).encode()
    path = tmp_path_factory.getbasetemp() / "any.tsv"
    assert pairs(right(path, gzip.compress(content) if packed else content)) == wanted


def test_columns_by_number(tsv: Path) -> None:
    content = "a\tb\tc\td\n"
    assert pairs(right(tsv, content, source_column=4, target_column=2)) == [("d", "b")]
    assert right(tsv, "w\tV;PST; ;3\tx\n", target_column=3, features_column=2) == [
        (1, "w", ("V", "PST", "3"), "x")
    ]


def test_columns_by_name_begin_with_a_header(tsv: Path) -> None:
    content = "id\tword\tpron\ttags\n7\tcat\tk æ t\tN\n"
    found = right(tsv, content, source_column="word", target_column=3, features_column="tags")
    assert found == [(2, "cat", ("N",), "k æ t")]


def test_a_column_that_the_header_lacks(tsv: Path) -> None:
    content = "id\tword\tpro\x1bn\n1\ta\tb\n"
    with pytest.raises(CharseqError) as caught:
        read(tsv, content, source_column="words", target_column=3)
    assert str(caught.value) == (
        f"{tsv}:1: data.source_column: no column is called 'words': the first line has 'id', "
        "'word', 'pro\\x1bn'; did you mean 'word'?"
    )
    with pytest.raises(CharseqError, match=r"data\.features_column: .*'XYZ': .*'pro\\x1bn'$"):
        read(tsv, content, features_column="XYZ")


def test_a_header_that_goes_on_and_on_is_not_all_shown(tsv: Path) -> None:
    header = "\t".join(["x" * 100_000, *(f"column{i}" for i in range(1000))])
    with pytest.raises(CharseqError) as caught:
        read(tsv, f"{header}\n", source_column="column")
    assert len(str(caught.value)) < 500


def test_a_name_that_two_columns_have(tsv: Path) -> None:
    with pytest.raises(CharseqError, match=r"several columns are called 'a'; choose one by its n"):
        read(tsv, "a\tb\ta\n", source_column="a")


def test_two_settings_for_one_column(tsv: Path) -> None:
    with pytest.raises(CharseqError) as caught:
        read(tsv, "a\tb\n", source_column="b")
    why = "data.target_column: is column 2, as data.source_column is; choose two"
    assert str(caught.value) == f"{tsv}:1: {why}"
    with pytest.raises(CharseqError) as caught:
        read(tsv, "a\tb\n", source_column="x", target_column="y")
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == [
        "data.source_column",
        "data.target_column",
    ]


def test_further_targets_are_further_rows(tsv: Path) -> None:
    content = "a\tb\tc\t\td\t\t\nx\ty\n"
    found = right(tsv, content, further_targets=True)
    assert found == [(1, "a", (), "b"), (1, "a", (), "c"), (1, "a", (), "d"), (2, "x", (), "y")]
    assert pairs(right(tsv, content)) == [("a", "b"), ("x", "y")]


def test_source_and_tags_are_no_further_targets(tsv: Path) -> None:
    found = right(
        tsv,
        "b\tN;PL\tc\ta\n",
        source_column=4,
        target_column=1,
        features_column=2,
        further_targets=True,
    )
    assert found == [(1, "a", ("N", "PL"), "b"), (1, "a", ("N", "PL"), "c")]


def test_sources_are_normalized_and_separators_tidied(tsv: Path) -> None:
    found = right(tsv, "é\t a  b \n", normalize="NFD", target_separator=" ")
    assert pairs(found) == [("e\u0301", "a b")]
    assert pairs(right(tsv, "a  b\té\n", normalize="NFD", source_separator=" ")) == [("a b", "é")]


WRONG = {
    "no tab": ("a b\n", "no tab", "there is no tab between a source and a target"),
    "empty line": ("\n", "empty line", "the line is empty"),
    "empty line of windows": ("\r\n", "empty line", "the line is empty"),
    "empty source": ("\tx\n", "empty source", "the source is empty"),
    "source of separators": ("  \tx\n", "empty source", "the source is empty"),
    "empty target": ("x\t\n", "empty target", "the target is empty"),
    "long source": (
        "a b c d\tx\n",
        "long source",
        "the source has 4 symbols; data.max_source_length is 3",
    ),
    "long target": (
        "x\tabcde\n",
        "long target",
        "the target has 5 symbols; data.max_target_length is 4",
    ),
    "duplicate": (
        "a\tb\n",
        "duplicate",
        "the same source and target stand in line 1 already",
    ),
}


@pytest.mark.parametrize(("line", "reason", "why"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_line_is_told_and_left_out(tsv: Path, line: str, reason: str, why: str) -> None:
    content = f"a\tb\na b c\tabcd\n{line}x\ty\n"
    found, mistakes = read(
        tsv, content, source_separator=" ", max_source_length=3, max_target_length=4
    )
    assert pairs(found) == [("a", "b"), ("a b c", "abcd"), ("x", "y")]
    assert mistakes.count == {reason: 1}
    assert mistakes.first == [f"{tsv}:3: {why}"]


def test_a_line_with_too_few_columns(tsv: Path) -> None:
    found, mistakes = read(tsv, "a\tb\tN\na\tb\n", features_column=3)
    assert found == [(1, "a", ("N",), "b")]
    assert mistakes.first == [f"{tsv}:2: the line has 2 columns; data.features_column is column 3"]
    assert mistakes.count == {"too few columns": 1}


def test_the_header_counts_among_the_lines(tsv: Path) -> None:
    _, mistakes = read(tsv, "source\ttarget\na\n", source_column="source")
    assert mistakes.first[0].startswith(f"{tsv}:2: ")


def test_another_target_or_other_tags_make_no_duplicate(tsv: Path) -> None:
    found, mistakes = read(
        tsv, "a\tb\tN\na\tc\tN\na\tb\tV\na\tb\t N\n", features_column=3, further_targets=True
    )
    assert [line for line, *_ in found] == [1, 2, 3]
    why = "the same source, tags and target stand in line 1 already"
    assert mistakes.first == [f"{tsv}:4: {why}"]


def test_duplicates_that_differ_in_a_column_nobody_reads_are_told_so(tsv: Path) -> None:
    _, mistakes = read(tsv, "a\tb\tN\na\tb\tV\na\tb\tN\n")
    assert [line.partition("already")[2] for line in mistakes.first] == [
        "; other columns differ: should `data.features_column` name one?",
        "",
    ]


def test_sources_that_normalization_makes_the_same_are_duplicates(tsv: Path) -> None:
    _, mistakes = read(tsv, "é\tx\ne\u0301\tx\n", normalize="NFC")
    assert mistakes.count == {"duplicate": 1}
    assert right(tsv, "é\tx\ne\u0301\tx\n")


def test_a_wrong_answer_leaves_the_others_of_its_line(tsv: Path) -> None:
    found, mistakes = read(
        tsv, "a\tb\na\tb\tccc\td\td\n", further_targets=True, max_target_length=2
    )
    assert pairs(found) == [("a", "b"), ("a", "d")]
    assert mistakes.count == {"duplicate": 2, "long target": 1}


def test_the_first_ten_mistakes_are_listed(tsv: Path) -> None:
    _, mistakes = read(tsv, "a\tb\n" + "x\n" * 12)
    with pytest.raises(CharseqError) as caught:
        mistakes.refuse()
    lines = str(caught.value).split("\n")
    assert lines[0] == f"{tsv}:2: there is no tab between a source and a target"
    assert lines[9].startswith(f"{tsv}:11: ")
    assert lines[10:] == [
        "and 2 more",
        "correct them, or set `data.errors: skip` to leave them out and count them",
    ]
    assert mistakes.count.total() == 12
    Mistakes().refuse()  # nothing is wrong


def test_an_archive_is_known_by_its_first_bytes(tsv: Path) -> None:
    content = b"a\tb\r\n"
    mistakes = Mistakes()
    data = PairDataConfig(train="unused")
    tsv.write_bytes(gzip.compress(content))
    packed = read_rows(tsv, data, mistakes)
    tsv.write_bytes(content)
    plain = read_rows(tsv, data, mistakes)
    assert cells(packed) == cells(plain) == [(1, "a", (), "b")]
    assert packed.sha256 == plain.sha256 == hashlib.sha256(content).hexdigest()


def test_a_damaged_archive(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv.gz"
    whole = gzip.compress(b"a\tb\n" * 999)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for damaged in (whole[:-5], bytes(flipped), whole[:4], whole + b"more"):
        with pytest.raises(CharseqError, match=r"pairs\.tsv\.gz: is a damaged gzip archive \("):
            read(path, damaged)
    with pytest.raises(CharseqError, match=r"pairs\.tsv\.gz: is no gzip archive; give it another"):
        read(path, "a\tb\n")


def test_a_text_is_told_once_that_it_holds_no_pairs(tsv: Path) -> None:
    for content in ("a\n\nb c\n" * 999, "a", "\n"):
        with pytest.raises(CharseqError) as caught:
            read(tsv, content)
        assert str(caught.value) == (
            f"{tsv}:1: there is no tab between a source and a target, in this line or any other; "
            "take a file of pairs, or put a tab between the two in each line"
        )
    with pytest.raises(CharseqError, match=r"\(commas stand there: save the table with tabs\)$"):
        read(tsv, "cat,k\ndog,d\n")
    with pytest.raises(CharseqError, match="in this line or any other"):
        read(tsv, "source\na\n", source_column="source", target_column="target")
    found, mistakes = read(tsv, "a\n\nb\n", errors="skip")
    assert (found, mistakes.count) == ([], {"no tab": 2, "empty line": 1})
    found, mistakes = read(tsv, "a\nb\tc\nd\n")
    assert (found, mistakes.count) == ([(2, "b", (), "c")], {"no tab": 2})


def test_bytes_that_are_not_utf8_are_named_with_their_line(tsv: Path) -> None:
    content = "a\té\nb\t".encode() + b"\xe9\n"
    for packed in (content, gzip.compress(content)):
        with pytest.raises(CharseqError) as caught:
            read(tsv, packed)
        assert str(caught.value).startswith(f"{tsv}:2: byte 0xe9 at byte offset 7 is not UTF-8 (")
        assert str(caught.value).endswith("); convert the file to UTF-8")
    with pytest.raises(CharseqError, match=r"it begins as UTF-16 does; .*iconv -f UTF-16"):
        read(tsv, "a\tb\n".encode("utf-16"))


def test_a_file_without_pairs(tsv: Path) -> None:
    for nothing in ("", "\ufeff", gzip.compress(b"")):
        with pytest.raises(CharseqError, match=r"pairs\.tsv: the file is empty"):
            read(tsv, nothing)
    assert right(tsv, "source\ttarget\n", source_column="source") == []


def test_lines_that_end_with_cr_alone(tsv: Path) -> None:
    with pytest.raises(CharseqError, match=r"pairs\.tsv: its lines end with CR alone; save them"):
        read(tsv, "a\tb\rc\td\r")


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, why in {
        tmp_path / "abs\x1bent": r"abs\\x1bent: there is no such file",
        tmp_path: "is a folder",
        pipe: "is not a regular file",
    }.items():
        with pytest.raises(CharseqError, match=why):
            read_rows(path, PairDataConfig(train="unused"), Mistakes())


def test_some_of_the_rows(tsv: Path) -> None:
    tsv.write_text("a\tb\nc\td\ne\tf\n")
    rows = read_rows(tsv, PairDataConfig(train="unused"), Mistakes())
    some = rows.take([2, 0])
    assert cells(some) == [(3, "e", (), "f"), (1, "a", (), "b")]
    assert (len(some), some.where(0)) == (2, f"{tsv}:3")

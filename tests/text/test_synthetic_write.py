"""Rows become files: no source in two parts, whole or not at all, nobody's file lost unasked."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import CharseqError
from charseq.text.synthetic.draw import Row
from charseq.text.synthetic.write import (
    About,
    check_folder,
    split_rows,
    unseen_targets,
    write_folder,
)

ABOUT = About("Letters", ("source: a letter", "target: another"), ("Nothing more.",))
PARTS: dict[str, list[Row]] = {"train": [("a", "b"), ("é", "  ")], "test": [("c", "d", "")]}


def numbered(count: int) -> list[Row]:
    return [(str(number), "x") for number in range(count)]


def test_shares_are_counted_in_rows() -> None:
    parts = split_rows(numbered(1000), (0.8, 0.15, 0.05))
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 800,
        "valid": 150,
        "test": 50,
    }
    assert [row for part in parts.values() for row in part] == numbered(1000)


def test_a_part_without_a_share_is_left_out() -> None:
    assert list(split_rows(numbered(10), (0.9, 0.1, 0.0))) == ["train", "valid"]
    assert list(split_rows(numbered(1), (1.0, 0.0, 0.0))) == ["train"]


@given(
    st.lists(st.tuples(st.sampled_from("abcdefghij"), st.integers(0, 9)), min_size=30),
    st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.25, 0.25), (0.6, 0.4, 0.0), (0.6, 0.0, 0.4)]),
)
def test_no_source_is_in_two_parts(
    drawn: list[tuple[str, int]], shares: tuple[float, float, float]
) -> None:
    rows = [(source, str(target)) for source, target in drawn]
    try:
        parts = split_rows(rows, shares)
    except CharseqError:  # one source has nearly all rows
        assert max(sum(row[0] == source for row in rows) for source, _ in rows) > 2
        return
    sources = [{row[0] for row in part} for part in parts.values()]
    assert sum(map(len, sources)) == len(set.union(*sources))
    assert sorted(row for part in parts.values() for row in part) == sorted(rows)


def test_too_few_rows_for_a_share() -> None:
    with pytest.raises(CharseqError, match=r"4 rows are too few for a share of 0\.1 for valid"):
        split_rows(numbered(4), (0.8, 0.1, 0.1))


def test_unseen_targets_are_rows_of_the_test() -> None:
    train, test = [("a", "1"), ("b", "2")], [("c", "1"), ("d", "3"), ("e", "3")]
    assert unseen_targets({"train": train, "test": test}) == 2
    assert unseen_targets({"train": train}) is None


def test_what_is_written_is_utf8_lines_and_how_they_came_to_be(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    write_folder(folder, PARTS, ABOUT, "charseq data make letters")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "test.tsv", "train.tsv"]
    assert (folder / "train.tsv").read_bytes() == b"a\tb\n\xc3\xa9\t  \n"
    assert (folder / "test.tsv").read_bytes() == b"c\td\t\n"
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert "\n    charseq data make letters\n" in readme
    assert "| `train.tsv` | 2 |" in readme
    assert "1. source: a letter\n2. target: another\n" in readme
    assert "Of the 1 test rows, 1 have a target" in readme


@pytest.mark.parametrize("name", ["train.tsv", "valid.tsv", "test.tsv", "README.md"])
def test_a_file_that_is_there_is_not_overwritten_unasked(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(CharseqError, match=rf"has {name} already; .*--force"):
        check_folder(tmp_path, force=False)
    with pytest.raises(CharseqError, match=rf"has {name} already; .*--force"):
        write_folder(tmp_path, PARTS, ABOUT, "x")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_force_leaves_no_file_of_the_making_before(tmp_path: Path) -> None:
    for name in ("train.tsv", "valid.tsv", "notes.txt"):
        (tmp_path / name).write_text("old")
    write_folder(tmp_path, PARTS, ABOUT, "x", force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "README.md",
        "notes.txt",
        "test.tsv",
        "train.tsv",
    ]
    assert (tmp_path / "train.tsv").read_text(encoding="utf-8") != "old"


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_full_disk_leaves_everything_as_it_was(
    tmp_path: Path, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.tsv").write_text("old")
    calls = 0

    def fsync(_: int) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(CharseqError, match="cannot be written: No space left on device"):
        write_folder(tmp_path, PARTS, ABOUT, "x", force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["train.tsv"]
    assert (tmp_path / "train.tsv").read_text() == "old"


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(CharseqError, match="data: is a file; name a folder"):
        write_folder(tmp_path / "data", PARTS, ABOUT, "x", force=True)
    with pytest.raises(CharseqError, match=r"data.deeper: cannot be written: Not a directory"):
        write_folder(tmp_path / "data" / "deeper", PARTS, ABOUT, "x")

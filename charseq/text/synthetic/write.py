"""Rows as a folder of training, validation and test files, with a README of how they were made."""

import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from charseq.errors import CharseqError
from charseq.files import to_disk
from charseq.text.characters import escape
from charseq.text.synthetic.draw import Row

README = "README.md"
WIDTH = 100  # of a line of the README
PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class About:
    """What the README says of the rows: a title, a line a column, and paragraphs after these."""

    title: str
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()


def split_rows(rows: Sequence[Row], shares: tuple[float, float, float]) -> dict[str, list[Row]]:
    """The rows of train, valid and test, in their order; a part with no share is left out.

    No source is in two parts: where one has several rows, the part before a border gets all of
    them, and is so much larger than its share.

    Raises:
        CharseqError: a part with a share would get no row.
    """
    by_source: dict[str, list[Row]] = {}
    for row in rows:
        by_source.setdefault(row[0], []).append(row)
    ordered = [row for group in by_source.values() for row in group]

    held_out = [round(len(rows) * share) for share in shares[1:]]
    borders = [0, len(rows) - sum(held_out), len(rows) - held_out[1], len(rows)]
    for index in (1, 2):
        while 0 < borders[index] < len(rows) and (
            ordered[borders[index]][0] == ordered[borders[index] - 1][0]
        ):
            borders[index] += 1
    parts = {}
    for name, share, start, end in zip(PARTS, shares, borders, borders[1:], strict=False):
        if share and end <= start:
            raise CharseqError(
                f"{len(rows):,} rows are too few for a share of {share:g} for {name}; raise --size "
                "or change --split"
            )
        if share:
            parts[name] = ordered[start:end]
    return parts


def unseen_targets(parts: Mapping[str, Sequence[Row]]) -> int | None:
    """How many rows of the test have a target that no training row has; None without a test."""
    if "test" not in parts:
        return None
    trained = {row[1] for row in parts["train"]}
    return sum(row[1] not in trained for row in parts["test"])


def check_folder(folder: Path, force: bool) -> None:
    """Refuse a folder that holds one of the files that would be written, unless ``force``.

    Raises:
        CharseqError: names the files that are there.
    """
    if folder.exists() and not folder.is_dir():
        raise CharseqError(f"{escape(str(folder))}: is a file; name a folder")
    there = [name for name in _names() if (folder / name).exists()]
    if there and not force:
        raise CharseqError(
            f"{escape(str(folder))}: has {', '.join(there)} already; name another folder, or add "
            "--force to overwrite"
        )


def write_folder(
    folder: Path,
    parts: Mapping[str, Sequence[Row]],
    about: About,
    command: str,
    *,
    force: bool = False,
) -> None:
    """Write ``PART.tsv`` for each part, and the README: UTF-8, LF, no header line.

    All files are complete on the disk before the first gets its name. With ``force``, files of a
    part that is no longer made are removed, so that all files of the folder are of one making.

    Args:
        command: what to type to make the same files again.

    Raises:
        CharseqError: a file is there already, or the folder cannot be written.
    """
    check_folder(folder, force)
    contents = {
        f"{name}.tsv": "".join("\t".join(row) + "\n" for row in rows)
        for name, rows in parts.items()
    }
    contents[README] = _readme(parts, about, command)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=folder) as made:
            for name, content in contents.items():
                with Path(made, name).open("wb") as file:
                    file.write(content.encode())
                    to_disk(file)
            for name in contents:
                Path(made, name).replace(folder / name)
        for name in _names():
            if name not in contents:
                (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise CharseqError(
            f"{escape(str(folder))}: cannot be written: {error.strerror}; name another folder"
        ) from None


def _names() -> list[str]:
    return [*(f"{name}.tsv" for name in PARTS), README]


def _readme(parts: Mapping[str, Sequence[Row]], about: About, command: str) -> str:
    lines = [f"# {about.title}", "", "Made by", "", f"    {command}", ""]
    lines += ["| file | rows |", "|---|---:|"]
    lines += [f"| `{name}.tsv` | {len(rows):,} |" for name, rows in parts.items()]
    lines += ["", "UTF-8, no header line, columns separated by tabs:", ""]
    for number, column in enumerate(about.columns, 1):
        lines += textwrap.wrap(f"{number}. {column}", WIDTH, subsequent_indent="   ")
    apart = "No source is in two of the files."
    unseen = unseen_targets(parts)
    if unseen is not None:
        count = f"Of the {len(parts['test']):,} test rows, {unseen:,}"
        apart += f" {count} have a target that no training row has."
    for note in (apart, *about.notes):
        lines += ["", *textwrap.wrap(note, WIDTH)]
    return "\n".join(lines) + "\n"

"""``charseq data make dates | addition | reverse | numbers``: made pairs."""

import shlex
import string
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charseq.cli.asides import progress_bar
from charseq.cli.writing import print_json
from charseq.errors import CharseqError

if TYPE_CHECKING:
    from charseq.progress import Progress
    from charseq.text.synthetic.draw import Row
    from charseq.text.synthetic.write import About

make_app = typer.Typer(
    help="Make pairs to train on: train.tsv, valid.tsv and test.tsv, and a README.md that says "
    "how.\n\nThe same command makes the same files on every machine.\n\n"
    "Example: charseq data make addition --size 50000 --out data/addition",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Size = Annotated[int, typer.Option(min=1, help="Rows in all.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="The folder to write.")]
Seed = Annotated[int, typer.Option(min=0, help="Of every draw.")]
Split = Annotated[
    str,
    typer.Option(
        metavar="SHARES",
        help="Shares of train/valid/test. No source is in two of them; a part whose share is 0 is "
        "not written.",
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Overwrite train.tsv, valid.tsv, test.tsv and README.md."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the numbers of rows as JSON.")]

SHARES = "0.8/0.1/0.1"


@make_app.command()
def dates(
    size: Size,
    out: Out,
    seed: Seed = 0,
    split: Split = SHARES,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Dates in English, French, German and Spanish -> 1979-05-03.

    A third column names the locale where the order of day and month depends on it. Needs the
    package babel.

    Example: charseq data make dates --size 20000 --out data/dates
    """
    from charseq.text.synthetic.dates import about_dates, date_rows

    _make(
        {"dates": None, "size": size, "seed": seed},
        lambda progress: date_rows(size, seed, progress),
        about_dates,
        out=out,
        split=split,
        force=force,
        as_json=as_json,
    )


@make_app.command()
def addition(
    size: Size,
    out: Out,
    digits: Annotated[int, typer.Option(min=1, max=15, help="Of the longest number.")] = 3,
    pad: Annotated[
        bool, typer.Option(help="Fill questions and answers with spaces to one length.")
    ] = True,
    reverse: Annotated[
        bool, typer.Option(help="Turn the questions around, after they are padded.")
    ] = False,
    seed: Seed = 0,
    split: Split = SHARES,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Sums -> what they come to: 535+61 -> 596, as Keras's example addition_rnn makes them.

    No two rows add the same two numbers.

    Example: charseq data make addition --digits 3 --size 50000 --out data/addition
    """
    from charseq.text.synthetic.addition import about_addition, addition_rows

    options = {"digits": digits, "pad": pad, "reverse": reverse, "size": size, "seed": seed}
    _make(
        {"addition": None, **options},
        lambda progress: addition_rows(
            size, seed, digits, pad=pad, reverse=reverse, progress=progress
        ),
        lambda: about_addition(digits, pad=pad, reverse=reverse),
        out=out,
        split=split,
        force=force,
        as_json=as_json,
    )


@make_app.command()
def reverse(
    size: Size,
    out: Out,
    alphabet: Annotated[
        str, typer.Option(help="The characters of the strings.")
    ] = string.ascii_lowercase,
    min_length: Annotated[int, typer.Option(min=1, help="Of a string.")] = 1,
    max_length: Annotated[int, typer.Option(min=1, max=10_000, help="Of a string.")] = 20,
    seed: Seed = 0,
    split: Split = SHARES,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Random strings -> the same turned around: abc -> cba.

    Example: charseq data make reverse --size 10000 --max-length 30 --out data/reverse
    """
    from charseq.text.synthetic.reverse import about_reverse, reverse_rows

    options = {"alphabet": alphabet, "min-length": min_length, "max-length": max_length}
    _make(
        {"reverse": None, **options, "size": size, "seed": seed},
        lambda progress: reverse_rows(size, seed, alphabet, min_length, max_length, progress),
        about_reverse,
        out=out,
        split=split,
        force=force,
        as_json=as_json,
    )


@make_app.command()
def numbers(
    size: Size,
    out: Out,
    language: Annotated[
        str, typer.Option(help="A language of num2words: en, de, fr, es, pt_BR, ja, …")
    ] = "en",
    largest: Annotated[
        int, typer.Option("--max", min=0, max=10**15, help="The largest number.")
    ] = 999_999,
    parse: Annotated[bool, typer.Option(help="The other way: twenty-one -> 21.")] = False,
    seed: Seed = 0,
    split: Split = SHARES,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Whole numbers -> words: 21 -> twenty-one.

    Needs the package num2words.

    Example: charseq data make numbers --language fr --size 20000 --out data/numbers
    """
    from charseq.text.synthetic.numbers import about_numbers, number_rows

    options = {"language": language, "max": largest, "parse": parse}
    _make(
        {"numbers": None, **options, "size": size, "seed": seed},
        lambda progress: number_rows(size, seed, language, largest, parse=parse, progress=progress),
        lambda: about_numbers(language, parse=parse),
        out=out,
        split=split,
        force=force,
        as_json=as_json,
    )


def _make(
    words: dict[str, object],
    rows: Callable[["Progress"], Sequence["Row"]],
    about: Callable[[], "About"],
    *,
    out: Path,
    split: str,
    force: bool,
    as_json: bool,
) -> None:
    """Draw the rows, split and write them, and say what was written.

    Args:
        words: of the command that makes the same again, but for ``--split`` and ``--out``: options
            by name, None for a bare word.
    """
    from charseq.text.characters import escape
    from charseq.text.synthetic.write import (
        check_folder,
        split_rows,
        unseen_targets,
        write_folder,
    )

    shares = _shares(split)
    check_folder(out, force)  # before the work, not after it
    with progress_bar("rows", shown=True) as told:
        drawn = rows(told)
    parts = split_rows(drawn, shares)
    command = _command({**words, "split": split, "out": out})
    write_folder(out, parts, about(), command, force=force)

    counts = {name: len(part) for name, part in parts.items()}
    unseen = unseen_targets(parts)
    if as_json:
        report = {"out": str(out), **counts, "test_targets_unseen": unseen}
        print_json(report)
        return
    for name, count in counts.items():
        typer.echo(f"{escape(str(out / name))}.tsv  {count:,} rows")
    if unseen is not None:
        tested = counts["test"]
        typer.echo(f"targets of the test that training never has: {unseen:,} of {tested:,}")


def _shares(split: str) -> tuple[float, float, float]:
    from charseq.config.schema.section import split_mistakes
    from charseq.text.characters import escape

    try:
        train, valid, test = (float(share) for share in split.split("/"))
    except ValueError:
        raise CharseqError(
            f"--split: '{escape(split)}' is not three shares of train/valid/test, as {SHARES}"
        ) from None
    if not all(0 <= share <= 1 for share in (train, valid, test)):  # nan is refused too
        raise CharseqError(f"--split: '{escape(split)}' has a share that is not from 0 to 1")
    if mistakes := list(split_mistakes((train, valid, test))):
        raise CharseqError("; ".join(f"--{mistake}" for mistake in mistakes))
    return train, valid, test


def _command(words: dict[str, object]) -> str:
    """The command as it is typed; every option is named, so that a new default changes nothing."""
    from charseq.text.characters import escape

    line = ["charseq", "data", "make"]
    for name, value in words.items():
        match value:
            case None:
                line.append(name)
            case bool():
                line.append(f"--{name}" if value else f"--no-{name}")
            case _:
                line += [f"--{name}", str(value)]
    return escape(shlex.join(line))

"""``charseq init``: write a complete, commented configuration to begin with."""

import csv
import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from charseq.cli.writing import whole_file
from charseq.errors import CharseqError

if TYPE_CHECKING:
    from charseq.text.look.notices import Notice


def init(
    file: Annotated[
        Path, typer.Argument(help="Where to write; '-' writes to standard output.")
    ] = Path("charseq.yaml"),
    task: Annotated[
        str | None,
        typer.Option(
            help="What to train: lm, a language model of a text, or seq2seq, a model of pairs that "
            "turns sources into targets.",
            show_default="seq2seq with --pairs, else lm",
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            help="The training text: a file, or dataset:NAME. Default: dataset:stdlib, the source "
            "of Python's standard library on this machine.",
            show_default=False,
        ),
    ] = None,
    pairs: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The training pairs: a file with a source, a tab and its target a line, or "
            "dataset:NAME/FILE. Default: data/dates/train.tsv.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a complete configuration, in which every setting is explained.

    Beside it goes charseq.schema.json, with which an editor completes and checks the settings.
    Where the file of --pairs is there, its first lines are looked at for a header, tags, spaces
    between symbols, and what nobody sees: accents typed in two ways, spaces at an end. A small file
    gets settings that suit few pairs, or a short text. What is noticed is said.

    Example: charseq init words.yaml --pairs words.tsv

    Example: charseq init book.yaml --text book.txt
    """
    from charseq.config.template import SCHEMA_FILE, commented_config, example_source, json_schema
    from charseq.text.look.odd_lines import MEND
    from charseq.text.look.pairs import NO_TAB
    from charseq.text.read import expand

    task = _task(task, text, pairs)
    source = text or pairs or example_source(task)
    notices, missing = _look(source, task)
    found = {path: value for notice in notices for path, value in notice.settings.items()}
    notes = [notice.seen for notice in notices]
    noticed = Text("".join(f"noticed: {note}\n" for note in notes))
    console = Console(stderr=True, highlight=False)
    if str(file) == "-":
        typer.echo(commented_config(source, task, found=found, notes=notes).encode(), nl=False)
        console.print(noticed, end="", soft_wrap=True)
        return
    yaml = commented_config(source, task, file, found, notes)
    schema = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    file = expand(str(file))
    if file.is_dir():
        raise CharseqError(f"{file} is a folder; name a file in it")
    if os.path.lexists(file) and not force:
        raise CharseqError(f"{file} exists; add --force to overwrite it")
    # The schema is made by charseq alone, so it may be replaced by a newer one.
    for path, text in ((file, yaml), (file.with_name(SCHEMA_FILE), schema)):
        with whole_file(str(path)) as target:
            target.write(text.encode())

    console.print(f"wrote [bold]{escape(str(file))}[/] and {SCHEMA_FILE}", soft_wrap=True)
    console.print(noticed, end="", soft_wrap=True)
    step = f"[bold]charseq train {escape(shlex.quote(str(file)))}[/]"
    if missing:
        console.print(Text(f"note: {missing}", style="yellow"), soft_wrap=True)
        step = "when that is right, do this again with --force, as some settings depend on it"
    elif any(note.endswith(MEND) for note in notes):
        step = f"[bold]charseq config check {escape(shlex.quote(str(file)))}[/] names what is wrong"
    elif NO_TAB in notes:
        step = f"save {escape(source)} with a tab between source and target{_of_table(source)}"
    console.print(f"next: {step}", soft_wrap=True)


def _of_table(source: str) -> str:
    """How a table of commas or semicolons, quotes around its cells or not, becomes one of tabs."""
    from charseq.text.datasets import source_path
    from charseq.text.look.first_lines import first_lines

    path = source_path(source)
    lines = [row[0] for row in first_lines(path).cells]
    separator = next((one for one in ",;" if _is_table(lines, one)), None)
    if separator is None or path.suffix == ".gz":
        return ""
    made = path.with_suffix(".tsv")
    while made.exists():  # never over a file that is there, least of all the table itself
        made = made.with_name(f"{made.stem}-tabs.tsv")
    how = "" if separator == "," else f', delimiter="{separator}"'
    rows = f"csv.reader(sys.stdin{how})"
    program = rf'import csv, sys; [print(*row, sep="\t") for row in {rows}]'
    files = f"< {shlex.quote(str(path))} > {shlex.quote(str(made))}"
    return escape(f":\n  python3 -c {shlex.quote(program)} {files}")


def _is_table(lines: list[str], separator: str) -> bool:
    """Whether all lines have equally many cells, two or more."""
    try:
        widths = {len(row) for row in csv.reader(lines, delimiter=separator)}
    except csv.Error:
        return False
    return len(widths) == 1 and widths.pop() > 1


def _look(source: str, task: str) -> "tuple[list[Notice], str]":
    """What is noticed in the data of pairs, and why nothing can be, or read at all."""
    from charseq.config.schema.seq2seq import PairDataConfig
    from charseq.text import characters
    from charseq.text.datasets import PREFIX, source_path
    from charseq.text.look.columns import find_layout
    from charseq.text.look.first_lines import first_lines
    from charseq.text.look.notices import Notice
    from charseq.text.look.odd_lines import wrong_lines
    from charseq.text.look.pairs import NO_TAB, data_settings, look_at_pairs
    from charseq.text.look.size import look_at_size
    from charseq.text.look.text import TooShortError, look_at_text
    from charseq.text.rows import read_whole

    try:
        if task == "seq2seq":
            path = source_path(source)
            read_whole(path, characters.escape(source))
            lines = first_lines(path)
            layout = find_layout(lines)
            read = look_at_pairs(lines, layout)
            if any(notice.seen == NO_TAB for notice in read):
                return read, ""
            data = PairDataConfig.model_validate({"train": source, **data_settings(read)})
            pair = layout.first_pair
            first = [] if pair is None else [Notice(f"the first pair is {pair}", {})]
            return [*read, *first, *look_at_size(lines, layout), *wrong_lines(path, data)], ""
        if not source.startswith(PREFIX):  # to find the standard library's source is to write it
            return look_at_text(source_path(source)), ""
    except TooShortError:
        raise
    except CharseqError as error:
        return [], str(error)
    return [], ""


def _task(task: str | None, text: str | None, pairs: str | None) -> str:
    """What to train: as asked for, else what the data is for."""
    for option, given, own, empty in (
        ("--text", text, "lm", "name a file, or a text set as dataset:NAME"),
        ("--pairs", pairs, "seq2seq", "name a file, or one of a set as dataset:NAME/FILE"),
    ):
        if given == "":
            raise CharseqError(f"{option} is empty; {empty}")
        if given is not None and task not in (None, own):
            raise CharseqError(f"{option} goes with --task {own}, not with --task {task}")
    if text is not None and pairs is not None:
        raise CharseqError("give --text or --pairs, not both: a model has one task")
    return task or ("lm" if pairs is None else "seq2seq")

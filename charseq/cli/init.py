"""``charseq init``: write a complete, commented configuration to begin with."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from charseq.errors import CharseqError


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

    Example: charseq init words.yaml --pairs words.tsv

    Example: charseq init book.yaml --text book.txt
    """
    from charseq.config import load_config
    from charseq.config.schema.lm import TextDataConfig
    from charseq.config.template import SCHEMA_FILE, commented_config, json_schema

    task = _task(task, text, pairs)
    source = pairs if text is None else text
    if str(file) == "-":
        typer.echo(commented_config(source, task).encode(), nl=False)
        return
    yaml = commented_config(source, task, file)
    schema = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    try:
        with file.open("w" if force else "x", encoding="utf-8", newline="\n") as target:
            target.write(yaml)
        # Made by charseq alone, so it may be replaced by a newer one.
        file.with_name(SCHEMA_FILE).write_text(schema, encoding="utf-8")
    except FileExistsError:
        if file.is_dir():
            raise CharseqError(f"{file} is a folder; name a file in it") from None
        raise CharseqError(f"{file} exists; add --force to overwrite it") from None
    except OSError as error:
        raise CharseqError(f"{error.filename} cannot be written: {error.strerror}") from None

    console = Console(stderr=True, highlight=False)
    console.print(f"wrote [bold]{escape(str(file))}[/] and {SCHEMA_FILE}", soft_wrap=True)
    data = load_config(file).data
    named = data.text if isinstance(data, TextDataConfig) else data.train
    if not named.startswith("dataset:") and not Path(named).expanduser().is_file():
        missing = f"note: there is no file {escape(named)} yet"
        console.print(f"[yellow]{missing}[/]", soft_wrap=True)
    console.print(f"next: [bold]charseq train {escape(str(file))}[/]", soft_wrap=True)


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

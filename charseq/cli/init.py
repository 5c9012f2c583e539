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
        str, typer.Option(help="What to train: lm, a language model of a text.")
    ] = "lm",
    text: Annotated[
        str | None,
        typer.Option(
            help="The training text: a file, or dataset:NAME. Default: dataset:stdlib, the source "
            "of Python's standard library on this machine.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a complete configuration, in which every setting is explained.

    Beside it goes charseq.schema.json, with which an editor completes and checks the settings.

    Example: charseq init book.yaml --text book.txt
    """
    if text == "":
        raise CharseqError("--text is empty; name a file, or a text set as dataset:NAME")
    from charseq.config.template import SCHEMA_FILE, commented_config, json_schema

    if str(file) == "-":
        typer.echo(commented_config(text, task).encode(), nl=False)
        return
    yaml = commented_config(text, task, file)
    schema = json.dumps(json_schema(task), indent=2, ensure_ascii=False) + "\n"
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
    if text and not text.startswith("dataset:") and not Path(text).is_file():
        missing = f"note: there is no file {escape(text)} yet"
        console.print(f"[yellow]{missing}[/]", soft_wrap=True)
    console.print(f"next: [bold]charseq train {escape(str(file))}[/]", soft_wrap=True)

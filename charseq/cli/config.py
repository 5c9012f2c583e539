"""``charseq config show | check | schema``: look at a configuration without running it."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from charseq.cli.options import AsJson, Overrides
from charseq.cli.writing import print_json
from charseq.errors import ConfigError

config_app = typer.Typer(
    help="Show or check a configuration, or print its JSON Schema.\n\n"
    "Example: charseq config check charseq.yaml",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML configuration.")]


@config_app.command()
def show(config: ConfigFile, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Print every setting that a run would have, defaults included.

    Example: charseq config show charseq.yaml --set train.max_steps=200
    """
    from charseq.config import config_to_json, dump_config, load_config

    resolved = load_config(config, overrides or ())
    if as_json:
        print_json(config_to_json(resolved))
    else:
        _print(dump_config(resolved))


@config_app.command()
def check(config: ConfigFile, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Find every mistake in a configuration; the exit code is 2 if there is one.

    The files that it names have to be there, and are read to their ends, as by a training. Those of
    pairs are so once every dataset:NAME among them has been fetched.

    Example: charseq config check charseq.yaml
    """
    from charseq.cli.check import missing_files, wrong_origin
    from charseq.config import load_config

    said = overrides or ()
    try:
        settings = load_config(config, said)
        missing = chain(missing_files(settings), wrong_origin(settings))
        problems = [f"{_place(config, said, key)}: {key}: {why}" for key, why in missing]
    except ConfigError as error:
        problems = error.problems
    if as_json:
        print_json({"valid": not problems, "problems": problems})
        raise typer.Exit(ConfigError.exit_code if problems else 0)
    if problems:
        raise ConfigError(problems)
    _print(f"{config} is valid\n")


@config_app.command()
def schema(
    config: Annotated[
        Path | None,
        typer.Argument(help="Print the schema for the task of this configuration only."),
    ] = None,
) -> None:
    """Print the JSON Schema of a configuration, for editors and other tools.

    Example: charseq config schema > charseq.schema.json
    """
    from charseq.config import load_config
    from charseq.config.template import json_schema

    print_json(json_schema(load_config(config).task if config else None))


def _place(file: Path, overrides: Sequence[str], key: str) -> str:
    """Where a setting was given its value, as far as that can be read again."""
    from charseq.config.document import Place, printable, read_yaml

    for override in reversed(overrides):
        if override.partition("=")[0].strip() == key:
            return f"--set {printable(override)}"
    if not file.is_file():  # a pipe
        return str(file)
    text = file.read_text(encoding="utf-8-sig")
    return str(read_yaml(text, Place(str(file), 1, 1)).place_of(tuple(key.split("."))))


def _print(text: str) -> None:
    # YAML and JSON are UTF-8, whatever the locale is.
    typer.echo(text.encode(errors="backslashreplace"), nl=False)

"""``charseq config show | check | schema``: look at a configuration without running it."""

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charseq.cli.options import AsJson, Overrides
from charseq.errors import CharseqError, ConfigError

if TYPE_CHECKING:
    from charseq.config import Config
    from charseq.config.schema.seq2seq import PairDataConfig

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
        _print(_json(config_to_json(resolved)))
    else:
        _print(dump_config(resolved))


@config_app.command()
def check(config: ConfigFile, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Find every mistake in a configuration; the exit code is 2 if there is one.

    The files that it names have to be there. Those of pairs are read to their ends, as by a
    training, once every dataset:NAME among them has been fetched.

    Example: charseq config check charseq.yaml
    """
    from charseq.config import load_config

    said = overrides or ()
    try:
        settings = load_config(config, said)
        missing = chain(missing_files(settings), wrong_origin(settings))
        problems = [f"{_place(config, said, key)}: {key}: {why}" for key, why in missing]
    except ConfigError as error:
        problems = error.problems
    if as_json:
        _print(_json({"valid": not problems, "problems": problems}))
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

    _print(_json(json_schema(load_config(config).task if config else None)))


def missing_files(config: "Config") -> Iterator[tuple[str, str]]:
    """Each setting of the data that names a file, a set or a column that is not there; why not."""
    from charseq.config.schema.seq2seq import PairDataConfig
    from charseq.text.characters import escape
    from charseq.text.datasets import PREFIX, find_files
    from charseq.text.pair_look import first_lines, missing_columns
    from charseq.text.pairs import load_pairs
    from charseq.text.read import expand, look

    wrong: list[tuple[str, str]] = []
    for key in ("text", "valid_text", "test_text", "train", "valid", "test"):
        name = getattr(config.data, key, None)
        if name is None:
            continue
        path = expand(name)
        try:
            if name.startswith(PREFIX):
                find_files(name.removeprefix(PREFIX))
            elif isinstance(config.data, PairDataConfig):
                lacking = missing_columns(first_lines(path), config.data)
                wrong += [(f"data.{one}", f"{escape(name)}: {why}") for one, why in lacking]
            else:
                look(path, config.data.errors)
        except CharseqError as error:
            wrong.append((f"data.{key}", str(error)))
    if isinstance(config.data, PairDataConfig) and not wrong and _are_here(config.data):
        try:
            load_pairs(config.data)
        except CharseqError as error:
            wrong += [("data.train", line) for line in str(error).splitlines()]
    yield from wrong


def wrong_origin(config: "Config") -> Iterator[tuple[str, str]]:
    """Why a training cannot begin with the checkpoint of train.init_from, if it cannot."""
    if config.train.init_from is not None:
        from charseq.models.init_from import read_origin

        try:
            read_origin(config.train.init_from, config)
        except CharseqError as error:
            yield "train.init_from", str(error).removeprefix("train.init_from: ")


def _are_here(data: "PairDataConfig") -> bool:
    """Whether every named set has been fetched."""
    from charseq.text.datasets import source_path

    try:
        for name in (data.train, data.valid, data.test):
            if name is not None:
                source_path(name)
    except CharseqError:
        return False
    return True


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


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _print(text: str) -> None:
    # YAML and JSON are UTF-8, whatever the locale is.
    typer.echo(text.encode(errors="backslashreplace"), nl=False)

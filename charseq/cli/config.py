"""``charseq config show | check | schema``: look at a configuration without running it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from charseq.errors import ConfigError

config_app = typer.Typer(
    help="Show or check a configuration, or print its JSON Schema.\n\n"
    "Example: charseq config check charseq.yaml",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML configuration.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; may be given repeatedly."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


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

    Example: charseq config check charseq.yaml
    """
    from charseq.config import load_config

    problems: list[str] = []
    try:
        load_config(config, overrides or ())
    except ConfigError as error:
        if not as_json:
            raise
        problems = error.problems
    if not as_json:
        _print(f"{config} is valid\n")
        return
    _print(_json({"valid": not problems, "problems": problems}))
    if problems:
        raise typer.Exit(ConfigError.exit_code)


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


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _print(text: str) -> None:
    # YAML and JSON are UTF-8, whatever the locale is.
    typer.echo(text.encode(errors="backslashreplace"), nl=False)

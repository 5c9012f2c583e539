"""``charseq data stats | list | get``: look at a text, and fetch named text sets."""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charseq.cli.data_make import make_app

if TYPE_CHECKING:
    from rich.console import Console

    from charseq.text.datasets import Dataset
    from charseq.text.stats import TextStats, TrainingStats

SHOWN = 200  # characters listed on the screen; --json lists all
LISTED = 12  # of the rare and of the control characters

data_app = typer.Typer(
    help="Look at a text before hours are spent on it, and fetch named text sets.\n\n"
    "Example: charseq data stats book.txt",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

data_app.add_typer(make_app, name="make")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@data_app.command()
def stats(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|CONFIG", help="A text, dataset:NAME, or a .yaml configuration."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Count a text: its characters, its lines, and what is rare or strange in it.

    For a configuration also the parts that its text is cut into, and how long an epoch is.

    Example: charseq data stats charseq.yaml
    """
    from rich.console import Console

    from charseq.config import load_config
    from charseq.text.datasets import source_path
    from charseq.text.stats import text_stats, training_stats

    config = load_config(Path(source)) if source.endswith((".yaml", ".yml")) else None
    name = config.data.text if config else source
    errors = config.data.errors if config else "raise"
    text = text_stats(source_path(name), name, errors=errors)
    console = Console(highlight=False)
    if not as_json:
        _show_text(console, text)
    training = training_stats(config) if config else None
    if as_json:
        _print_json({**text.to_json(), "training": training and asdict(training)})
    elif training:
        _show_training(console, training)


@data_app.command("list")
def list_datasets(as_json: AsJson = False) -> None:
    """List the named text sets: what they are, their licence, and whether they are here.

    Example: charseq data list
    """
    from charseq.text.datasets import DATASETS, cached_path

    found = [
        (dataset, [cached_path(dataset, file) for file in dataset.files or (None,)])
        for dataset in DATASETS
    ]
    if not as_json:
        _show_datasets(found)
        return
    _print_json(
        [
            {
                "name": dataset.name,
                "description": dataset.description,
                "licence": dataset.licence,
                "files": [
                    {
                        "name": file and file.filename,
                        "url": file and file.url,
                        "size": file and file.size,
                        "sha256": file and file.sha256,
                        "path": path and str(path),
                    }
                    for file, path in zip(dataset.files or (None,), paths, strict=True)
                ],
            }
            for dataset, paths in found
        ]
    )


@data_app.command()
def get(
    name: Annotated[
        str,
        typer.Argument(help="A name from `charseq data list`; NAME/FILE for one file of several."),
    ],
    as_json: AsJson = False,
) -> None:
    """Fetch a named text set into the cache folder, verify it, and print its path.

    Of several files the path is their folder. What a broken transfer has brought is kept, and the
    next call goes on from there. CHARSEQ_DATA_MIRROR=DIR takes the files from a folder.

    Example: charseq data get tinyshakespeare
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    from charseq.text.datasets import get_dataset
    from charseq.text.read import file_sha256

    console = Console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(
        TextColumn("{task.description}", markup=False),
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(name, total=None, visible=False)
        paths = get_dataset(
            name,
            progress=lambda here, total: bar.update(
                task, completed=here, total=total, visible=True
            ),
        )
    shown = paths[0] if len(paths) == 1 else paths[0].parent
    if not as_json:
        typer.echo(shown)
        return
    files = [
        {"path": str(path), "size": path.stat().st_size, "sha256": file_sha256(path)}
        for path in paths
    ]
    _print_json({"name": name, "path": str(shown), "files": files})


def _show_datasets(found: Sequence[tuple["Dataset", Sequence[Path | None]]]) -> None:
    from rich.console import Console
    from rich.filesize import decimal
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from charseq.text.characters import escape

    console = Console(highlight=False, markup=False)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for heading in ("name", "files", "size", "licence", "cached"):
        table.add_column(heading, no_wrap=True)
    for dataset, paths in found:
        size = decimal(sum(file.size for file in dataset.files)) if dataset.files else "made here"
        cached = {0: "no", len(paths): "yes"}.get(len(paths) - paths.count(None), "in part")
        table.add_row(dataset.name, str(len(paths)), size, dataset.licence, cached)
    console.print(table)
    for dataset, paths in found:
        console.print()
        console.print(Text(dataset.name, style="bold"))
        console.print(Padding(Text(dataset.description), (0, 0, 0, 2)))
        details = {}
        if len(paths) > 1:
            names = ", ".join(file.filename for file in dataset.files)
            console.print(Padding(Text(names, style="dim"), (0, 0, 0, 2)))
        elif dataset.files:
            details = {"url": dataset.files[0].url, "sha256": dataset.files[0].sha256}
        if here := [path for path in paths if path]:
            one = len(paths) == 1
            details["file" if one else "folder"] = escape(str(here[0] if one else here[0].parent))
        for key, value in details.items():  # not in the table: a folded line cannot be copied
            console.print(f"  {key:7} {value}", soft_wrap=True)
    console.print(
        "\ncharseq data get NAME fetches one; a configuration names it dataset:NAME, or "
        "dataset:NAME/FILE where there are several files; --json shows URL and sha256 of each"
    )


def _show_text(console: "Console", text: "TextStats") -> None:
    from rich.columns import Columns
    from rich.text import Text

    from charseq.text.characters import escape
    from charseq.text.stats import RARE

    endings = {"LF": text.lf, "CRLF": text.crlf, "CR": text.cr}
    used = [f"{name} {count:,}" for name, count in endings.items() if count]
    console.print(Text(escape(text.source), style="bold"))
    _show_facts(
        console,
        {
            "size": f"{text.bytes:,} bytes",
            "characters": f"{text.characters:,}, {len(text.counts):,} different",
            "outside ASCII": f"{text.not_ascii:,}",
            "control": _some(text.control),
            f"rare (under {RARE})": _some(text.rare),
            "lines": f"{text.lines:,}, the longest of {text.longest_line:,} characters",
            "line endings": ", ".join(used) or "none",
            "byte-order mark": "yes, left out" if text.byte_order_mark else "no",
            "entropy": f"{text.entropy:.3f} bits per character, by the counts alone",
        },
    )
    console.print(Text("\nCharacters by count", style="bold"))
    common = sorted(text.counts.items(), key=lambda item: -item[1])
    cells = [Text(f"{_cell(symbol)} {count:,}") for symbol, count in common[:SHOWN]]
    console.print(Columns(cells, padding=(0, 3), equal=True, column_first=True))
    if len(common) > SHOWN:
        console.print(f"and {len(common) - SHOWN:,} more, which --json lists")


def _show_training(console: "Console", training: "TrainingStats") -> None:
    from rich.text import Text

    parts = {"train": training.train, "valid": training.valid, "test": training.test}
    whole = sum(parts.values())
    steps = f"{training.steps_per_epoch:,} steps"
    console.print(Text("\nTraining", style="bold"))
    _show_facts(
        console,
        {
            "vocabulary": f"{training.vocab_size:,} symbols",
            **{name: f"{n:,} symbols ({n / whole:.1%})" for name, n in parts.items()},
            "a step": f"{training.batch_size} streams × {training.seq_len} symbols",
            "an epoch": steps,
            "the training": "ends by the clock"
            if training.epochs is None
            else f"at most {training.epochs:.3g} epochs",
        },
    )


def _show_facts(console: "Console", facts: Mapping[str, str]) -> None:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    for name, fact in facts.items():
        grid.add_row(Text(f"  {name}", style="dim"), Text(fact))
    console.print(grid)


def _some(counts: Mapping[str, int]) -> str:
    """How many characters, and the first few of them with their counts."""
    if not counts:
        return "none"
    first = [f"{_cell(symbol)} {count:,}" for symbol, count in list(counts.items())[:LISTED]]
    return f"{len(counts):,}: {', '.join(first)}{', …' if len(counts) > LISTED else ''}"


def _cell(symbol: str) -> str:
    """A character in quotes: visible, harmless, not combined with what stands before it."""
    from charseq.text.characters import escape

    return f"'{'◌' + symbol if unicodedata.combining(symbol) else escape(symbol)}'"


def _print_json(value: object) -> None:
    # ASCII alone: a text may hold characters that a terminal obeys.
    typer.echo(json.dumps(value, indent=2))

"""``charseq data stats | list | get | make``: look at data, fetch named sets, make pairs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charseq.cli.data_make import make_app
from charseq.cli.data_stats import stats
from charseq.cli.options import AsJson
from charseq.cli.writing import print_json

if TYPE_CHECKING:
    from charseq.text.datasets import Dataset

data_app = typer.Typer(
    help="Look at a text or at pairs before hours are spent on them, and fetch named sets.\n\n"
    "Example: charseq data stats book.txt",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

data_app.add_typer(make_app, name="make")


data_app.command()(stats)


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
    print_json(
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
    print_json({"name": name, "path": str(shown), "files": files})


def _show_datasets(found: Sequence[tuple["Dataset", Sequence[Path | None]]]) -> None:
    from rich.console import Console
    from rich.filesize import decimal
    from rich.padding import Padding
    from rich.text import Text

    from charseq.cli.console import plain_table
    from charseq.text.characters import escape

    console = Console(highlight=False, markup=False)
    table = plain_table(3)
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

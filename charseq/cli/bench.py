"""``charseq bench``: which backends run here, and how fast does a model train and write?"""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charseq.cli.options import AsJson, Overrides, refuse_options
from charseq.cli.stopping import quiet_interrupt
from charseq.cli.writing import print_json

if TYPE_CHECKING:
    from rich.console import Console

    from charseq.config import Config
    from charseq.reports.bench import Here
    from charseq.reports.bench_speed import Speed, Speeds

SECONDS = 12.0
START = 8  # seconds, about: every contender imports torch


def bench(
    config: Annotated[
        Path | None,
        typer.Argument(
            metavar="CONFIG",
            help="A YAML configuration. Default: the default model of a text, on random text.",
            show_default=False,
        ),
    ] = None,
    overrides: Overrides = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Say why a backend does not run here; measure nothing."),
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=86400.0,
            help="Measure for so long; to start takes some seconds more.",
            show_default=f"{SECONDS:g}",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, max=1024, help="Compute with so many.", show_default="as many as torch takes"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show which backends run here, and how fast each trains and writes, on the CPU.

    Whole training steps and single-stream writing are measured in turn with nn.LSTM; a model of
    pairs with its own layers in the kernel of nn.LSTM. Data that are not here are replaced by
    random ones.

    Example: charseq bench --explain

    Example: charseq bench configs/dates.yaml --set model.hidden_size=512 --seconds 60
    """
    if explain:
        given = {"CONFIG": config, "--set": overrides, "--seconds": seconds}
        refuse_options(given, "--explain measures nothing; leave one of them out")
    with TemporaryDirectory(prefix="charseq-bench-") as name, quiet_interrupt():
        folder = Path(name)
        settings = None if explain else _settings(config, overrides or [], folder)
        from rich.console import Console

        from charseq.reports.bench import look

        console = Console(highlight=False, markup=False, quiet=as_json)
        here = look(threads)
        if explain:
            _explain(console, here)
        else:
            _show_here(console, here)
        speeds = None
        if settings is not None:
            from charseq.reports.bench_speed import measure

            wanted = SECONDS if seconds is None else seconds
            if console.is_terminal:
                console.print(f"\nmeasuring for about {wanted + START:.0f} s …", style="dim")
            speeds = measure(settings, folder, seconds=wanted, threads=threads)
            _show_speeds(console, speeds)
    if as_json:
        report = {**here.to_json(), "speeds": speeds and speeds.to_json()}
        print_json(report)


def _settings(config: Path | None, overrides: list[str], folder: Path) -> "Config":
    """The configuration; without a file, one of a text that is not there."""
    from charseq.config import load_config

    if config is None:
        config = folder / "default.yaml"
        config.write_text(f"data: {{text: {json.dumps(str(folder / 'none.txt'))}}}\n")
    return load_config(config, overrides)


def _show_here(console: "Console", here: "Here") -> None:
    _show_machine(console, here)
    from charseq.cli.console import plain_table

    table = plain_table()
    table.add_column("backend", no_wrap=True)
    table.add_column("runs here", no_wrap=True)
    table.add_column("")
    for backend in here.backends:
        runs = "yes" if backend.why_not is None else "no"
        table.add_row(backend.name, runs, backend.what)
    console.print(table)
    auto = f"On a CPU `backend: auto` is {here.auto}"
    console.print(auto + (": `charseq bench --explain` says why." if here.missing else "."))
    if here.kernel:
        console.print(f"fused: {here.kernel.summary()}", style="dim", soft_wrap=True)


def _explain(console: "Console", here: "Here") -> None:
    """A line for each backend."""
    _show_machine(console, here)
    for backend in here.backends:
        if backend.why_not is not None:
            line = f"does not run here: {backend.why_not}"
        elif backend.name == "fused" and here.kernel:
            line = f"runs: {here.kernel.summary()}"
        else:
            line = f"runs: {backend.what}"
        style = "" if backend.why_not is None else "yellow"
        console.print(f"{backend.name:<12}{line}", style=style, soft_wrap=True)
    console.print(f"\nOn a CPU `backend: auto` is {here.auto}.")


def _show_machine(console: "Console", here: "Here") -> None:
    machine = here.machine
    console.print(
        f"{machine['processor']}, cores: {machine['cores']}, threads: {machine['threads']};"
        f" torch {machine['torch']}, Python {machine['python']}\n",
        soft_wrap=True,
    )


def _show_speeds(console: "Console", speeds: "Speeds") -> None:
    first = next(iter(speeds.training))
    console.print(
        f"\n{speeds.data}: {speeds.parameters:,} weights, {speeds.vocab_size:,} symbols to write;"
        f" an update is {speeds.symbols:,.0f} {speeds.unit}\n",
        soft_wrap=True,
    )
    _show_table(console, "training", speeds.unit, first, speeds.training)
    console.print()
    what = "writing" if speeds.written_unit == "characters" else "converting"
    _show_table(console, what, speeds.written_unit, first, speeds.writing)
    size = speeds.peak_size
    facts = [
        f"Medians of {speeds.rounds} rounds in which all took turns; ratios round by round, with"
        " quartiles.",
        f"An update has {speeds.flops / 1e9:,.3g} billion floating-point operations in its"
        " products of matrices, counted by their shapes; one-hot symbols are looked up.",
        f"The peak is {speeds.peak / 1e9:,.0f} billion a second: torch's products of float32"
        f" matrices, {size} × {size}, in the same rounds; bfloat16 can go beyond it.",
    ]
    if speeds.spared:
        facts.append(f"nn.LSTM ran without {', '.join(speeds.spared)}.")
    console.print()
    for fact in facts:
        console.print(fact, style="dim")


def _show_table(
    console: "Console", what: str, unit: str, first: str, speeds: Mapping[str, "Speed"]
) -> None:
    from charseq.cli.console import plain_table

    table = plain_table()
    table.add_column(what, no_wrap=True)
    for name in (f"{unit}/s", f"to {first}"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    if peak := any(speed.share_of_peak is not None for speed in speeds.values()):
        table.add_column("of the peak", justify="right", no_wrap=True)
    for name, speed in speeds.items():
        low, high = speed.ratio_quartiles
        quartiles = "" if name == first else f"{low:.2f}–{high:.2f}"
        cells: list[Any] = [name, f"{speed.per_second:,.0f}", f"{speed.ratio:.2f}", quartiles]
        if peak:
            cells.append(f"{speed.share_of_peak or 0.0:.0%}")
        table.add_row(*cells)
    console.print(table)

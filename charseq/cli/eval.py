"""``charseq eval``: how well a trained model foresees a text."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from charseq.cli.pipes import STANDARD_INPUT, UnknownPolicy, quiet_interrupt, read_text
from charseq.errors import CharseqError

if TYPE_CHECKING:
    from rich.console import Console

    from charseq.inference.evaluate import Progress
    from charseq.inference.load import TrainedModel
    from charseq.inference.metrics import Score
    from charseq.text.vocab import Ids, Unknown

LONG = 50_000  # characters; what takes less than a second needs no progress bar
SHADES = {  # bits, up to: a style, from foreseen to unforeseen; five that 16 colors can show
    1.0: "black on green",
    3.0: "black on cyan",
    5.0: "black on yellow",
    8.0: "black on magenta",
    math.inf: "bright_white on red",
}


class Split(Enum):
    """A part of the run's own text."""

    VALID: Final = "valid"
    TEST: Final = "test"


def evaluate(
    run: Annotated[
        str, typer.Argument(metavar="RUN|CHECKPOINT", help="A run folder or a .safetensors file.")
    ],
    source: Annotated[
        str | None, typer.Argument(metavar="-", help="'-' scores standard input.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="FILE", help="Score a file instead of the run's own text.")
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(metavar="STRING", help="Score this, and show what each character costs."),
    ] = None,
    split: Annotated[
        Split | None, typer.Option(help="Which part of the run's text.", show_default="valid")
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Score windows of so many characters, each from a zero state.",
            show_default="the state is carried through the whole text",
        ),
    ] = None,
    unknown: Annotated[
        UnknownPolicy | None,
        typer.Option(
            help="Characters that the model never saw: refuse them, leave them out, or read them "
            "as U+FFFD.",
            show_default="data.unknown of the run",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda|cuda:N", help="Where to compute.")
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score a text: nats and bits per character, perplexity, accuracy.

    Every character but the first is scored once. --text colors them by their surprisal;
    where there is no color it prints a line for each: the character, a tab, its bits.

    Example: charseq eval runs/stdlib --data other.py
    """
    with quiet_interrupt():
        _check_choice(source, data, text, split, window)
        from rich.console import Console

        from charseq.inference.load import load

        trained = load(run, device=device)
        policy = (unknown.value if unknown else None) or trained.config.data.unknown
        console = Console(highlight=False)
        costs: list[tuple[str, float | None]] | None = None
        if text is not None:
            ids = trained.vocab.encode(text, unknown=policy)  # first: it says where a stranger is
            costs = _by_character(trained, text, policy)
        elif data is not None or source is not None:
            ids = _encode(trained, data or STANDARD_INPUT, policy)
        else:
            ids = trained.split_ids((split or Split.VALID).value, policy)
        with _progress(len(ids)) as progress:
            score = trained.score(ids, window=window, progress=progress)
        if as_json:
            typer.echo(json.dumps(_as_json(trained, score, window, costs), indent=2))
            return
        if costs is not None:
            _show_costs(console, costs)
        _show_score(console, trained, score, window)


def _check_choice(
    source: str | None,
    data: str | None,
    text: str | None,
    split: Split | None,
    window: int | None,
) -> None:
    if source not in (None, STANDARD_INPUT):
        raise CharseqError(
            f"eval: {source!r} is one argument too many; a file is given as --data FILE"
        )
    if sum(given is not None for given in (source, data, text, split)) > 1:
        raise CharseqError("eval: choose one text: --data, --text, --split or -, not two")
    if text is not None and window is not None:
        raise CharseqError("eval: --text carries the state through; it goes without --window")


def _encode(trained: "TrainedModel", source: str, policy: "Unknown") -> "Ids":
    """The ids of a file, a memory map, or of standard input."""
    from charseq.text.encode import encode_file
    from charseq.text.read import expand

    settings = trained.config.data
    if source == STANDARD_INPUT:
        text = read_text(source, trained.config)
        return trained.vocab.encode(text, unknown=policy, where="standard input")
    return encode_file(
        expand(source),
        trained.vocab,
        errors=settings.errors,
        newlines=settings.newlines,
        unknown=policy,
    )


def _by_character(
    trained: "TrainedModel", text: str, policy: "Unknown"
) -> list[tuple[str, float | None]]:
    """Each character and its nats: of a byte vocabulary, the sum over its bytes.

    None where nothing was scored: the first symbol, and characters that are left out.
    """
    symbols = [len(trained.vocab.encode(character, unknown=policy)) for character in text]
    nats = iter([None, *trained.surprisal(text, unknown=policy).tolist()])
    costs: list[tuple[str, float | None]] = []
    for character, count in zip(text, symbols, strict=True):
        scored = [cost for cost in (next(nats) for _ in range(count)) if cost is not None]
        costs.append((character, math.fsum(scored) if scored else None))
    return costs


@contextmanager
def _progress(characters: int) -> Iterator["Progress | None"]:
    """On standard error, for a long text, when that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if characters < LONG or not console.is_terminal:
        yield None
        return
    with Bar(console=console, transient=True) as bar:
        task = bar.add_task("evaluating", total=characters - 1)
        yield lambda done, _: bar.update(task, completed=done)


def _as_json(
    trained: "TrainedModel",
    score: "Score",
    window: int | None,
    costs: list[tuple[str, float | None]] | None,
) -> dict[str, Any]:
    result: dict[str, Any] = {
        **score.to_json(),
        "convention": "stateful" if window is None else "window",
        "window": window,
        "checkpoint": str(trained.path),
        "step": trained.step,
    }
    if costs is not None:
        result["text"] = [{"character": character, "nats": nats} for character, nats in costs]
    return result


def _show_score(
    console: "Console", trained: "TrainedModel", score: "Score", window: int | None
) -> None:
    from rich.table import Table
    from rich.text import Text

    from charseq.text.characters import escape

    unit = "byte" if trained.vocab.kind == "byte" else "character"
    step = "" if trained.step is None else f", step {trained.step:,}"
    facts = {
        f"nats per {unit}": f"{score.nats:.4f}",
        f"bits per {unit}": f"{score.bpc:.4f}",
        "perplexity": f"{score.perplexity:.3f}",
        "accuracy": f"{score.accuracy:.2%}",
        f"{unit}s scored": f"{score.characters:,}",
        "convention": "stateful" if window is None else f"windows of {window:,} {unit}s",
        "checkpoint": f"{escape(str(trained.path))}{step}",
    }
    grid = Table.grid(padding=(0, 2))
    for name, fact in facts.items():
        grid.add_row(Text(name, style="dim"), Text(fact, overflow="fold"))
    console.print(grid)


def _show_costs(console: "Console", costs: list[tuple[str, float | None]]) -> None:
    """In color on a terminal that has it; else a line for each character, then an empty one."""
    from rich.text import Text

    from charseq.text.characters import escape

    if not console.is_terminal or console.color_system is None or console.no_color:
        for character, nats in costs:
            bits = "-" if nats is None else f"{nats / math.log(2):.3f}"
            typer.echo(f"{escape(character)}\t{bits}".encode())  # rich would turn tabs to blanks
        typer.echo()
        return
    shown = Text()
    for character, nats in costs:
        style = "dim" if nats is None else _shade(nats / math.log(2))
        shown.append(escape(character), style)
        if character == "\n":
            shown.append("\n")
    console.print(shown)
    legend = Text("bits ", style="dim")
    for limit, style in SHADES.items():
        legend.append(" more " if math.isinf(limit) else f" up to {limit:g} ", style)
    console.print(legend)
    console.print()


def _shade(bits: float) -> str:
    return next((style for limit, style in SHADES.items() if bits <= limit), SHADES[math.inf])

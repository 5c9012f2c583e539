"""``charseq eval`` of a language model: how well it predicts a text."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import typer

from charseq.cli.asides import progress_bar, show_note
from charseq.cli.console import of_step, show_facts
from charseq.cli.eval_calibration import CalibrationRequest, draw_calibration, show_calibration
from charseq.cli.reading import STANDARD_INPUT, read_text
from charseq.cli.writing import print_json
from charseq.errors import CharseqError
from charseq.text.characters import escape
from charseq.text.wording import number_of

if TYPE_CHECKING:
    from rich.console import Console

    from charseq.inference.calibration import Calibration
    from charseq.inference.metrics import Score
    from charseq.inference.trained_lm import TrainedLanguageModel
    from charseq.text.vocab import Ids, Unknown

LONG = 50_000  # characters; what takes less than a second needs no progress bar
SHADES = {  # bits, up to: a style, from expected to surprising; five that 16 colors can show
    1.0: "black on green",
    3.0: "black on cyan",
    5.0: "black on yellow",
    8.0: "black on magenta",
    math.inf: "bright_white on red",
}


@dataclass(frozen=True)
class TextRequest:
    """What a person asks to score; at most one of the first four is not None.

    Attributes:
        source: ``-``, standard input.
    """

    source: str | None
    data: str | None
    text: str | None
    split: Literal["train", "valid", "test"] | None
    window: int | None
    unknown: "Unknown | None"
    as_json: bool
    calibration: CalibrationRequest | None = None


def evaluate_text(trained: "TrainedLanguageModel", request: TextRequest) -> None:
    """Score a text and print what was found.

    Raises:
        CharseqError: more than one text is given, or it cannot be read or scored.
    """
    check_text(request)
    from rich.console import Console

    ids = text_ids(trained, request)
    costs = None
    if request.text is not None:
        costs = _by_character(trained, request.text, request.unknown or trained.config.data.unknown)
    score, found = _score(trained, ids, request)
    if request.as_json:
        report = _as_json(trained, score, request, costs)
        if found is not None:
            report["calibration"] = found.to_json()
        print_json(report)
        return
    console = Console(highlight=False)
    if costs is not None:
        _show_costs(console, costs)
    if found is not None:
        show_calibration(console, found, unit_of(trained, "s"))
    _show_score(console, trained, score, request)


def named(request: TextRequest) -> str:
    """Which text is scored, in words."""
    if request.text is not None:
        return "--text"
    if request.source is not None or request.data == STANDARD_INPUT:
        return "standard input"
    return request.data or f"{request.split or 'valid'} text of the run"


def text_ids(trained: "TrainedLanguageModel", request: TextRequest) -> "Ids":
    """The text that is asked for, as ids (n,)."""
    policy = request.unknown or trained.config.data.unknown
    if request.text is not None:
        return trained.vocab.encode(request.text, unknown=policy)  # says where a stranger is
    if request.data is not None and trained.was_trained_on(request.data):
        show_note(
            f"{request.data}: the model was trained on this text; it may do worse on others",
            "warning",
        )
    if request.data is not None or request.source is not None:
        return _encode(trained, STANDARD_INPUT if request.data is None else request.data, policy)
    return trained.split_ids(request.split or "valid", policy)


def unit_of(trained: "TrainedLanguageModel", ending: str = "") -> str:
    """What the model reads, with an ending: characters, or bytes."""
    return ("byte" if trained.vocab.kind == "byte" else "character") + ending


def _score(
    trained: "TrainedLanguageModel", ids: "Ids", request: TextRequest
) -> "tuple[Score, Calibration | None]":
    """The score; and of how much of it the model was how sure, if that is asked for."""
    from charseq.inference.calibration import Confidences

    how, seen = request.calibration, Confidences()
    with progress_bar("evaluating", shown=len(ids) >= LONG) as progress:
        observe = None if how is None else seen.add
        score = trained.score(ids, window=request.window, progress=progress, observe=observe)
    if how is None:
        return score, None
    found = seen.calibration(bins=how.bins, equal_mass=how.equal_mass)
    if how.plot is not None:
        draw_calibration(how.plot, found, unit_of(trained, "s"))
    return score, found


def check_text(request: TextRequest) -> None:
    """Refuse more than one text, and what does not go with it."""
    if request.source not in (None, STANDARD_INPUT):
        raise CharseqError(
            f"eval: {request.source!r} is one argument too many; a file is given as --data FILE"
        )
    given = (request.source, request.data, request.text, request.split)
    if sum(one is not None for one in given) > 1:
        raise CharseqError("eval: choose one text: --data, --text, --split or -, not two")
    if request.text is not None and request.calibration is not None:
        raise CharseqError("--calibration: a line is too short for it; give --data FILE or --split")
    if request.text is not None and request.window is not None:
        raise CharseqError("eval: --text carries the state through; it goes without --window")


def _encode(trained: "TrainedLanguageModel", source: str, policy: "Unknown") -> "Ids":
    """The ids of a file, a memory map, or of standard input."""
    from charseq.text.encode import encode_file
    from charseq.text.read import expand, read_chunks

    settings = trained.config.data
    if source == STANDARD_INPUT:
        text = read_text(source, trained.config)
        ids = trained.vocab.encode(text, unknown=policy, where="standard input")
        _tell_left_out(trained, "standard input", len(text), ids)
        return ids
    path, errors, newlines = expand(source), settings.errors, settings.newlines
    ids = encode_file(path, trained.vocab, errors=errors, newlines=newlines, unknown=policy)
    if policy == "skip" and trained.vocab.kind == "char":
        chunks = read_chunks(path, errors=errors, newlines=newlines)
        _tell_left_out(trained, source, sum(map(len, chunks)), ids)
    return ids


def _tell_left_out(
    trained: "TrainedLanguageModel", source: str, characters: int, ids: "Ids"
) -> None:
    """What ``--unknown skip`` has left out of a text."""
    if trained.vocab.kind == "char" and (left := characters - len(ids)):
        unknown = number_of(left, "character")
        show_note(f"left out of {escape(source)}: {unknown} that the model does not know")


def _by_character(
    trained: "TrainedLanguageModel", text: str, policy: "Unknown"
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


def _as_json(
    trained: "TrainedLanguageModel",
    score: "Score",
    request: TextRequest,
    costs: list[tuple[str, float | None]] | None,
) -> dict[str, Any]:
    result: dict[str, Any] = {
        **score.to_json(),
        "convention": "stateful" if request.window is None else "window",
        "window": request.window,
        "data": named(request),
        "checkpoint": str(trained.path),
        "step": trained.step,
    }
    if costs is not None:
        result["text"] = [{"character": character, "nats": nats} for character, nats in costs]
    return result


def _show_score(
    console: "Console", trained: "TrainedLanguageModel", score: "Score", request: TextRequest
) -> None:
    unit, window = unit_of(trained), request.window
    facts = {
        f"nats per {unit}": f"{score.nats:.4f}",
        f"bits per {unit}": f"{score.bpc:.4f}",
        "perplexity": f"{score.perplexity:.3f}",
        "accuracy": f"{score.accuracy:.2%}",
        f"{unit}s scored": f"{score.characters:,}",
        "convention": "stateful" if window is None else f"windows of {window:,} {unit}s",
        "data": named(request),
        "checkpoint": of_step(trained.path, trained.step),
    }
    show_facts(console, facts)


def _show_costs(console: "Console", costs: list[tuple[str, float | None]]) -> None:
    """In color on a terminal that has it; else a line for each character, then an empty one."""
    from rich.text import Text

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

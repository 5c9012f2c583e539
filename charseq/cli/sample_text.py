"""``charseq sample`` with a language model: text to standard output, as it is produced."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import typer

from charseq.cli.asides import show_note
from charseq.cli.reading import STANDARD_INPUT, read_text
from charseq.cli.writing import harmless, print_json
from charseq.errors import CharseqError
from charseq.text.characters import describe, escape

if TYPE_CHECKING:
    from charseq.inference.trained_lm import Precision, TrainedLanguageModel
    from charseq.text.vocab import Unknown

RULE = "-" * 40  # between two texts


@dataclass(frozen=True)
class TextRequest:
    """What a person asks of a language model; None is as its run says."""

    prime: str | None
    prime_file: str | None
    length: int | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    seed: int | None
    count: int
    stop: tuple[str, ...]
    unknown: "Unknown"
    precision: "Precision"
    as_json: bool


def write_texts(trained: "TrainedLanguageModel", sources: list[str], request: TextRequest) -> None:
    """Write the texts; the sources are ``-``, standard input, or nothing.

    Raises:
        CharseqError: there are two primes or other sources, or as ``trained.stream``.
    """
    file = _prime_file(sources, request)
    prime = request.prime if file is None else read_text(file, trained.config)
    first = trained.config.sample.seed if request.seed is None else request.seed
    seeds, known = range(first, first + request.count), set(trained.vocab.symbols)
    for stop in request.stop:
        strange = [one for one in stop if trained.vocab.kind == "char" and one not in known]
        if strange:
            show_note(f"--stop {escape(stop)}: the model never writes {describe(strange[0])}")
    texts = trained.streams(
        prime,
        seeds,
        length=request.length,
        temperature=request.temperature,
        top_k=request.top_k,
        top_p=request.top_p,
        stop=request.stop,
        unknown=request.unknown,
        precision=request.precision,
    )
    records = []
    for seed, pieces in zip(seeds, texts, strict=True):
        if request.as_json:
            records.append(_record(trained, seed, prime, pieces, request.unknown))
        else:
            _show(chain([prime or ""], pieces), is_last=seed == seeds[-1])
    if request.as_json:
        print_json(records)


def _prime_file(sources: list[str], request: TextRequest) -> str | None:
    for source in sources:
        if source != STANDARD_INPUT:
            raise CharseqError(
                f"sample: {source!r} is one argument too many for a language model; a prime is "
                "given as --prime TEXT"
            )
    files = [*sources, request.prime_file]
    if sum(given is not None for given in (*files, request.prime)) > 1:
        raise CharseqError("sample: more than one prime; give --prime, --prime-file or -, not two")
    return next((file for file in files if file is not None), None)


def _show(pieces: Iterable[str], *, is_last: bool) -> None:
    """Print a text piece by piece, and a rule when another one follows."""
    on_terminal = sys.stdout.isatty()
    last = ""
    for piece in filter(None, pieces):
        text = harmless(piece) if on_terminal else piece
        typer.echo(text.encode(), nl=False)  # UTF-8, whatever the locale is; flushes
        last = piece
    # What is piped is the text alone; elsewhere a prompt, or the rule, begins a line.
    if (on_terminal or not is_last) and not last.endswith("\n"):
        typer.echo()
    if not is_last:
        typer.echo(RULE)


def _record(
    trained: "TrainedLanguageModel",
    seed: int,
    prime: str | None,
    pieces: Iterable[str],
    unknown: "Unknown",
) -> dict[str, Any]:
    text = "".join(pieces)
    nats = None  # as of bytes that are no UTF-8, which the text does not show
    if text and not (trained.vocab.kind == "byte" and "\ufffd" in text):
        read = trained.default_prime if prime is None else prime
        nats = trained.surprisal(text, after=read, unknown=unknown).mean().item()
    return {"seed": seed, "prime": prime, "text": text, "nats": nats}

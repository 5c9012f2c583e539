"""``charseq sample``: let a trained model write."""

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer

from charseq.cli.pipes import STANDARD_INPUT, harmless, quiet_interrupt, read_text
from charseq.errors import CharseqError

if TYPE_CHECKING:
    from charseq.inference.load import TrainedModel

SEPARATOR = "-" * 40 + "\n"


def sample(
    run: Annotated[
        str, typer.Argument(metavar="RUN|CHECKPOINT", help="A run folder or a .safetensors file.")
    ],
    source: Annotated[
        str | None,
        typer.Argument(metavar="[-]", help="'-' reads the prime from standard input."),
    ] = None,
    prime: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="What the model reads before it writes; it is printed first.",
            show_default="sample.prime of the run, not printed",
        ),
    ] = None,
    prime_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Read the prime from a file; '-' is standard input."),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(min=1, help="Characters to write.", show_default="sample.length of the run"),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=100.0,
            help="0 takes the likeliest symbol, 1 samples from the model.",
            show_default="sample.temperature of the run",
        ),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Sample among the K likeliest symbols.")
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(help="Sample among the likeliest symbols that hold this probability."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="The same seed writes the same text.",
            show_default="sample.seed of the run",
        ),
    ] = None,
    count: Annotated[
        int,
        typer.Option(min=1, help="Texts to write, of seeds SEED, SEED + 1, …, a rule between two."),
    ] = 1,
    stop: Annotated[
        str | None,
        typer.Option(metavar="STRING", help="End in front of the first place with this string."),
    ] = None,
    unknown: Annotated[
        str,
        typer.Option(
            click_type=click.Choice(["error", "skip", "replace"]),
            help="Characters of the prime that the model never saw: refuse, leave out, U+FFFD.",
        ),
    ] = "error",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "cpu",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a list of seed, prime, text and nats.")
    ] = False,
) -> None:
    """Write text with a trained model, as it is produced, to standard output.

    A terminal is shown control characters as \\\\x1b; a pipe gets the text as it is.
    With --json, nats is what a character of the text costs the model itself, at temperature 1.

    Example: charseq sample runs/stdlib --prime "def " --temperature 0.7 --length 300
    """
    with quiet_interrupt():
        _one_prime(source, prime, prime_file)
        from charseq.inference.load import load

        trained = load(run, device=device)
        file = source or prime_file
        if file is not None:
            prime = read_text(file, trained.config)
        first_seed = trained.config.sample.seed if seed is None else seed
        texts = {
            first_seed + number: trained.stream(
                prime,
                length=length,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                seed=first_seed + number,
                stop=stop,
                unknown=unknown,  # type: ignore[arg-type]  # one of the choices
            )
            for number in range(count)
        }
        if as_json:
            records = [_record(trained, seed, prime, text) for seed, text in texts.items()]
            typer.echo(json.dumps(records, indent=2))  # ASCII: harmless to a terminal
            return
        for number, pieces in enumerate(texts.values()):
            if number > 0:
                typer.echo(SEPARATOR, nl=False)
            ended = _show(prime or "", pieces)
            if not ended and (number < count - 1 or sys.stdout.isatty()):
                typer.echo()


def _one_prime(source: str | None, prime: str | None, prime_file: str | None) -> None:
    if source not in (None, STANDARD_INPUT):
        raise CharseqError(
            f"sample: what is {source!r}? A prime is given as --prime TEXT or --prime-file FILE"
        )
    if sum(given is not None for given in (source, prime, prime_file)) > 1:
        raise CharseqError("sample: give one prime: --prime, --prime-file or -")


def _show(prime: str, pieces: Iterator[str]) -> bool:
    """Print a text piece by piece. Returns whether it ends with a line end."""
    show = harmless if sys.stdout.isatty() else str
    last = ""
    for piece in (prime, *pieces) if not prime else _chain(prime, pieces):
        if piece:
            typer.echo(show(piece).encode(), nl=False)  # UTF-8, whatever the locale; flushes
            last = piece
    return last.endswith("\n") or not last


def _chain(prime: str, pieces: Iterator[str]) -> Iterator[str]:
    yield prime
    yield from pieces


def _record(
    trained: "TrainedModel", seed: int, prime: str | None, pieces: Iterator[str]
) -> dict[str, Any]:
    text = "".join(pieces)
    return {"seed": seed, "prime": prime, "text": text, "nats": None}

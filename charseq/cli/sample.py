"""``charseq sample``: let a trained model write."""

import json
import sys
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charseq.cli.pipes import STANDARD_INPUT, UnknownPolicy, harmless, quiet_interrupt, read_text
from charseq.errors import CharseqError

if TYPE_CHECKING:
    from charseq.inference.load import TrainedModel

RULE = "-" * 40  # between two texts


def sample(
    run: Annotated[
        str, typer.Argument(metavar="RUN|CHECKPOINT", help="A run folder or a .safetensors file.")
    ],
    source: Annotated[
        str | None,
        typer.Argument(metavar="-", help="'-' reads the prime from standard input."),
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
        UnknownPolicy,
        typer.Option(
            help="Characters of the prime that the model never saw: refuse them, leave them out, "
            "or read them as U+FFFD."
        ),
    ] = UnknownPolicy.ERROR,
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda|cuda:N", help="Where to compute.")
    ] = "cpu",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a list of seed, prime, text and nats.")
    ] = False,
) -> None:
    """Write text with a trained model to standard output, as it is produced.

    A terminal is shown control characters in a visible form; a pipe gets the text as it is.

    With --json, nats is the mean cost of a character of the text to the model itself.

    Example: charseq sample runs/stdlib --prime "def " --temperature 0.7
    """
    with quiet_interrupt():
        _check_prime(source, prime, prime_file)
        from charseq.inference.load import load

        trained = load(run, device=device)
        file = source or prime_file
        if file is not None:
            prime = read_text(file, trained.config)
        first = trained.config.sample.seed if seed is None else seed
        records = []
        for number in range(count):
            pieces = trained.stream(
                prime,
                length=length,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                seed=first + number,
                stop=stop,
                unknown=unknown.value,
            )
            if as_json:
                records.append(_record(trained, first + number, prime, pieces, unknown))
            else:
                _show(chain([prime or ""], pieces), is_last=number == count - 1)
        if as_json:
            typer.echo(json.dumps(records, indent=2))  # ASCII: harmless to a terminal


def _check_prime(source: str | None, prime: str | None, prime_file: str | None) -> None:
    if source not in (None, STANDARD_INPUT):
        raise CharseqError(
            f"sample: {source!r} is one argument too many; a prime is given as --prime TEXT"
        )
    if sum(given is not None for given in (source, prime, prime_file)) > 1:
        raise CharseqError("sample: more than one prime; give --prime, --prime-file or -, not two")


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
    trained: "TrainedModel",
    seed: int,
    prime: str | None,
    pieces: Iterable[str],
    unknown: UnknownPolicy,
) -> dict[str, Any]:
    text = "".join(pieces)
    nats = None
    if text:
        read = trained.default_prime if prime is None else prime
        nats = trained.surprisal(text, after=read, unknown=unknown.value).mean().item()
    return {"seed": seed, "prime": prime, "text": text, "nats": nats}

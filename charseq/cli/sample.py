"""``charseq sample``: let a trained model write: text, or the targets of sources."""

from enum import Enum
from typing import Annotated, Final

import typer

from charseq.cli.options import (
    PAIRS,
    TEXT,
    Beam,
    Device,
    Ensemble,
    LengthPenalty,
    Run,
    UnknownPolicy,
    refuse_options,
)
from charseq.cli.stopping import quiet_interrupt


class Precision(Enum):
    """In what numbers to multiply."""

    FP32: Final = "fp32"
    BF16: Final = "bf16"


def sample(
    run: Run,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE",
            help="What a model of pairs converts; '-' reads a source a line from standard input. "
            "For a language model '-' reads the prime.",
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=100.0,
            help="0 takes the likeliest symbol, 1 samples from the model.",
            show_default="sample.temperature of the run; pairs: a beam search instead",
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
    unknown: Annotated[
        UnknownPolicy,
        typer.Option(
            help="Symbols of the prime or of a source that the model never saw: refuse them, leave "
            "them out, or read them as U+FFFD."
        ),
    ] = UnknownPolicy.ERROR,
    device: Device = "cpu",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a list of what was written, and its cost.")
    ] = False,
    prime: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="What the model reads before it writes; it is printed first.",
            show_default="sample.prime of the run, not printed",
            rich_help_panel=TEXT,
        ),
    ] = None,
    prime_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Read the prime from a file; '-' is standard input.",
            rich_help_panel=TEXT,
        ),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Characters to write.",
            show_default="sample.length of the run",
            rich_help_panel=TEXT,
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Texts to write, of seeds SEED, SEED + 1, …, a rule between two.",
            show_default="1",
            rich_help_panel=TEXT,
        ),
    ] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STRING",
            help="End in front of the first place with this string; again for further ones.",
            rich_help_panel=TEXT,
        ),
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(
            help="bf16 multiplies bfloat16 numbers, which is faster and writes another text; it "
            "needs a processor with AVX512-BF16.",
            show_default="fp32",
            rich_help_panel=TEXT,
        ),
    ] = None,
    input_file: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help="Convert each line of a file; '-' is standard input. Where the run reads tags, a "
            "tab and tags follow the source: walk⇥V;PST.",
            rich_help_panel=PAIRS,
        ),
    ] = None,
    output_file: Annotated[
        str | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="Write to a file, which is there once all is written.",
            rich_help_panel=PAIRS,
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="TAGS",
            help="Tags of every source that has none of its own, as in 'N;PL'; '' says that it has "
            "none at all.",
            rich_help_panel=PAIRS,
        ),
    ] = None,
    skip_errors: Annotated[
        bool,
        typer.Option(
            "--skip-errors",
            help="Write an empty line (with --json: null) for a source that cannot be read, and "
            "say how many there are; else it is refused, and no other one of a file converted.",
            rich_help_panel=PAIRS,
        ),
    ] = False,
    beam: Beam = None,
    n_best: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            help="Targets of each source, the best first, as columns: source, tags where the run "
            "reads them, target, log-probability. With --temperature: so many draws, each "
            "different one once, so there may be fewer lines.",
            show_default="1",
            rich_help_panel=PAIRS,
        ),
    ] = None,
    length_penalty: LengthPenalty = None,
    log_probabilities: Annotated[
        bool,
        typer.Option(
            "--log-probabilities",
            help="Print the columns of --n-best for one target too; in nats.",
            rich_help_panel=PAIRS,
        ),
    ] = False,
    # Two options: one with two names has a column of the help for the second, of 20 characters.
    confidence: Annotated[
        bool,
        typer.Option(
            "--confidence",
            help="Print behind each target how probable the model takes it to be, as a whole, its "
            "end included: percent on a terminal, where it is the default, else a column from 0 to "
            "1. With --ensemble the mean of the models. `charseq eval --calibration` tells what "
            "that is worth.",
            rich_help_panel=PAIRS,
        ),
    ] = False,
    no_confidence: Annotated[
        bool,
        typer.Option("--no-confidence", help="Not on a terminal either.", rich_help_panel=PAIRS),
    ] = False,
    attention: Annotated[
        bool,
        typer.Option(
            "--attention",
            help="Draw below each target what it was read from: a row a symbol of the target, a "
            "column a symbol of the source. With --json: the numbers.",
            rich_help_panel=PAIRS,
        ),
    ] = False,
    attention_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Draw that to a file that ends in .png, .svg or .html.",
            rich_help_panel=PAIRS,
        ),
    ] = None,
    ensemble: Ensemble = None,
) -> None:
    """Let a trained model write: a language model text, a model of pairs the targets of sources.

    A terminal is shown control characters in a visible form; a pipe gets the text as it is.

    Targets are written a line each, in the order of the sources; text as it is produced. With
    --json, nats is the mean cost of a character of the text to the model itself.

    Example: charseq sample runs/dates "3 May 1979" "le 14 juillet 1789"

    Example: charseq sample runs/stdlib --prime "def " --temperature 0.7
    """
    with quiet_interrupt():
        from charseq.inference.load import load
        from charseq.inference.trained_lm import TrainedLanguageModel

        trained = load(run, *(ensemble or ()), device=device)
        if isinstance(trained, TrainedLanguageModel):
            from charseq.cli.sample_text import TextRequest, write_texts

            refuse_options(
                {
                    "--input": input_file,
                    "--output": output_file,
                    "--features": features,
                    "--skip-errors": skip_errors,
                    "--beam": beam,
                    "--n-best": n_best,
                    "--length-penalty": length_penalty,
                    "--log-probabilities": log_probabilities,
                    "--confidence": confidence,
                    "--no-confidence": no_confidence,
                    "--attention": attention,
                    "--attention-file": attention_file,
                },
                "is for models of pairs; this run writes text",
            )
            text = TextRequest(
                prime=prime,
                prime_file=prime_file,
                length=length,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                seed=seed,
                count=count or 1,
                stop=tuple(stop or ()),
                unknown=unknown.value,
                precision=(precision or Precision.FP32).value,
                as_json=as_json,
            )
            write_texts(trained, sources or [], text)
            return
        from charseq.cli.sample_pairs import write_targets
        from charseq.cli.sample_request import PairRequest

        refuse_options(
            {
                "--prime": prime,
                "--prime-file": prime_file,
                "--length": length,
                "--count": count,
                "--stop": stop,
                "--precision": precision,
            },
            "is for language models; this run converts pairs",
        )
        pairs = PairRequest(
            input_file=input_file,
            output_file=output_file,
            features=features,
            beam=beam,
            n_best=n_best or 1,
            length_penalty=length_penalty,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            unknown=unknown.value,
            skip_errors=skip_errors,
            columns=log_probabilities or (n_best or 1) > 1,
            confidence=None if confidence == no_confidence else confidence,
            attention=attention,
            attention_file=attention_file,
            as_json=as_json,
        )
        write_targets(trained, sources or [], pairs)

"""``charseq eval``: how well a trained model predicts a text, or converts sources."""

from enum import Enum
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from charseq.cli.eval_options import (
    Bins,
    Calibrate,
    Characters,
    Decay,
    Dynamic,
    EqualMass,
    LearningRate,
    Novelty,
    Plot,
    Seed,
    Segment,
    Temperature,
    UpdateRule,
)
from charseq.cli.options import (
    PAIRS,
    TEXT,
    AsJson,
    Beam,
    Device,
    Ensemble,
    LengthPenalty,
    Run,
    UnknownPolicy,
    refuse_options,
)
from charseq.cli.stopping import quiet_interrupt

if TYPE_CHECKING:
    from charseq.text.vocab import Unknown


class Split(Enum):
    """A part of the run's own data."""

    TRAIN: Final = "train"
    VALID: Final = "valid"
    TEST: Final = "test"


class By(Enum):
    """What the sources are told apart by."""

    LENGTH: Final = "length"
    TAG: Final = "tag"
    BUNDLE: Final = "bundle"


def evaluate(
    run: Run,
    source: Annotated[
        str | None, typer.Argument(metavar="-", help="'-' scores a text on standard input.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Score a file instead of the run's own data: a text, or pairs, read as the run "
            "reads its own.",
        ),
    ] = None,
    split: Annotated[
        Split | None, typer.Option(help="Which part of the run's data.", show_default="valid")
    ] = None,
    unknown: Annotated[
        UnknownPolicy | None,
        typer.Option(
            help="Symbols that the model never saw: refuse them, leave them out, or read them as "
            "U+FFFD.",
            show_default="data.unknown of the run",
        ),
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
    text: Annotated[
        str | None,
        typer.Option(
            metavar="STRING",
            help="Score this, and show what each character costs.",
            rich_help_panel=TEXT,
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Score windows of so many characters, each from a zero state.",
            show_default="the state is carried through the whole text",
            rich_help_panel=TEXT,
        ),
    ] = None,
    beam: Beam = None,
    length_penalty: LengthPenalty = None,
    ensemble: Ensemble = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Convert so many sources, a random choice that stays the same.",
            show_default="all",
            rich_help_panel=PAIRS,
        ),
    ] = None,
    by: Annotated[
        By | None,
        typer.Option(
            help="Show the error rates by the length of the source, by each of its tags (one of "
            "V;PST counts in V and in PST), or by all of them as one bundle, V;PST.",
            rich_help_panel=PAIRS,
        ),
    ] = None,
    errors: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Show the N worst outputs: the most edits first; then those that were thought "
            "likeliest.",
            rich_help_panel=PAIRS,
        ),
    ] = None,
    predictions: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write every output to a tab-separated file. It begins with a header line: a "
            "configuration with source_column: source and target_column: reference reads its "
            "pairs.",
            rich_help_panel=PAIRS,
        ),
    ] = None,
    skip_errors: Annotated[
        bool,
        typer.Option(
            "--skip-errors",
            help="Leave out wrong lines of --data, such as duplicates, and say how many there are; "
            "else they are refused, unless the run has data.errors: skip.",
            rich_help_panel=PAIRS,
        ),
    ] = False,
    calibration: Calibrate = False,
    bins: Bins = None,
    equal_mass: EqualMass = False,
    plot: Plot = None,
    novelty: Novelty = False,
    characters: Characters = None,
    temperature: Temperature = None,
    seed: Seed = None,
    dynamic: Dynamic = False,
    rule: UpdateRule = None,
    learning_rate: LearningRate = None,
    decay: Decay = None,
    segment: Segment = None,
) -> None:
    """Measure a trained model on the validation data of its run, or on a file.

    Text: nats and bits per character, perplexity, accuracy. Every character but the first is
    scored once. --text colors them by their surprisal; where there is no color it prints a line
    for each: the character, a tab, its bits.

    Pairs: how many sources are turned into a right answer (accuracy; the others are the WER), the
    edits to the closest one per symbol (SER), and nats per symbol of the right answers.

    Example: charseq eval runs/dates --split test --errors 10

    Example: charseq eval runs/stdlib --data other.py

    Example: charseq eval runs/stdlib --novelty
    """
    with quiet_interrupt():
        from charseq.cli.eval_calibration import calibration_request
        from charseq.cli.eval_dynamic import dynamic_request, report_dynamic
        from charseq.cli.eval_novelty import novelty_request, report_novelty
        from charseq.inference.load import load
        from charseq.inference.trained_lm import TrainedLanguageModel

        how = calibration_request(wanted=calibration, bins=bins, equal_mass=equal_mass, plot=plot)
        sampled = novelty_request(
            wanted=novelty, characters=characters, temperature=temperature, seed=seed
        )
        adapted = dynamic_request(
            wanted=dynamic, rule=rule, learning_rate=learning_rate, decay=decay, segment=segment
        )
        trained = load(run, *(ensemble or ()), device=device)
        part: Literal["train", "valid", "test"] | None = split.value if split else None
        policy: Unknown | None = unknown.value if unknown else None
        if isinstance(trained, TrainedLanguageModel):
            from charseq.cli.eval_text import TextRequest, evaluate_text

            refuse_options(
                {
                    "--beam": beam,
                    "--length-penalty": length_penalty,
                    "--limit": limit,
                    "--by": by,
                    "--errors": errors,
                    "--predictions": predictions,
                    "--skip-errors": skip_errors,
                },
                "is for models of pairs; this run is a language model",
            )
            request = TextRequest(source, data, text, part, window, policy, as_json, how)
            if sampled is not None:
                refuse_options({"--dynamic": dynamic}, "goes without --novelty")
                report_novelty(trained, request, sampled)
                return
            if adapted is not None:
                report_dynamic(trained, request, adapted)
                return
            evaluate_text(trained, request)
            return
        from charseq.cli.eval_pairs import PairRequest, evaluate_pairs

        refuse_options(
            {"--text": text, "--window": window, "--novelty": novelty, "--dynamic": dynamic},
            "is for language models, and this run converts pairs; --data FILE names others",
        )
        pairs = PairRequest(
            argument=source,
            data=data,
            split=part,
            unknown=policy,
            beam=beam,
            length_penalty=length_penalty,
            limit=limit,
            by=by.value if by else None,
            errors=errors,
            predictions=predictions,
            skip_errors=skip_errors,
            calibration=how,
            as_json=as_json,
        )
        evaluate_pairs(trained, pairs)

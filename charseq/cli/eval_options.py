"""The options of what ``charseq eval`` can find out besides the score, a heading for each."""

from enum import Enum
from typing import Annotated, Final, TypeAlias

import typer

CALIBRATION = "Calibration"
NOVELTY = "Copies of the training text (language models)"
DYNAMIC = "Dynamic evaluation (language models)"


class Rule(Enum):
    """How weights are adapted."""

    RMS: Final = "rms"
    SGD: Final = "sgd"


Calibrate: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--calibration",
        help="Compare the confidence in the likeliest answer, a whole target or the next character "
        "of a text, with how often it is right: a table, and the expected calibration error (Guo "
        "et al. 2017).",
        rich_help_panel=CALIBRATION,
    ),
]
Bins: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1000,
        help="Bins of confidences, of equal width.",
        show_default="15",
        rich_help_panel=CALIBRATION,
    ),
]
EqualMass: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--equal-mass",
        help="Bins of about as many answers each instead: where most confidences are alike.",
        rich_help_panel=CALIBRATION,
    ),
]
Plot: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Draw the table as a reliability diagram to a file that ends in .svg or .png.",
        rich_help_panel=CALIBRATION,
    ),
]
Novelty: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--novelty",
        help="Sample, and show how much of it stands verbatim in the training text, beside the "
        "same of held-out text: that of validation, or --split test, or --data FILE.",
        rich_help_panel=NOVELTY,
    ),
]
Characters: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Characters to sample, in a dozen texts.",
        show_default="24000",
        rich_help_panel=NOVELTY,
    ),
]
Temperature: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=100.0,
        help="As of `charseq sample`.",
        show_default="sample.temperature of the run",
        rich_help_panel=NOVELTY,
    ),
]
Seed: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Of the first text; each of the others has the next.",
        show_default="sample.seed of the run",
        rich_help_panel=NOVELTY,
    ),
]
Dynamic: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--dynamic",
        help="Score the text twice, with the weights as they are, and with a copy that learns from "
        "each segment once it is scored (Krause et al. 2018). Nothing is written.",
        rich_help_panel=DYNAMIC,
    ),
]
UpdateRule: TypeAlias = Annotated[
    Rule | None,
    typer.Option(
        "--rule",
        help="rms divides each gradient by its usual size in the training text; sgd takes it as it "
        "is.",
        show_default="rms",
        rich_help_panel=DYNAMIC,
    ),
]
LearningRate: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        help="Of every segment.",
        show_default="rms 1e-3, sgd 0.1",
        rich_help_panel=DYNAMIC,
    ),
]
Decay: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        help="How far every segment draws the weights back to the trained ones.",
        show_default="3e-4",
        rich_help_panel=DYNAMIC,
    ),
]
Segment: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=100_000,
        help="Characters that are scored, then learned from.",
        show_default="20",
        rich_help_panel=DYNAMIC,
    ),
]

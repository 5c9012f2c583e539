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

"""Options that several commands have, declared once."""

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Final, TypeAlias

import typer

from charseq.errors import CharseqError

TEXT, PAIRS = "Language models", "Pairs"  # headings of options that one kind of model has alone


class UnknownPolicy(Enum):
    """What to do with a symbol that the model does not know."""

    ERROR: Final = "error"
    SKIP: Final = "skip"
    REPLACE: Final = "replace"


class Axis(Enum):
    """What learning curves are drawn over."""

    STEP: Final = "step"
    MINUTES: Final = "minutes"


AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Beam: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1000,
        help="Hypotheses that the search keeps; 1 takes the likeliest symbol each time.",
        show_default="sample.beam of the run",
        rich_help_panel=PAIRS,
    ),
]
CurvesBy: TypeAlias = Annotated[
    Axis, typer.Option("--by", help="Curves by the steps made, or by the minutes trained.")
]
Device: TypeAlias = Annotated[
    str, typer.Option(metavar="auto|cpu|cuda|cuda:N", help="Where to compute.")
]
Ensemble: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="RUN",
        help="A further model of the same pairs; may be given repeatedly. The probabilities of all "
        "are averaged.",
        rich_help_panel=PAIRS,
    ),
]
LengthPenalty: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=10.0,
        help="Favours longer targets; 0 does not.",
        show_default="sample.length_penalty of the run",
        rich_help_panel=PAIRS,
    ),
]
Overrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; may be given repeatedly."),
]
Plot: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Draw the curves, .png or .svg (needs matplotlib)."),
]
Run: TypeAlias = Annotated[
    str, typer.Argument(metavar="RUN|CHECKPOINT", help="A run folder or a .safetensors file.")
]


def refuse_options(given: Mapping[str, object], why: str) -> None:
    """Refuse the first option that is there (neither None, False nor empty).

    Raises:
        CharseqError: ``--beam: why``.
    """
    for name, value in given.items():
        if value is not None and value is not False and value != []:
            raise CharseqError(f"{name}: {why}")

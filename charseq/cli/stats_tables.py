"""What the counts of texts and of pairs are both shown with."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 200  # symbols listed on the screen; --json lists all
LISTED = 12  # of the rare ones
EIGHTHS = " ▏▎▍▌▋▊▉"


def how_long(steps_per_epoch: int, epochs: float | None) -> dict[str, str]:
    """Facts of a training; without ``epochs`` the clock ends it."""
    from charseq.text.wording import number_of

    long = "" if epochs is None else f"{epochs:,.0f}" if epochs >= 100 else f"{epochs:.3g}"
    plural = "s" * (long != "1")
    return {
        "an epoch": number_of(steps_per_epoch, "step"),
        "the training": f"at most {long} epoch{plural}" if long else "ends by the clock",
    }


def show_counts(console: "Console", counts: Mapping[str, int]) -> None:
    """The symbols in columns, the commonest first."""
    from rich.columns import Columns
    from rich.text import Text

    common = sorted(counts.items(), key=lambda item: -item[1])
    cells = [Text(f"{quoted(symbol)} {count:,}") for symbol, count in common[:SHOWN]]
    console.print(Columns(cells, padding=(0, 3), equal=True, column_first=True))
    if len(common) > SHOWN:
        console.print(f"and {len(common) - SHOWN:,} more, which --json lists")


def some(counts: Mapping[str, int]) -> str:
    """How many symbols, and the first few of them with their counts."""
    if not counts:
        return "none"
    first = [f"{quoted(symbol)} {count:,}" for symbol, count in list(counts.items())[:LISTED]]
    return f"{len(counts):,}: {', '.join(first)}{', …' if len(counts) > LISTED else ''}"


def quoted(symbol: str) -> str:
    """A symbol in quotes: visible, harmless, not combined with what stands before it."""
    from charseq.reports.visible import visible

    return f"'{symbol if symbol == ' ' else visible(symbol)}'"


def bar(share: float, width: int) -> str:
    """A share of the width as a bar, in eighths of a cell; a share above 0 is never nothing."""
    eighths = max(round(share * width * 8), share > 0)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()

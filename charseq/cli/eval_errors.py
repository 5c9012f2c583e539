"""What ``charseq eval --errors`` shows: the worst outputs, and the commonest mistakes of all."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from charseq.cli.confidence import percent
from charseq.text.characters import escape
from charseq.text.symbols import TAG_SEPARATOR

if TYPE_CHECKING:
    from rich.console import Console

    from charseq.inference.align import Confusion
    from charseq.inference.pairs import Judged

COMMONEST = 8  # mistakes that are listed


def worst(judged: Sequence["Judged"], count: int) -> list["Judged"]:
    """The wrong ones with the most edits; of equal ones those that were thought likeliest."""
    wrong = [one for one in judged if not one.right]
    return sorted(wrong, key=lambda one: (-one.edits, -one.log_probability))[:count]


def show_errors(
    console: "Console", judged: Sequence["Judged"], count: int, *, spaced: bool
) -> None:
    """Draw the worst, aligned with the closest right answer, and list the commonest mistakes.

    ``spaced`` puts a blank between two symbols.
    """
    from rich.table import Table
    from rich.text import Text

    from charseq.inference.align import align, confusions
    from charseq.reports.aligned import aligned_lines
    from charseq.text.wording import number_of

    in_color = console.is_terminal and console.color_system is not None and not console.no_color
    shown = worst(judged, count)
    for number, one in enumerate(shown, 1):
        title = (
            f"{number}. {number_of(one.edits, 'edit')} of "
            f"{number_of(len(one.reference), 'symbol')}, probability {percent(one.log_probability)}"
        )
        console.print(Text(title, style="dim"), soft_wrap=True)
        grid = Table.grid(padding=(0, 2))
        source = Text(escape(one.example.source), overflow="fold")
        if one.example.features:
            source.append(f"  {escape(TAG_SEPARATOR.join(one.example.features))}", "dim")
        grid.add_row(Text("source", style="dim"), source)
        answers = len(one.example.targets)
        right = "right" if answers == 1 else f"closest of {answers}"
        pieces = align(one.symbols, one.reference)
        room = max(10, console.width - max(len("prediction"), len(right)) - 2)
        for lines in aligned_lines(pieces, room, spaced=spaced, in_color=in_color):
            grid.add_row(Text("prediction", style="dim"), lines.prediction)
            grid.add_row(Text(right, style="dim"), lines.reference)
            if lines.marks is not None:
                grid.add_row("", lines.marks)
        console.print(grid)
        console.print()
    mistakes = confusions(judged)
    if mistakes:
        words = [_mistake(one) for one in mistakes[:COMMONEST]]
        more = f", and {len(mistakes) - COMMONEST:,} more" if len(mistakes) > COMMONEST else ""
        console.print(Text(f"commonest mistakes: {', '.join(words)}{more}"))
        console.print()
    elif not shown:
        console.print("no errors\n")


def _mistake(one: "Confusion") -> str:
    """Such as ``'e' for 'é' 12``."""
    from charseq.reports.visible import visible

    wrote, right = f"'{visible(one.predicted)}'", f"'{visible(one.reference)}'"
    if not one.predicted:
        what = f"{right} left out"
    elif not one.reference:
        what = f"{wrote} too many"
    else:
        what = f"{wrote} for {right}"
    return f"{what} {one.count:,}"

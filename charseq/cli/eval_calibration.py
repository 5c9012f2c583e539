"""``charseq eval --calibration``: confidences beside how often they are right."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charseq.cli.console import plain_table, show_facts
from charseq.cli.options import refuse_options
from charseq.cli.writing import whole_file

if TYPE_CHECKING:
    from rich.console import Console

    from charseq.inference.calibration import Calibration

CELLS = 20  # of a bar
ROOM = 80  # columns that a table with bars needs
NEAR = 0.005  # accuracies and confidences that are as good as equal


@dataclass(frozen=True)
class CalibrationRequest:
    """Into which bins to put the answers, and where to draw them."""

    bins: int
    equal_mass: bool
    plot: str | None


def calibration_request(
    *, wanted: bool, bins: int | None, equal_mass: bool, plot: str | None
) -> CalibrationRequest | None:
    """What the options ask for; None: nothing.

    Raises:
        CharseqError: an option goes with one that is not there, or the plot cannot be drawn.
    """
    if not wanted:
        given = {"--bins": bins, "--equal-mass": equal_mass, "--plot": plot}
        refuse_options(given, "goes with --calibration")
        return None
    from charseq.inference.calibration import BINS

    if plot is not None:
        from charseq.reports.image import file_format

        file_format(plot)  # before what takes long
    return CalibrationRequest(BINS if bins is None else bins, equal_mass, plot)


def show_calibration(console: "Console", found: "Calibration", unit: str) -> None:
    """A line for each bin: its confidences, how many, how sure, how often right. Then the error.

    ``unit``: what the answers are called, in the plural.
    """
    table = plain_table()
    for heading in ("confidence", unit, "mean", "right", "gap"):
        table.add_column(heading, justify="right", no_wrap=True)
    if console.width >= ROOM:
        table.add_column("right █, confidence │", no_wrap=True)
    for one in found.bins:
        cells = [
            f"{one.low:.1%} – {one.high:.1%}",
            f"{one.count:,}",
            f"{one.confidence:.1%}",
            f"{one.accuracy:.1%}",
            f"{100 * one.gap:+.1f}",
        ]
        if console.width >= ROOM:
            cells.append(_bar(one.accuracy, one.confidence))
        table.add_row(*cells)
    console.print(table)
    console.print()
    sure = f"{found.confidence:.2%}, {found.accuracy:.2%} are right"
    # What chance gives so few answers is no news: two standard deviations of the accuracy that
    # such a confidence would have.
    noise = 2 * math.sqrt(found.confidence * (1 - found.confidence) / max(1, found.count))
    if abs(found.accuracy - found.confidence) > max(NEAR, noise):
        sure += ": " + ("too sure" if found.confidence > found.accuracy else "not sure enough")
    facts = {
        "calibration error (ECE)": f"{found.ece:.2%}, {found.binning}",
        "mean confidence": sure,
    }
    show_facts(console, facts)


def draw_calibration(file: str, found: "Calibration", unit: str) -> None:
    """Write a reliability diagram.

    Raises:
        CharseqError: the file cannot be written.
    """
    from charseq.reports.image import file_format
    from charseq.reports.reliability import draw_reliability

    with whole_file(file) as out:
        out.write(draw_reliability(found, unit, file_format(file)))


def _bar(accuracy: float, confidence: float) -> str:
    """As long as the accuracy, with a mark at the confidence."""
    cells = ["█"] * round(CELLS * accuracy)
    cells += [" "] * (CELLS - len(cells))
    cells.insert(round(CELLS * confidence), "│")
    return "".join(cells).rstrip()

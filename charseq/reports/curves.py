"""Learning curves of several runs over each other, as lines of text."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from charseq.training.history import Evaluation, Logged, Run

By = Literal["step", "minutes"]

MEASURES: Final = {
    "loss": "validation loss, nats",
    "accuracy": "validation, share right",
    "ser": "validation, symbol error rate",
    "train": "training loss, nats",
}
STYLES: Final = ("cyan", "yellow", "magenta", "green", "red", "blue")
BEGINNING = 0.1  # of the longest curve: there all curves fall so far that the rest would be flat
FLAT = 1e-9  # of the values: what differs by less is a level line
LABELS = 9  # columns for the numbers of the vertical axis
HEIGHT = 15  # lines
SCREEN: Final = 80  # columns, where it is none
SEVERAL = "*"  # a place where several curves meet


@dataclass(frozen=True)
class Curve:
    """One line: ``label`` names it, in the plot too. Those of one ``group`` share a colour."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    group: int
    diverged: bool = False
    train: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())  # loss, where y is one too


def monitor_of(runs: Sequence[Run]) -> str:
    """The ``train.monitor`` of all runs; where they differ, the loss."""
    monitors = {run.config.train.monitor for run in runs if run.config}
    return monitors.pop() if len(monitors) == 1 else "loss"


def measure_of(runs: Sequence[Run]) -> str:
    """What their curves show: the measure that all of them choose their best by, else the loss.

    The loss also where that measure has one value only: nothing is right at first.
    """
    evaluations = [one for run in runs for one in run.evaluations]
    measure = monitor_of(runs)
    if not evaluations:
        return "train"
    return measure if len({one.measure(measure) for one in evaluations}) > 1 else "loss"


def curve(label: str, run: Run, measure: str, by: By, group: int = 0) -> Curve:
    """A run's values of a measure, by step or by minute of training."""

    def at(line: Logged | Evaluation) -> float:
        return line.step if by == "step" else line.seconds / 60

    train = tuple(at(line) for line in run.steps), tuple(line.loss for line in run.steps)
    x, y = train
    if measure != "train":
        x = tuple(at(line) for line in run.evaluations)
        y = tuple(line.measure(measure) for line in run.evaluations)
    more = train if measure == "loss" else ((), ())
    return Curve(label, x, y, group, run.state == "diverged", more)


def bounds(curves: Sequence[Curve]) -> tuple[float, float]:
    """The lowest and the highest value worth a place: behind the beginning, and not diverged."""
    begin = BEGINNING * max((x for one in curves for x in one.x), default=0.0)
    calm = [one for one in curves if one.x and not one.diverged] or curves
    values = [
        y for one in calm for x, y in zip(one.x, one.y, strict=True) if x >= begin or x == one.x[-1]
    ]
    low, high = min(values, default=0.0), max(values, default=1.0)
    flat = high - low <= FLAT * max(abs(high), 1.0)
    margin = max(abs(high), 1.0) / 100 if flat else 0.02 * (high - low)
    return max(low - margin, min(low, 0.0)), high + margin  # no measure is below 0


@dataclass(frozen=True)
class CurvePlot:
    """Curves as rich draws them, as wide as there is room; the first letter of a label draws it."""

    curves: Sequence[Curve]
    by: By

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        drawn = [one for one in self.curves if one.x]
        if drawn:
            yield from _lines(drawn, self.by, max(options.max_width - LABELS - 1, 10))


def _lines(curves: Sequence[Curve], by: By, width: int) -> Iterator[Text]:
    low, high = bounds(curves)
    right = max(one.x[-1] for one in curves)
    left = min(0.0, *(one.x[0] for one in curves))
    columns = np.linspace(left, right, width)
    digits = max(0, 2 - math.floor(math.log10(high - low)))  # labels that differ
    form = f".{digits}f" if high < 1e5 and digits < 6 else ".4g"
    cells = np.full((HEIGHT, width), " ", dtype="<U1")
    styles: dict[str, str] = {}
    outside: list[str] = []
    for one in curves:
        letter = one.label[:1]
        styles[letter] = STYLES[one.group % len(STYLES)]
        places = list(_cells(one, columns, low, high))
        if not places and letter not in outside:
            outside.append(letter)
        for column, row in places:
            there = cells[row, column]
            cells[row, column] = letter if there in (" ", letter) else SEVERAL
    for row in range(HEIGHT):
        label = ""
        if row in (0, HEIGHT // 2, HEIGHT - 1):
            label = format(high - (high - low) * row / (HEIGHT - 1), form)
        line = Text(f"{label:>{LABELS - 1}} {'┤' if label else '│'}", style="dim", no_wrap=True)
        for cell in cells[row]:
            line.append(str(cell), style=styles.get(str(cell), "bold"))
        line.rstrip()
        yield line
    yield Text(" " * LABELS + "└" + "─" * width, style="dim", no_wrap=True)
    ends = _number(left), f"{by} {_number(right)}"
    space = " " * max(1, width - sum(map(len, ends)))
    yield Text(" " * (LABELS + 1) + space.join(ends), style="dim", no_wrap=True)
    if outside:
        told = f"out of the frame: {' '.join(outside)}"
        yield Text(" " * (LABELS + 1) + told, style="dim", no_wrap=True, overflow="ellipsis")


def _cells(
    one: Curve, columns: NDArray[np.float64], low: float, high: float
) -> Iterator[tuple[int, int]]:
    """The column and the row of each place that a curve passes."""
    step = columns[1] - columns[0]
    y = np.interp(columns, one.x, one.y)
    rows = np.rint((high - y) / (high - low) * (HEIGHT - 1))
    passed = (columns >= one.x[0] - step / 2) & (columns <= one.x[-1] + step / 2)
    for column in np.flatnonzero(passed & (rows >= 0) & (rows < HEIGHT)):
        yield int(column), int(rows[column])


def _number(x: float) -> str:
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"

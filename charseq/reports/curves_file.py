"""Learning curves of several runs as an image, through matplotlib."""

from collections.abc import Sequence

from charseq.reports.curves import MEASURES, By, Curve, bounds
from charseq.reports.image import reproducible, save

NAMED = 10  # curves, or groups of them, that a legend names and that have colours of their own
SIZE = (7, 4)  # inches
GREY = "0.8"


def draw_curves(
    curves: Sequence[Curve],
    names: Sequence[str],
    *,
    measure: str,
    by: By,
    suffix: str,
) -> bytes:
    """The bytes of an image; ``names`` are those of the groups, the best first.

    Training losses are thin lines beside the validation's, where both are losses and few.
    """
    from matplotlib.figure import Figure

    with reproducible():
        figure = Figure(figsize=SIZE, layout="constrained", dpi=144)
        axes = figure.subplots()
        lines = {}
        for one in reversed(curves):  # the first of them on top
            colour = f"C{one.group}" if one.group < NAMED else GREY
            marker = "o" if len(one.x) <= 50 else None
            (line,) = axes.plot(one.x, one.y, color=colour, marker=marker, markersize=3)
            lines[one.group] = line
            if len(curves) <= NAMED:
                axes.plot(*one.train, color=colour, linewidth=0.6, alpha=0.6)
        low, high = bounds([one for one in curves if one.x])
        if any(one.train[0] for one in curves):
            low -= 0.25 * (high - low)  # the training's losses are lower
        x = "step" if by == "step" else "minutes of training"
        axes.set(xlabel=x, ylabel=MEASURES[measure], ylim=(low, high))
        axes.grid(alpha=0.3)
        groups = sorted(lines)[:NAMED]
        axes.legend([lines[i] for i in groups], [names[i] for i in groups], fontsize=8)
        return save(figure, suffix)

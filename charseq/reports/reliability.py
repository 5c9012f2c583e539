"""A reliability diagram as an image, through matplotlib: confidence and accuracy, bin by bin."""

from charseq.inference.calibration import Calibration
from charseq.reports.image import reproducible, save

SIZE = (5, 6)  # inches


def draw_reliability(found: Calibration, unit: str, suffix: str) -> bytes:
    """The bytes of an image.

    Above, the accuracy of each bin as a bar, with the gap to its mean confidence, which a
    calibrated model does not have; below, where the answers are. ``unit`` is what these are called.
    """
    from matplotlib.figure import Figure

    lows = [one.low for one in found.bins]
    widths = [one.high - one.low for one in found.bins]
    accuracies = [one.accuracy for one in found.bins]
    shares = [one.count / found.count for one in found.bins]
    with reproducible():
        figure = Figure(figsize=SIZE, layout="constrained", dpi=144)
        above, below = figure.subplots(2, sharex=True, height_ratios=[3, 1])
        above.plot([0, 1], [0, 1], color="0.5", linestyle="--", linewidth=1, label="calibrated")
        bars = {"align": "edge", "edgecolor": "white"}
        above.bar(lows, accuracies, widths, color="tab:blue", label="right", **bars)
        for one in found.bins:
            above.plot(
                [one.confidence] * 2,
                [one.accuracy, one.confidence],
                color="tab:red",
                marker="_",
                label="gap to the mean confidence" if one is found.bins[0] else None,
            )
        above.set(ylabel="share that is right", ylim=(0, 1), xlim=(0, 1))
        above.set_title(f"ECE {found.ece:.2%}, {found.binning}", fontsize=10, loc="left")
        above.legend(loc="upper left", fontsize=8)
        below.bar(lows, shares, widths, color="0.6", **bars)
        below.set(xlabel=f"confidence of {found.count:,} {unit}", ylabel="share")
        return save(figure, suffix)

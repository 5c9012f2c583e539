"""A reliability diagram as a file, through matplotlib: confidence against accuracy, bin by bin."""

import io
from pathlib import PurePath
from typing import Final

from charseq.errors import CharseqError
from charseq.inference.calibration import Calibration

FORMATS: Final = (".svg", ".png")


def check_format(file: str) -> str:
    """The format that a file's name asks for.

    Raises:
        CharseqError: it is none of them, or matplotlib is not installed.
    """
    suffix = PurePath(file).suffix.lower()
    if suffix not in FORMATS:
        raise CharseqError(f"{file}: name a file that ends in {' or '.join(FORMATS)}")
    try:
        import matplotlib as _  # noqa: F401
    except ImportError:
        raise CharseqError(f"{file}: plots need matplotlib: pip install 'charseq[plot]'") from None
    return suffix


def draw(found: Calibration, unit: str, file: str) -> bytes:
    """The bytes of a file of the format that its name asks for.

    Above, the accuracy of each bin as a bar, with the gap to its mean confidence, which a
    calibrated model does not have; below, where the answers are.
    """
    suffix = check_format(file)
    import matplotlib
    from matplotlib.figure import Figure

    lows = [one.low for one in found.bins]
    widths = [one.high - one.low for one in found.bins]
    share = [one.count / found.count for one in found.bins]
    # Neither a date nor random names: the same answers give the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "charseq"}):
        figure = Figure(figsize=(5, 6), layout="constrained")
        above, below = figure.subplots(2, sharex=True, height_ratios=[3, 1])
        above.plot([0, 1], [0, 1], color="0.5", linestyle="--", linewidth=1, label="calibrated")
        accuracies = [one.accuracy for one in found.bins]
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
        below.bar(lows, share, widths, color="0.6", **bars)
        below.set(xlabel=f"confidence of {found.count:,} {unit}", ylabel="share")
        buffer = io.BytesIO()
        metadata = {"Date": None} if suffix == ".svg" else {}
        figure.savefig(buffer, format=suffix[1:], metadata=metadata, dpi=144)
    return buffer.getvalue()

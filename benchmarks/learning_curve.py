"""The learning curve of a run: a table of its evaluations, and a plot.

python benchmarks/learning_curve.py runs/tinyshakespeare --plot docs/images/tinyshakespeare.svg
"""

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("run", type=Path, help="a run folder")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it, .svg or .png")
    options = parser.parse_args()
    lines = (options.run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    steps = [event for event in events if event["event"] == "step"]
    evaluations = [event for event in events if event["event"] == "evaluated"]
    show(steps, evaluations)
    if options.plot:
        draw(steps, evaluations, options.plot)


def show(steps: list[dict[str, Any]], evaluations: list[dict[str, Any]]) -> None:
    of_text = "bpc" in evaluations[0]
    measures = ["valid, bpc"] if of_text else ["valid, right", "valid, SER"]
    table = Table("step", "minutes", "train, nats", "valid, nats", *measures)
    for evaluation in evaluations:
        before = [step["loss"] for step in steps if step["step"] <= evaluation["step"]]
        table.add_row(
            f"{evaluation['step']:,}",
            f"{evaluation['seconds'] / 60:.1f}",
            f"{before[-1]:.3f}" if before else "",
            f"{evaluation['nats']:.4f}",
            *(
                [f"{evaluation['bpc']:.3f}"]
                if of_text
                else [f"{evaluation['accuracy']:.2%}", f"{evaluation['ser']:.2%}"]
            ),
        )
    Console().print(table)


def draw(steps: list[dict[str, Any]], evaluations: list[dict[str, Any]], path: Path) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "charseq"  # the same curve gives the same file
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([s["step"] for s in steps], [s["loss"] for s in steps], label="train", linewidth=1)
    axes.plot(
        [e["step"] for e in evaluations],
        [e["nats"] for e in evaluations],
        label="valid",
        marker="o",
    )
    axes.set(xlabel="step", ylabel="nats per character", ylim=(1.2, 2.6))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    main()

"""The learning curve of a run: a table of its evaluations, and a plot.

python benchmarks/learning_curve.py runs/tinyshakespeare --plot docs/images/tinyshakespeare.svg
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from charseq.reports.curves import curve
from charseq.reports.curves_file import draw_curves
from charseq.training.history import Run, read_run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("run", type=Path, help="a run folder")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it, .svg or .png")
    options = parser.parse_args()
    run = read_run(options.run)
    if not run.evaluations:
        raise SystemExit(f"{run.path}: {run.why or 'has not been evaluated yet'}")
    show(run)
    if options.plot:
        drawn = curve("", run, "loss", "step")
        suffix = options.plot.suffix
        names = ["validation; thin: training"]
        options.plot.write_bytes(
            draw_curves([drawn], names, measure="loss", by="step", suffix=suffix)
        )


def show(run: Run) -> None:
    of_text = run.evaluations[0].ser is None
    measures = ["valid, bpc"] if of_text else ["valid, right", "valid, SER"]
    table = Table("step", "minutes", "train, nats", "valid, nats", *measures)
    for one in run.evaluations:
        before = [step.loss for step in run.steps if step.step <= one.step]
        table.add_row(
            f"{one.step:,}",
            f"{one.seconds / 60:.1f}",
            f"{before[-1]:.3f}" if before else "",
            f"{one.nats:.4f}",
            *([f"{one.bpc:.3f}"] if one.ser is None else [f"{one.accuracy:.2%}", f"{one.ser:.2%}"]),
        )
    Console().print(table)


if __name__ == "__main__":
    main()

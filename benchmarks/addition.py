"""Learn to add, as Keras's example addition_rnn: after how many epochs is 99 % right?

    python benchmarks/addition.py --digits 2 3 --jobs 2 --json addition.json

For each number of digits: makes data/addition_<n>_digits if it is not there, trains
configs/addition_<n>_digits.yaml as an ordinary run (what is there is not trained anew),
and reads its log. Characters right is 1 - SER of the validation sums: padding counts, as in Keras,
and so does each edit, where Keras counts each character that is wrong where it stands, of which
there may be more. Sums right are those without any error, by either measure. Keras's epochs are
those that the head of its example states for 99 % of the characters.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from commands import charseq
from rich.console import Console
from rich.table import Table

from charseq.config import load_config
from charseq.models.run_files import CONFIG
from charseq.training.files import write_config
from charseq.training.history import Evaluation, read_run
from charseq.training.sweep import Ended, threads_a_job, train_all

SIZES = {2: 5_000, 3: 50_000, 4: 400_000, 5: 550_000}
KERAS_EPOCHS = {2: 55, 3: 100, 4: 20, 5: 30}
WANTED = 0.99  # of the characters, of the sums


def prepare(digits: int, runs: Path, overrides: list[str]) -> Path:
    """Make the data and the run folder, where they are not there."""
    name = f"addition_{digits}_digits"
    data, run = Path("data") / name, runs / name
    if not (data / "train.tsv").exists():
        size = ["--digits", str(digits), "--size", str(SIZES[digits]), "--split", "0.9/0.1/0"]
        charseq(["data", "make", "addition", *size, "--out", str(data)])
    if not (run / CONFIG).exists():
        run.mkdir(parents=True, exist_ok=True)
        write_config(run, load_config(Path(f"configs/{name}.yaml"), overrides))
    return run


def learned(digits: int, path: Path) -> dict[str, Any]:
    """What the log of a run says."""
    run = read_run(path)
    steps_per_epoch = run.steps[-1].step / run.steps[-1].epoch
    characters = next((one for one in run.evaluations if (one.ser or 0.0) <= 1 - WANTED), None)
    sums = next((one for one in run.evaluations if one.accuracy >= WANTED), None)

    def figures(one: Evaluation | None) -> dict[str, float] | None:
        return (
            None
            if one is None
            else {
                "epochs": one.step / steps_per_epoch,
                "minutes": one.seconds / 60,
                "characters": 1 - (one.ser or 0.0),
                "exact": one.accuracy,
            }
        )

    return {
        "digits": digits,
        "keras_epochs": KERAS_EPOCHS[digits],
        "characters_99": figures(characters),
        "sums_99": figures(sums),
        "best": figures(max(run.evaluations, key=lambda one: one.accuracy)),
    }


def report(results: list[dict[str, Any]], threads: int) -> Table:
    """A row for each number of digits."""
    table = Table(title=f"epochs (and minutes, with {threads} threads) until so much is right")
    for heading in ("digits", "Keras", "99 % of characters", "99 % of sums", "best", "sums right"):
        table.add_column(heading, justify="right")
    for one in results:
        reached = (one["characters_99"], one["sums_99"], one["best"])
        table.add_row(
            str(one["digits"]),
            str(one["keras_epochs"]),
            *(f"{at['epochs']:.1f} ({at['minutes']:.1f})" if at else "not" for at in reached),
            f"{one['best']['exact']:.2%}",
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--digits", type=int, nargs="+", default=[2, 3, 4, 5], choices=SIZES)
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    paths = {digits: prepare(digits, options.runs, options.set) for digits in options.digits}
    for event in train_all(list(paths.values()), jobs=options.jobs):
        if isinstance(event, Ended) and event.error:
            raise SystemExit(event.error)
    results = [learned(digits, path) for digits, path in paths.items()]
    threads = threads_a_job(min(options.jobs, len(paths)))
    Console().print(report(results, threads))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

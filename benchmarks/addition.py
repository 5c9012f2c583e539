"""Learn to add, as Keras's example addition_rnn: after how many epochs are 99 % of it right?

    python benchmarks/addition.py --digits 2 3 --jobs 2 --json addition.json

For each number of digits: makes data/addition_<n>_digits if it is not there, trains
configs/addition_<n>_digits.yaml as an ordinary run (`--resume`: what is there is not trained anew),
and reads its log. Characters right is 1 - SER of the validation sums (a wrong, missing or
additional character is an error, padding counts, as in Keras). Keras's epochs are those that the
head of its example states for 99 %.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

SIZES = {2: 5_000, 3: 50_000, 4: 400_000, 5: 550_000}
KERAS_EPOCHS = {2: 55, 3: 100, 4: 20, 5: 30}
WANTED = 0.99  # of the characters


def charseq(arguments: list[str], threads: int) -> None:
    """Run a command of charseq; leaves when it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "charseq", *arguments]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"{' '.join(arguments)}\n{result.stderr}")


def learn(digits: int, runs: Path, overrides: list[str], threads: int) -> dict[str, Any]:
    """Train, and what the log says of it."""
    name = f"addition_{digits}_digits"
    folder = Path("data") / name
    if not (folder / "train.tsv").exists():
        size = ["--digits", str(digits), "--size", str(SIZES[digits]), "--split", "0.9/0.1/0"]
        charseq(["data", "make", "addition", *size, "--out", str(folder)], threads)
    run = runs / name
    settings = [part for item in overrides for part in ("--set", item)]
    config = f"configs/{name}.yaml"
    charseq(["train", config, "--run", str(run), "--resume", "--quiet", *settings], threads)
    log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    epoch = {line["step"]: line["epoch"] for line in log if line["event"] == "step"}
    steps_per_epoch = max(epoch) / epoch[max(epoch)]
    evaluations = [line for line in log if line["event"] == "evaluated"]
    reached = next((line for line in evaluations if line["ser"] <= 1 - WANTED), None)
    best = max(evaluations, key=lambda line: line["accuracy"])

    def figures(line: dict[str, Any] | None) -> dict[str, float] | None:
        return line and {
            "epochs": line["step"] / steps_per_epoch,
            "minutes": line["seconds"] / 60,
            "characters": 1 - line["ser"],
            "exact": line["accuracy"],
        }

    return {
        "digits": digits,
        "keras_epochs": KERAS_EPOCHS[digits],
        "at_99": figures(reached),
        "best": figures(best),
    }


def report(results: list[dict[str, Any]], threads: int) -> Table:
    """A row for each number of digits."""
    table = Table(title=f"99 % of the characters right, and the best ({threads} threads a run)")
    for heading in (
        "digits",
        "Keras's epochs",
        "epochs",
        "minutes",
        "exact then",
        "best exact",
        "epochs",
        "minutes",
    ):
        table.add_column(heading, justify="right")
    for one in results:
        at, best = one["at_99"], one["best"]
        table.add_row(
            str(one["digits"]),
            str(one["keras_epochs"]),
            *(
                (f"{at['epochs']:.1f}", f"{at['minutes']:.1f}", f"{at['exact']:.1%}")
                if at
                else ("not", "reached", "")
            ),
            f"{best['exact']:.2%}",
            f"{best['epochs']:.1f}",
            f"{best['minutes']:.1f}",
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
    threads = max(1, (os.cpu_count() or 1) // options.jobs)
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(
            pool.map(lambda n: learn(n, options.runs, options.set, threads), options.digits)
        )
    Console().print(report(results, threads))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Train a configuration of pairs with several seeds, and report its test figures with their spread.

    python benchmarks/seeds.py configs/g2p_ady.yaml --seeds 5 --jobs 2 --json ady.json

Each seed is an ordinary run, runs/<name>-seed<n>, trained by `charseq train … --resume`, so that
what was interrupted goes on and what is there is not trained anew. The best checkpoint, chosen on
the validation pairs, then converts the test pairs once; at last all of them do so as an ensemble.
WER: the share of sources with anything wrong. SER: symbol edits over reference symbols.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Result = dict[str, Any]


def charseq(arguments: list[str], threads: int) -> str:
    """Run a command of charseq; gives what it printed."""
    command = [sys.executable, "-m", "charseq", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"{' '.join(arguments)}\n{result.stderr}")
    return result.stdout


def train_and_test(
    config: Path, seed: int, runs: Path, overrides: list[str], threads: int
) -> Result:
    """The validation and test figures of one seed."""
    run = runs / f"{config.stem}-seed{seed}"
    settings = [part for item in (f"train.seed={seed}", *overrides) for part in ("--set", item)]
    charseq(["train", str(config), "--run", str(run), "--resume", "--quiet", *settings], threads)
    log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    best = [line for line in log if line["event"] == "evaluated" and line["is_best"]][-1]
    test = json.loads(charseq(["eval", str(run), "--split", "test", "--json"], threads))
    return {
        "seed": seed,
        "run": str(run),
        "minutes": log[-1]["seconds"] / 60,
        "best_step": best["step"],
        "valid": {"wer": best["wer"], "ser": best["ser"], "nats": best["nats"]},
        "test": {name: test[name] for name in ("wer", "ser", "nats")},
    }


def report(name: str, results: list[Result], ensemble: Result | None) -> Table:
    """A row a seed, then their mean and standard deviation, then the ensemble."""
    table = Table(title=name)
    for heading in ("seed", "minutes", "valid WER", "test WER", "test SER", "test nats"):
        table.add_column(heading, justify="right")
    for one in results:
        test = one["test"]
        table.add_row(
            str(one["seed"]),
            f"{one['minutes']:.1f}",
            f"{one['valid']['wer']:.1%}",
            f"{test['wer']:.1%}",
            f"{test['ser']:.2%}",
            f"{test['nats']:.3f}",
        )
    if len(results) > 1:
        table.add_section()
        for what, figure in (("mean", statistics.mean), ("sd", statistics.stdev)):
            table.add_row(
                what,
                f"{figure([one['minutes'] for one in results]):.1f}",
                f"{figure([one['valid']['wer'] for one in results]):.1%}",
                f"{figure([one['test']['wer'] for one in results]):.1%}",
                f"{figure([one['test']['ser'] for one in results]):.2%}",
                f"{figure([one['test']['nats'] for one in results]):.3f}",
            )
    if ensemble:
        rates = f"{ensemble['wer']:.1%}", f"{ensemble['ser']:.2%}", f"{ensemble['nats']:.3f}"
        table.add_row("ensemble", "", "", *rates)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    threads = max(1, (os.cpu_count() or 1) // options.jobs)
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(
            pool.map(
                lambda seed: train_and_test(
                    options.config, seed, options.runs, options.set, threads
                ),
                range(options.seeds),
            )
        )
    ensemble = None
    if len(results) > 1:
        first, *others = [one["run"] for one in results]
        more = [part for run in others for part in ("--ensemble", run)]
        ensemble = json.loads(
            charseq(["eval", first, *more, "--split", "test", "--json"], os.cpu_count() or 1)
        )
    Console().print(report(options.config.stem, results, ensemble))
    if options.json:
        record = {"config": str(options.config), "seeds": results, "ensemble": ensemble}
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()

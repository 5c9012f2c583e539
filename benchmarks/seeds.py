"""Train a configuration of pairs with several seeds, and report its test figures with their spread.

    python benchmarks/seeds.py configs/g2p_ady.yaml --seeds 5 --jobs 2 --json ady.json

The runs are those of `charseq sweep --seeds`: what was interrupted goes on, and what is there is
not trained anew. The best checkpoint of each, chosen on the validation pairs, then converts the
test pairs once; at last all of them do so as an ensemble. WER: the share of sources with anything
wrong. SER: symbol edits over reference symbols.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from commands import charseq
from rich.console import Console
from rich.table import Table

from charseq.training.history import Run, find_runs

Result = dict[str, Any]


def tested(run: Run) -> Result:
    """The validation and test figures of one seed."""
    best, config = run.best, run.config
    assert best is not None
    assert config is not None
    test = json.loads(charseq(["eval", str(run.path), "--split", "test", "--json"]))
    return {
        "seed": config.train.seed,
        "run": str(run.path),
        "minutes": run.seconds / 60,
        "best_step": best.step,
        "valid": {"wer": best.wer, "ser": best.ser, "nats": best.nats},
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
    out = options.runs / f"{options.config.stem}-seeds"
    settings = [part for item in options.set for part in ("--set", item)]
    count, jobs = str(options.seeds), str(options.jobs)
    arguments = [str(options.config), "--seeds", count, "--jobs", jobs, "--out", str(out)]
    print(charseq(["sweep", *arguments, *settings]))
    runs = [run for run in find_runs(out) if run.config]
    results = sorted((tested(run) for run in runs), key=lambda one: int(one["seed"]))
    ensemble = None
    if len(results) > 1:
        first, *others = [one["run"] for one in results]
        more = [part for run in others for part in ("--ensemble", run)]
        ensemble = json.loads(charseq(["eval", first, *more, "--split", "test", "--json"]))
    Console().print(report(options.config.stem, results, ensemble))
    if options.json:
        record = {"config": str(options.config), "seeds": results, "ensemble": ensemble}
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()

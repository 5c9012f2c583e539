"""Train a recipe of configs/ again, and compare with the figure that docs/results.md has of it.

    python benchmarks/results.py                                      what is documented
    python benchmarks/results.py --recipe g2p_ady --jobs 2 --json ady.json
    python benchmarks/results.py --recipe dates --quick               does it run at all?

The documented figures stand in benchmarks/results.yaml. Each seed is an ordinary run of its own,
runs/results/<recipe>-seed<n>; one that was interrupted goes on, one that is done is not trained
anew. The data is fetched or made where it is not there. The exit code is 1 where a figure is
outside: further from the documented mean than 3 standard errors of the difference of both means,
sd · sqrt(1/n + 1/n'); better is outside too, as the documented figure is then not true any more.
One seed has no spread: there it is the tolerance in the file.
"""

import argparse
import json
import math
import os
import shlex
import shutil
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from commands import charseq
from pydantic import BaseModel, ConfigDict, Field, model_validator
from rich.console import Console
from rich.table import Table
from turns import machine

from charseq.training.history import read_run

DOCUMENTED = Path(__file__).with_name("results.yaml")
CONFIGS = Path(__file__).parent.parent / "configs"
ERRORS = 3  # standard errors of a difference that are no difference
HIGHER_IS_BETTER = {"accuracy"}
QUICK_STEPS = 50

Result = dict[str, Any]


class Figure(BaseModel):
    """One figure as it stands in docs/results.md; ``tolerance`` where there is no spread."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: Literal["accuracy", "wer", "ser", "nats"]
    split: Literal["valid", "test"]
    unit: Literal["plain", "percent"] = Field("plain", alias="as")
    mean: Decimal
    sd: Decimal | None = None
    tolerance: Decimal | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if (self.sd is None) == (self.tolerance is None):
            raise ValueError("needs sd, or tolerance where one seed was trained")
        return self

    def __str__(self) -> str:
        return f"{self.mean}" if self.sd is None else f"{self.mean} ± {self.sd}"

    @property
    def digits(self) -> int:
        """Behind the point."""
        return -int(self.mean.as_tuple().exponent)

    @property
    def name(self) -> str:
        unit = ", %" if self.unit == "percent" else ""
        return f"{self.split} {self.metric}{unit}"

    def scaled(self, value: float) -> float:
        """A value of the metric, in the unit of the figure."""
        return 100 * value if self.unit == "percent" else value

    def allowed(self, seeds: int, trained: int) -> float:
        """How far the mean of ``trained`` seeds may be from that of the ``seeds`` documented."""
        rounding = float(Decimal(5).scaleb(-self.digits - 1))
        if self.sd is None:
            return float(self.tolerance or 0) + rounding
        return ERRORS * float(self.sd) * math.sqrt(1 / seeds + 1 / trained) + rounding


class Recipe(BaseModel):
    """What is documented of a configuration. The head of results.yaml says what each field is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str | None
    command: str
    line: str
    seeds: int
    minutes: float
    figures: list[Figure]


def documented(file: Path = DOCUMENTED) -> dict[str, Recipe]:
    """Every recipe of the file, by its name."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {name: Recipe.model_validate(recipe) for name, recipe in content.items()}


def fetch(recipe: Recipe, config: Path) -> None:
    """Get or make the data, unless it is there."""
    if recipe.data is None:
        return
    try:
        charseq(["config", "check", str(config)], 1)  # also looks whether its files are there
    except SystemExit:
        charseq(shlex.split(recipe.data)[1:], os.cpu_count() or 1)


def train(config: Path, run: Path, settings: Sequence[str], threads: int) -> Result:
    """Train, or go on: what the log says of the best checkpoint, and of the minutes it took."""
    changes = [part for item in settings for part in ("--set", item)]
    charseq(["train", str(config), "--run", str(run), "--resume", "--quiet", *changes], threads)
    trained = read_run(run)
    assert trained.best is not None
    return {
        "run": str(run),
        "minutes": trained.seconds / 60,
        "valid": trained.best.model_dump(exclude_none=True),
    }


def measure(
    name: str, recipe: Recipe, seed: int, runs: Path, threads: int, *, quick: bool = False
) -> Result:
    """Train one seed, and what the figures are for it, in their units."""
    config = CONFIGS / f"{name}.yaml"
    run = runs / f"{name}-{'quick' if quick else f'seed{seed}'}"
    settings = [f"train.seed={seed}"]
    if quick:
        shutil.rmtree(run, ignore_errors=True)
        settings += [f"train.{what}={QUICK_STEPS}" for what in ("max_steps", "eval_every")]
    result = {"seed": seed, **train(config, run, settings, threads)}
    if any(figure.split == "test" for figure in recipe.figures):
        command = ["eval", str(run), "--split", "test", "--json"]
        result["test"] = json.loads(charseq(command, threads))
    result["figures"] = {
        figure.name: figure.scaled(result[figure.split][figure.metric]) for figure in recipe.figures
    }
    return result


def compare(recipe: Recipe, results: Sequence[Result]) -> list[Result]:
    """Each figure beside what was measured: within, worse or better."""
    found = []
    for figure in recipe.figures:
        values = [one["figures"][figure.name] for one in results]
        mean, bound = statistics.mean(values), figure.allowed(recipe.seeds, len(values))
        difference = mean - float(figure.mean)
        verdict = "within"
        if abs(difference) > bound:
            is_better = (difference > 0) == (figure.metric in HIGHER_IS_BETTER)
            verdict = "better" if is_better else "worse"
        found.append(
            {
                "figure": figure.name,
                "documented": str(figure),
                "mean": mean,
                "sd": statistics.stdev(values) if len(values) > 1 else None,
                "values": values,
                "allowed": bound,
                "verdict": verdict,
            }
        )
    return found


def report(name: str, recipe: Recipe, results: Sequence[Result], *, quick: bool) -> Table:
    """A row a figure; the minutes, which no machine has to reach, at the end."""
    table = Table(title=f"{name}: {len(results)} of {recipe.seeds} seeds")
    for heading in ("", "documented", "measured", "allowed", "within?"):
        table.add_column(heading, justify="left" if heading in ("", "within?") else "right")
    figures = {figure.name: figure for figure in recipe.figures}
    for one in compare(recipe, results):
        digits = figures[one["figure"]].digits
        spread = "" if one["sd"] is None else f" ± {one['sd']:.{digits}f}"
        said = {"within": "yes", "worse": "no, worse", "better": "no, better"}[one["verdict"]]
        table.add_row(
            one["figure"],
            one["documented"],
            f"{one['mean']:.{digits}f}{spread}",
            f"± {one['allowed']:.{digits}f}",
            f"not compared: {QUICK_STEPS} steps" if quick else said,
        )
    minutes = statistics.mean(one["minutes"] for one in results)
    table.add_row("minutes a seed", f"{recipe.minutes:g}", f"{minutes:.1f}", "", "")
    return table


def overview(recipes: dict[str, Recipe]) -> Table:
    """Every documented recipe."""
    table = Table(title="--recipe NAME trains one of these again")
    for heading in ("recipe", "figures", "seeds", "minutes a seed"):
        table.add_column(heading, no_wrap=True)
    for name, recipe in recipes.items():
        figures = "\n".join(f"{figure.name}: {figure}" for figure in recipe.figures)
        table.add_row(name, figures, str(recipe.seeds), f"{recipe.minutes:g}")
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    recipes = documented()
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--recipe", nargs="+", choices=recipes, metavar="NAME", default=[])
    parser.add_argument("--seeds", type=int, metavar="N", help="as many as are documented")
    parser.add_argument(
        "--quick", action="store_true", help=f"one seed, {QUICK_STEPS} steps, nothing compared"
    )
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    parser.add_argument("--runs", type=Path, default=Path("runs/results"))
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    if options.seeds is not None and options.seeds < 1:
        parser.error("--seeds: at least 1")
    console = Console()
    if not options.recipe:
        console.print(overview(recipes))
        return
    threads = max(1, (os.cpu_count() or 1) // options.jobs)
    records = []
    for name in options.recipe:
        recipe = recipes[name]
        fetch(recipe, CONFIGS / f"{name}.yaml")
        seeds = range(1 if options.quick else options.seeds or recipe.seeds)
        done = [one for n in seeds if (one := options.runs / f"{name}-seed{n}").exists()]
        if done and not options.quick:
            print(f"there already, not trained anew: {', '.join(map(str, done))}")
        with ThreadPoolExecutor(options.jobs) as pool:
            work = [
                pool.submit(measure, name, recipe, n, options.runs, threads, quick=options.quick)
                for n in seeds
            ]
            results = [one.result() for one in work]
        console.print(report(name, recipe, results, quick=options.quick))
        comparison = [] if options.quick else compare(recipe, results)
        records.append({"recipe": name, "comparison": comparison, "seeds": results})
        if options.json:  # after each: an hour later something may go wrong
            record = {**machine(threads), "recipes": records}
            options.json.write_text(json.dumps(record, indent=2) + "\n")
    outside = [one for record in records for one in record["comparison"]]
    if any(one["verdict"] != "within" for one in outside):
        sys.exit(1)


if __name__ == "__main__":
    main()

"""The settings of a sweep, from the best to the worst: mean and spread over their seeds."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from charseq.config.difference import differing, flat, short
from charseq.config.grid import SEED
from charseq.config.scalars import write_scalar
from charseq.training.history import Evaluation, Run


@dataclass(frozen=True)
class Spread:
    """Of a measure over seeds; ``sd`` is that of a sample, and None of one value."""

    mean: float
    sd: float | None


@dataclass(frozen=True)
class Setting:
    """The runs that differ in nothing but their seeds, the best first."""

    values: dict[str, Any]  # of the settings that are tried
    runs: tuple[Run, ...]

    @property
    def name(self) -> str:
        """``dropout=0.1, hidden_size=64``."""
        values = [f"{key}={write_scalar(v)}" for key, v in short(self.values).items()]
        return ", ".join(values) or "as configured"

    @property
    def evaluated(self) -> tuple[tuple[Run, Evaluation], ...]:
        """Those with a best evaluation, the best of them first."""
        return tuple((run, run.best) for run in self.runs if run.best)

    def spread(self, measure: str) -> Spread | None:
        """Of each run's value at its best evaluation; None where there is none yet."""
        values = [best.measure(measure) for _, best in self.evaluated]
        if not values:
            return None
        return Spread(
            statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None
        )


def rank(runs: Sequence[Run], measure: str) -> list[Setting]:
    """Group runs by their settings, and sort the groups by the mean of a measure, the best first.

    Those without an evaluation come last. Runs that cannot be read are left out.
    """
    groups: dict[str, list[Run]] = {}
    flats: dict[str, dict[str, Any]] = {}
    for run in runs:
        if run.config is not None:
            settings = {key: value for key, value in flat(run.config).items() if key != SEED}
            identity = json.dumps(settings)
            groups.setdefault(identity, []).append(run)
            flats[identity] = settings
    tried = differing(list(flats.values()))
    found = [
        Setting({key: flats[one].get(key) for key in tried}, tuple(sorted(group, key=_by_rank)))
        for one, group in groups.items()
    ]
    sign = -1 if measure == "accuracy" else 1

    def place(setting: Setting) -> tuple[float, float]:
        spread, loss = setting.spread(measure), setting.spread("loss")
        if spread is None or loss is None:
            return float("inf"), 0.0
        return sign * spread.mean, loss.mean

    return sorted(found, key=place)


def _by_rank(run: Run) -> tuple[float, ...]:
    return run.rank

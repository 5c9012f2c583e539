"""Which columns of a file hold its sources, targets and tags."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from charseq.config.schema.seq2seq import PairDataConfig
from charseq.text.characters import escape

SETTINGS = ("source_column", "target_column", "features_column")
LONGEST_NAME = 80  # characters of what a file calls a column, in an error message
MOST_NAMES = 20


@dataclass(frozen=True)
class Columns:
    """Where in a line, counted from 0, each cell stands.

    Attributes:
        further: what stands behind the target are further ones of the same source.
        header: the first line names the columns.
    """

    source: int
    target: int
    features: int | None
    further: bool
    header: bool

    @property
    def places(self) -> dict[str, int]:
        """Each column by the setting that chooses it."""
        places = {"source_column": self.source, "target_column": self.target}
        return places if self.features is None else {**places, "features_column": self.features}

    @cached_property
    def needed(self) -> int:
        """How many cells a line has at least."""
        return max(self.places.values()) + 1

    def unread(self, line: str) -> list[str]:
        """The cells that no setting chooses."""
        places = self.places.values()
        cells = enumerate(line.split("\t"))
        return [] if self.further else [cell for place, cell in cells if place not in places]

    def answers(self, cells: list[str]) -> list[str]:
        """The cell of the target, and those behind it that hold further ones."""
        if not self.further:
            return [cells[self.target]]
        taken = (self.source, self.features)
        behind = range(self.target + 1, len(cells))
        others = [cells[place] for place in behind if cells[place] and place not in taken]
        return [cells[self.target], *others]


def find_columns(first: Sequence[str], data: PairDataConfig) -> Columns | list[tuple[str, str]]:
    """The columns that the settings mean, by the cells of the first line; it is a header where one
    is called by its name. Or each setting that means none, and why.
    """
    chosen = {name: column for name in SETTINGS if (column := getattr(data, name)) is not None}
    places: dict[str, int] = {}
    wrong: list[tuple[str, str]] = []
    for setting, column in chosen.items():
        if isinstance(column, int):
            places[setting] = column - 1
        elif first.count(column) == 1:
            places[setting] = first.index(column)
        else:
            wrong.append((setting, _not_there(column, first)))
    for setting, place in places.items():
        same = next(other for other in places if places[other] == place)
        if same != setting:
            wrong.append((setting, f"is column {place + 1}, as data.{same} is; choose two"))
    if wrong:
        return wrong
    return Columns(
        places["source_column"],
        places["target_column"],
        places.get("features_column"),
        data.further_targets,
        header=any(isinstance(column, str) for column in chosen.values()),
    )


def _not_there(column: str, first: Sequence[str]) -> str:
    if column in first:
        return f"several columns are called '{escape(column)}'; choose one by its number"
    names = [cell for cell in first if len(cell) <= LONGEST_NAME][:MOST_NAMES]
    if not names:
        return f"no column is called '{escape(column)}'"
    near = difflib.get_close_matches(column, names, n=1)
    hint = f"; did you mean '{escape(near[0])}'?" if near else ""
    listed = ", ".join(f"'{escape(cell)}'" for cell in names)
    return f"no column is called '{escape(column)}': the first line has {listed}{hint}"

"""A look at the first lines of a file of pairs, and the settings that they ask for.

Every notice says what was seen, so that a person can disagree.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, combinations, islice

from charseq.config.recipes import ORDERLESS, PAIRS, Settings, recipe_for
from charseq.config.scalars import Scalar
from charseq.text.look.columns import MOST, are_spaced, find_header, find_tags, plain
from charseq.text.look.first_lines import FirstLines, Row, cells_of
from charseq.text.look.notices import Notice, few, notice_of, said
from charseq.text.look.odd_lines import forms_of_accents, odd_first, padded_cells, wider_lines

NO_TAB = "no line has a tab between a source and a target"
OTHER_ORDER = "; where a target does not follow the order of its source, set "
FEWEST_ORDERED = 100  # pairs of characters whose order says something
KEPT = 0.9  # share of them that is in order where targets follow their sources
COMPARED = 20  # characters of a line whose order is looked at


def look_at_pairs(lines: FirstLines) -> list[Notice]:
    """What the columns are, where spaces separate symbols, and whether the pairs are few."""
    rows = [row for row in lines.cells if len(row) > 1]
    if not rows:
        return [Notice(NO_TAB, {})]
    is_first = lines.cells[0] is rows[0]
    header, source, target = find_header(rows) if is_first else ([], 0, 1)
    # As they are numbered, without what is no pair
    body = [[], *lines.cells[1:]] if header else lines.cells
    notices = []
    if header:
        why = "the first line names the columns"
        columns: Settings = {
            ("data", "source_column"): header[source],
            ("data", "target_column"): header[target],
        }
        notices.append(notice_of(why, columns))
        rows = rows[1:]
    tags, source, target, told = find_tags(header, rows, source, target)
    notices += told
    unread = [place for place in range(3) if place not in (source, target, tags)]
    if not header and unread and len(cells_of(rows, 2)) >= MOST * len(rows):
        read = f"sources are column {source + 1}, targets column {target + 1}"
        more = f"is not read: if it holds tags, set data.features_column: {unread[0] + 1}"
        notices.append(Notice(f"{read}; column {unread[0] + 1} {more}", {}))
    elif not header:
        if is_first:
            notices += odd_first(rows, source, target)
        notices += wider_lines(lines.cells, max(source, target, tags or 0) + 1)
    for side, place in (("source", source), ("target", target)):
        if are_spaced(cells_of(rows, place)):
            why = f"spaces separate the symbols of a {side}"
            notices.append(notice_of(why, {("data", f"{side}_separator"): " "}))
        else:
            notices += padded_cells(body, side, place)
    notices += forms_of_accents(body, {"source": source, "target": target})
    if lines.whole:
        notices += _few(rows, source, target)
    return notices


def data_settings(notices: Iterable[Notice]) -> dict[str, Scalar]:
    """How the notices say that a file is to be read: settings of ``data`` by their names."""
    every = chain.from_iterable(notice.settings.items() for notice in notices)
    return {path[1]: value for path, value in every if path[0] == "data"}


def _few(rows: Sequence[Row], source: int, target: int) -> Iterator[Notice]:
    """The recipe for so few pairs; where targets have another order, attention that may go back."""
    recipe = recipe_for(PAIRS, len(rows))
    if recipe is None:
        return
    kept = _kept_order([row for row in rows if max(source, target) < len(row)], source, target)
    why = few(len(rows), "pair", recipe)
    orderless = {path: value for path, value in ORDERLESS.items() if path in recipe.settings}
    if kept is None:
        why += OTHER_ORDER + said(orderless)
    yield Notice(why, recipe.settings)
    if kept is not None and kept < KEPT:
        moved = f"{1 - kept:.0%} of the letters and digits of a source move past each other"
        yield notice_of(moved, orderless)


def _kept_order(rows: Iterable[Row], source: int, target: int) -> float | None:
    """Of two characters that a source and its target have once each: how often their order is kept.

    None where so few are shared that it says nothing. Of a long line the first ones are looked at.
    """
    kept = total = 0
    for row in rows:
        ours, theirs = plain(row[source]), plain(row[target])
        once, too = Counter(ours), Counter(theirs)
        shared = (c for c in ours if once[c] == too[c] == 1 and c.isalnum())
        places = [theirs.index(c) for c in islice(shared, COMPARED)]
        kept += sum(before < after for before, after in combinations(places, 2))
        total += math.comb(len(places), 2)
    return kept / total if total >= FEWEST_ORDERED else None

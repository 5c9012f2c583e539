"""A look at the first lines of a file of pairs, and the settings that they ask for.

Every notice says what was seen, so that a person can disagree.
"""

from collections.abc import Iterable
from itertools import chain

from charseq.config.scalars import Scalar
from charseq.text.look.columns import MOST, Layout, are_spaced
from charseq.text.look.first_lines import FirstLines, cells_of
from charseq.text.look.notices import Notice, notice_of
from charseq.text.look.odd_lines import (
    forms_of_accents,
    odd_first,
    padded_cells,
    quoted_cells,
    wider_lines,
)

NO_TAB = "no line has a tab between a source and a target"


def look_at_pairs(lines: FirstLines, layout: Layout) -> list[Notice]:
    """How the file is read: its columns, where spaces separate symbols, what nobody sees."""
    header, rows, source, target, tags, told = layout
    if not header and not rows:
        return [Notice(NO_TAB, {})]
    notices = [*told]
    unread = [place for place in range(3) if place not in (source, target, tags)]
    if not header and unread and len(cells_of(rows, 2)) >= MOST * len(rows):
        read = f"sources are column {source + 1}, targets column {target + 1}"
        more = f"is not read: if it holds tags, set data.features_column: {unread[0] + 1}"
        notices.append(Notice(f"{read}; column {unread[0] + 1} {more}", {}))
    elif not header:
        if lines.cells[0] is rows[0]:
            notices += odd_first(rows, source, target)
        notices += wider_lines(lines.cells, max(source, target, tags or 0) + 1)
    # As they are numbered, without what is no pair
    body = [[], *lines.cells[1:]] if header else lines.cells
    for side, place in (("source", source), ("target", target)):
        if are_spaced(cells_of(rows, place)):
            why = f"spaces separate the symbols of a {side}"
            notices.append(notice_of(why, {("data", f"{side}_separator"): " "}))
        else:
            notices += padded_cells(body, side, place)
    notices += quoted_cells(rows, source)
    notices += forms_of_accents(body, {"source": source, "target": target})
    return notices


def data_settings(notices: Iterable[Notice]) -> dict[str, Scalar]:
    """What ``look_at_pairs`` noticed, as settings of ``data`` by their names."""
    every = chain.from_iterable(notice.settings.items() for notice in notices)
    return {name: value for (_, name), value in every}

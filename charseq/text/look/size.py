"""A look at how many pairs there are, and the settings that suit so few."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import combinations, islice

from charseq.config.recipes import ORDERLESS, PAIRS, recipe_for
from charseq.text.look.columns import Layout, plain
from charseq.text.look.first_lines import FirstLines, Row
from charseq.text.look.notices import Notice, few, notice_of, said
from charseq.text.wording import number_of

MANY = (
    "many pairs: `model` and `train` are as by default; configs/dates.yaml"
    " has what suits one rule, configs/g2p_cmudict.yaml what suits a hundred thousand words"
)
OTHER_ORDER = "; where a target does not follow the order of its source, set "
FEWEST_ORDERED = 100  # pairs of characters whose order says something
KEPT = 0.9  # share of them that is in order where targets follow their sources
COMPARED = 20  # characters of a line whose order is looked at
FEWEST_SPLIT = 1_000  # pairs of which a twentieth, as by default, is enough to validate
MORE_HELD_BACK = "0.8/0.1/0.1"


def look_at_size(lines: FirstLines, layout: Layout) -> Iterator[Notice]:
    """The recipe for so few pairs; where targets have another order, attention that may go back.

    For more than few nothing is set, as what suits them depends on what they are.
    """
    pairs = layout.pairs
    recipe = recipe_for(PAIRS, len(pairs)) if lines.whole else None
    if recipe is None:
        if pairs:
            yield Notice(MANY, {})
        return
    kept = _kept_order(pairs, layout.source, layout.target)
    why = few(len(pairs), "pair", recipe)
    orderless = {path: value for path, value in ORDERLESS.items() if path in recipe.settings}
    if kept is None:
        why += OTHER_ORDER + said(orderless)
    yield Notice(why, recipe.settings)
    if kept is not None and kept < KEPT:
        moved = f"{1 - kept:.0%} of the letters and digits of a source move past each other"
        yield notice_of(moved, orderless)
    if len(pairs) < FEWEST_SPLIT:
        held_back = f"a twentieth of {number_of(len(pairs), 'pair')} to validate says little"
        yield notice_of(held_back, {("data", "split"): MORE_HELD_BACK})


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

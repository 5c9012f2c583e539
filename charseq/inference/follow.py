"""Hypotheses that know nothing of each other: the likeliest symbol every time, or drawn ones."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from torch import Tensor

from charseq.inference.ensemble import Ensemble, rows_of, staying
from charseq.inference.trace import Found, Ints, Step
from charseq.text.pair_vocab import END

# From log p (R, V), the source at each place (P,) and the step from 0 on, to the next ids (R, 1).
Choose: TypeAlias = Callable[[Tensor, Ints, int], Tensor]


def follow(
    run: Ensemble,
    most: Ints,
    columns: int,
    choose: Choose,
    with_attention: bool,
) -> Found:
    """So many hypotheses (``columns``) of each source, of at most ``most`` (B,) symbols each."""
    shape = len(most), columns
    found = Found(
        log_probability=np.zeros(shape),
        steps=np.zeros(shape, dtype=np.int64),
        column=np.tile(np.arange(columns), (len(most), 1)),
        finished=np.zeros(shape, dtype=bool),
        trace=[],
    )
    where = np.arange(len(most))
    live = np.ones(shape, dtype=bool)
    if columns > 1:
        run.go_on(np.repeat(run.ids.cpu().numpy(), columns), where.repeat(columns), None)
    for step in range(1 + max(most, default=0)):  # END is a step of its own
        log_p = run.step()
        chosen = choose(log_p, where, step)
        gained = log_p.gather(1, chosen.to(log_p.device)).view(-1, columns).cpu().numpy()
        tokens = chosen.view(-1, columns).cpu().numpy()
        attention = run.attention(len(where)) if with_attention else None
        found.trace.append(Step(where, found.column[where], tokens, attention))
        ends = live & (tokens == END)
        # What has all its symbols and does not end is cut off: the one more is not written.
        live = live & (ends | (step < most[where, None]))
        found.log_probability[where] += np.where(live, gained, 0.0)
        found.steps[where] += live
        found.finished[where] |= ends
        live = live & ~ends
        keep = staying(live)
        if keep is not None:
            if len(keep) == 0:
                break
            where, live, tokens = where[keep], live[keep], tokens[keep]
        run.go_on(tokens.reshape(-1), rows_of(keep, found.column[where], columns), keep)
    return found


def greedy(log_p: Tensor, where: Ints, step: int) -> Tensor:  # noqa: ARG001
    """The likeliest symbol, of equally likely ones the first; a ``Choose``."""
    return log_p.argmax(1, keepdim=True)

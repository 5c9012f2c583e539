"""Beam search: the likeliest hypotheses of each source, side by side, step after step.

What it does, and the notation, stand at ``search.beam_search`` and at the head of its file.
"""

import math

import numpy as np
import torch
from torch import Tensor

from charseq.inference.ensemble import Ensemble, rows_of, staying
from charseq.inference.trace import Floats, Found, Ints, Step, penalty
from charseq.text.pair_vocab import END


def search(
    run: Ensemble, most: Ints, beam: int, n_best: int, alpha: float, with_attention: bool
) -> Found:
    """The ``n_best`` of each source; ``most`` (B,) symbols at most; ``alpha``: length penalty."""
    shape = len(most), n_best
    found = Found(
        log_probability=np.full(shape, -math.inf),
        steps=np.zeros(shape, dtype=np.int64),
        column=np.zeros(shape, dtype=np.int64),
        finished=np.zeros(shape, dtype=bool),
        trace=[],
    )
    score = np.full(shape, -math.inf)  # of the finished ones
    where = np.arange(len(most))
    total = np.zeros((len(most), 1))  # (P, W): log p of what is followed; -inf: nothing is
    for step in range(1, 2 + max(most, default=0)):  # END is a step of its own
        log_p = run.step()
        attention = run.attention(len(where)) if with_attention else None
        width = total.shape[1]
        candidates = torch.from_numpy(total).to(log_p.device)[:, :, None] + log_p.view(
            len(where), width, -1
        )
        # Among 2 K there are K without END, as each of at most K parents has one END.
        values, index = _largest(candidates.flatten(1), 2 * beam)
        parents, tokens = np.divmod(index, run.vocab_size)

        # 1. What ends within the beam joins the finished ones, and the n best of these stay.
        ends = (tokens == END) & (np.arange(index.shape[1]) < beam) & (values > -math.inf)
        if ends.any():
            new = np.where(ends, values, -math.inf)
            steps = np.full_like(parents, step)
            scores = np.concatenate([score[where], new / penalty(step, alpha)], 1)
            best = (-scores).argsort(1, kind="stable")[:, :n_best]
            score[where] = np.take_along_axis(scores, best, 1)
            for old, added in (
                (found.log_probability, new),
                (found.steps, steps),
                (found.column, parents),
                (found.finished, ends),
            ):
                both = np.concatenate([old[where], added], 1)
                old[where] = np.take_along_axis(both, best, 1)

        # 2. What had all its symbols and has not ended now is cut off, and fills the places left.
        over = most[where] < step
        for p in np.flatnonzero(over):
            b = where[p]
            first = np.count_nonzero(score[b] > -math.inf)
            left = np.setdiff1d(np.flatnonzero(total[p] > -math.inf), parents[p, ends[p]])
            cut = left[: n_best - first]
            here = slice(first, first + len(cut))
            found.log_probability[b, here] = total[p, cut]
            found.steps[b, here] = step - 1
            found.column[b, here] = cut

        # 3. What can still come among the finished ones goes on, the likeliest K.
        bound = values / penalty(1 + most[where, None], alpha)
        live = ~over[:, None] & (tokens != END) & (values > -math.inf) & (bound > score[where, -1:])
        width_next = max(1, min(beam, int(live.sum(1).max(initial=0))))
        order = (~live).argsort(1, kind="stable")[:, :width_next]
        live, parents, tokens, values = (
            np.take_along_axis(x, order, 1) for x in (live, parents, tokens, values)
        )
        found.trace.append(Step(where, parents, tokens, attention))
        total = np.where(live, values, -math.inf)
        keep = staying(live)
        if keep is not None:
            if len(keep) == 0:
                break
            where, total, parents, tokens = where[keep], total[keep], parents[keep], tokens[keep]
        run.go_on(tokens.reshape(-1), rows_of(keep, parents, width), keep)
    return found


def _largest(values: Tensor, k: int) -> tuple[Floats, Ints]:
    """The k largest of each row of (P, N), and where: largest first, of equal ones the first."""
    k = min(k, values.shape[1])
    top, index = values.topk(k, dim=1)
    # topk may take any of equal values, in any order.
    least = top[:, -1:]
    if bool((((values >= least).sum(1, keepdim=True) > k) & (least > -math.inf)).any()):
        top, index = (x[:, :k] for x in values.sort(dim=1, descending=True, stable=True))
        return top.cpu().numpy(), index.cpu().numpy()
    found, at = top.cpu().numpy(), index.cpu().numpy()
    order = np.lexsort((at, -found), axis=1)
    return np.take_along_axis(found, order, 1), np.take_along_axis(at, order, 1)

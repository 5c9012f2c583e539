"""How likely models of pairs find the right answers: teacher forcing, whole answers at a time."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from charseq.inference.ensemble import mean_log_probabilities, reading_all
from charseq.models.seq2seq import Seq2Seq
from charseq.text.pair_batches import collate
from charseq.text.pair_vocab import END
from charseq.text.pairs import Pairs

BUDGET = 1 << 22  # numbers of a forward pass, about, whatever the lengths


def cross_entropy(
    models: Sequence[Seq2Seq],
    pairs: Pairs,
    rows: NDArray[np.int64],
    batch_size: int,
    between: Callable[[], object] = lambda: None,
) -> tuple[float, int]:
    """The sum over all target symbols of so many rows, END included, in nats; how many symbols.

    Args:
        models: several are an ensemble: the mean of their probabilities at every step.
        batch_size: rows side by side, at most; fewer where they are long.
        between: called between two batches; what it raises ends it.
    """
    device = models[0].device
    # Both sides as long as the longer one: in a batch they are padded anyhow.
    lengths = np.maximum(pairs.source.lengths[rows], pairs.target.lengths[rows])
    costs = np.max([model.decoder.floats(lengths, lengths) for model in models], axis=0)
    nats, symbols = 0.0, 0
    with reading_all(models):
        for places in batches_by_cost(costs, batch_size):
            between()
            batch = collate(pairs, rows[places])
            source, source_lengths, inputs, targets = (
                torch.from_numpy(ids).to(device)
                for ids in (batch.source, batch.source_lengths, batch.inputs, batch.targets)
            )
            logits = [model(source, source_lengths, inputs) for model in models]
            right = targets.clamp(min=END)[:, :, None]  # padding is below, and any id will do there
            log_p = mean_log_probabilities(logits).gather(2, right)[:, :, 0]
            nats -= log_p[targets >= END].sum().item()
            symbols += int(batch.target_lengths.sum())
    return nats, symbols


def batches_by_cost(costs: NDArray[np.int64], most: int) -> list[list[int]]:
    """Places of similar cost together, the dearest first: at most so many, and as have room."""
    order = np.argsort(-costs, kind="stable")
    found, start = [], 0
    while start < len(order):
        room = BUDGET // max(1, int(costs[order[start]]))
        size = max(1, min(most, room))
        found.append([int(place) for place in order[start : start + size]])
        start += size
    return found

"""Turn sources into targets: any number of them, in input order, some hundred side by side."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from charseq.errors import CharseqError
from charseq.inference.search import beam_search, sample
from charseq.inference.trace import Hypothesis
from charseq.lstm.drawing import Drawing
from charseq.models.seq2seq import Seq2Seq
from charseq.text.pair_batches import pad

WINDOW = 4096  # sources that are sorted by length together
SHORTEST = 1  # symbol of a target: no training has an empty one
TYPICAL_LENGTH = 64  # of a source; where they are longer, fewer stand side by side


def convert(
    models: Sequence[Seq2Seq],
    sources: Iterable[NDArray[np.int64]],
    *,
    beam: int = 1,
    n_best: int = 1,
    length_penalty: float = 0.0,
    drawing: Drawing | None = None,
    seed: int = 0,
    max_target_length: int = 200,
    batch_size: int = 256,
    with_attention: bool = False,
    first: int = 0,
    between: Callable[[], object] = lambda: None,
) -> Iterator[tuple[int, list[Hypothesis]]]:
    """Each source's number, from ``first`` on, and its hypotheses, in the order of ``sources``.

    Sources of similar length stand in a batch together: up to 4096 are read ahead and sorted. The
    first results come after one batch, as the first windows are smaller. Neither memory nor any
    result, but for rounding, depends on how many sources there are; they may be endless.

    Args:
        beam, n_best, length_penalty, with_attention: as in ``search.beam_search``.
        drawing: draw ``n_best`` hypotheses of each source instead, as ``search.sample`` with
            ``seed``, and give the different ones, the likeliest first; ``beam`` and
            ``length_penalty`` are not used then.
        max_target_length: the most symbols of a hypothesis; one that does not end behind them is
            cut off there.
        batch_size: hypotheses side by side, all sources' together; fewer where sources are long.
        first: what is drawn for a source follows from its number.
        between: called between two batches; what it raises ends the conversion.

    Raises:
        CharseqError: as ``search.beam_search``; with the first result.
    """
    if batch_size < 1 or max_target_length < 1:
        raise CharseqError(
            "decoding: batch_size and max_target_length must be at least 1, not "
            f"{batch_size} and {max_target_length}"
        )
    side_by_side = max(1, batch_size // max(1, n_best if drawing is not None else beam))

    def decode(batch: list[tuple[int, NDArray[np.int64]]]) -> list[list[Hypothesis]]:
        ids, lengths = pad([source for _, source in batch])
        if drawing is None:
            return beam_search(
                models,
                ids,
                lengths,
                beam=beam,
                n_best=n_best,
                length_penalty=length_penalty,
                max_length=max_target_length,
                min_length=SHORTEST,
                with_attention=with_attention,
            )
        drawn = sample(
            models,
            ids,
            lengths,
            numbers=[number for number, _ in batch],
            seed=seed,
            draws=n_best,
            drawing=drawing,
            max_length=max_target_length,
            min_length=SHORTEST,
            with_attention=with_attention,
        )
        return [_ranked(draws) for draws in drawn]

    numbered = enumerate(sources, first)
    size, following = side_by_side, first
    while window := list(islice(numbered, size)):
        done: dict[int, list[Hypothesis]] = {}
        lengths = np.array([len(source) for _, source in window])
        # The batch with the earliest source first: its result need not wait for the others.
        for places in sorted(batches(lengths, side_by_side), key=min):
            if following > first or done:
                between()
            batch = [window[place] for place in places]
            done.update(zip((number for number, _ in batch), decode(batch), strict=True))
            while following in done:
                yield following, done.pop(following)
                following += 1
        size = max(side_by_side, min(2 * size, WINDOW))


def _ranked(draws: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Each different draw once, the likeliest first, whatever the temperature."""
    different: dict[tuple[int, ...], Hypothesis] = {}
    for one in draws:  # a finished one may also have been cut off in front of its end
        if one.finished or one.ids not in different:
            different[one.ids] = one
    return sorted(different.values(), key=lambda one: -one.log_probability)


def batches(lengths: NDArray[np.int64], most: int) -> list[list[int]]:
    """Places of similar length together, at most so many, and fewer where they are long."""
    order = np.argsort(-lengths, kind="stable")
    found, start = [], 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        size = max(1, min(most, most * TYPICAL_LENGTH // longest))
        found.append([int(place) for place in order[start : start + size]])
        start += size
    return found

"""What encoder-decoders write for a batch of sources: the likeliest strings, or drawn ones.

B sources; P of them are still in the batch, each at its *place*. A place has W hypotheses side by
side, its *columns*, best first: row p*W + w of the models' state is column w of place p. A
hypothesis is one symbol longer after every step. What is decided is decided in float64, for each
source alone: no result depends on what else is in the batch, but for the rounding of the networks'
products.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charseq.errors import CharseqError
from charseq.inference.beam import search
from charseq.inference.distribution import draw, tempered
from charseq.inference.ensemble import Ensemble, reading_all
from charseq.inference.follow import follow, greedy
from charseq.inference.trace import Hypothesis, Ints, hypotheses
from charseq.lstm.drawing import Drawing
from charseq.models.seq2seq import Seq2Seq
from charseq.text.pair_vocab import TARGET_UNKNOWN


def beam_search(
    models: Sequence[Seq2Seq],
    source: NDArray[Any],
    lengths: NDArray[Any],
    *,
    beam: int = 1,
    n_best: int = 1,
    length_penalty: float = 0.0,
    max_length: int | NDArray[Any],
    with_attention: bool = False,
    min_length: int = 0,
    never: int | None = TARGET_UNKNOWN,
) -> list[list[Hypothesis]]:
    """The best hypotheses of each source (S, B), at most ``n_best``, best first.

    At every step the ``beam`` likeliest ways to continue are taken: those with END are finished,
    and the beam is filled up with the likeliest others. A hypothesis y is ranked by
    log p(y) / ((5 + |y|) / 6)^a (Wu et al. 2016, section 7), |y| counting END; with ``a`` = 0 by
    log p(y) alone. What does not end behind ``max_length`` symbols is cut off there; it comes after
    what finished. Of equal ones the one that finished earlier is better, then the one whose parent
    was, then the smaller id.

    A hypothesis is given up when it cannot come among its source's ``n_best`` finished ones any
    more: log p only falls, so that log p(now) / ((6 + max_length) / 6)^a bounds its final score
    (with a = 0, log p(now) itself). Nothing that a search without the bound finds is lost. A beam
    of one is greedy: it ends at the first END, whatever the length penalty.

    Args:
        models: several are an ensemble: the mean of their probabilities at every step.
        source: int64, padded up to S with anything.
        lengths: (B,), the symbols of each source.
        beam: hypotheses of a source that are followed side by side.
        length_penalty: a, from 0 to 10; larger favours longer strings.
        max_length: the most symbols of a hypothesis, END not counted; one number, or (B,).
        with_attention: keep the attention weights.
        min_length: the fewest symbols of a hypothesis, where the model gives any but END.
        never: an id that is not written, unless there is no other; None: all are.

    Raises:
        CharseqError: an argument is out of range, the models have different vocabularies, or one
            of them gives NaN.
    """
    most = _check(models, source, lengths, max_length)
    if beam < 1 or not 1 <= n_best <= beam:
        raise CharseqError(
            f"beam: must be at least 1, and n_best from 1 to beam; not beam {beam}, n_best {n_best}"
        )
    if not 0.0 <= length_penalty <= 10.0:
        raise CharseqError(f"length_penalty: must be from 0 to 10, not {length_penalty}")
    with reading_all(models):
        run = Ensemble(models, source, lengths, never, min_length)
        if beam == 1:
            found = follow(run, most, 1, greedy, with_attention)
        else:
            found = search(run, most, beam, n_best, length_penalty, with_attention)
        return hypotheses(found, lengths, n_best, length_penalty)


def sample(
    models: Sequence[Seq2Seq],
    source: NDArray[Any],
    lengths: NDArray[Any],
    *,
    numbers: Sequence[int],
    seed: int,
    draws: int = 1,
    drawing: Drawing,
    max_length: int | NDArray[Any],
    with_attention: bool = False,
    min_length: int = 0,
    never: int | None = TARGET_UNKNOWN,
) -> list[list[Hypothesis]]:
    """So many ``draws`` for each source (S, B), one symbol after the other, in the order drawn.

    What is left of ``beam_search``'s arguments means the same here. ``score`` is the
    log-probability.

    Args:
        numbers: (B,), which source each is among all that the caller has. Its uniform random
            numbers come from a generator of its own, seeded by ``seed``, this number and the number
            of the draw: they do not depend on the batch, and neither does what is drawn.

    Raises:
        CharseqError: as ``beam_search``.
    """
    most = _check(models, source, lengths, max_length)
    if len(numbers) != len(lengths) or draws < 1 or seed < 0:
        raise CharseqError(
            "sample: give a number for each source, at least one draw and a seed of at least 0; "
            f"not {len(numbers)} numbers for {len(lengths)} sources, {draws} draws, seed {seed}"
        )
    uniform = np.zeros((len(most), draws, 1 + max(most, default=0)))
    for b, number in enumerate(numbers):
        for nth in range(draws):
            generator = np.random.default_rng((seed, number, nth))
            uniform[b, nth, : most[b] + 1] = generator.random(most[b] + 1)

    def choose(log_p: Tensor, where: Ints, step: int) -> Tensor:
        u = torch.from_numpy(uniform[where, :, step].reshape(-1))
        return draw(tempered(log_p, drawing), u)[:, None]

    with reading_all(models):
        run = Ensemble(models, source, lengths, never, min_length)
        found = follow(run, most, draws, choose, with_attention)
        return hypotheses(found, lengths, draws, 0.0)


def _check(
    models: Sequence[Seq2Seq],
    source: NDArray[Any],
    lengths: NDArray[Any],
    max_length: int | NDArray[Any],
) -> Ints:
    """The most symbols of each source's hypotheses, (B,)."""
    if not models:
        raise CharseqError("decoding: no model was given; it needs at least one")
    sizes = {model.vocab_size for model in models}
    if len(sizes) > 1:
        raise CharseqError(
            f"decoding: models with {' and '.join(map(str, sorted(sizes)))} target symbols cannot "
            "work together; take models that were trained with the same vocabulary"
        )
    if source.ndim != 2 or lengths.shape != source.shape[1:] or not lengths.size:
        raise CharseqError(
            "decoding: the sources must be (S, B) and their lengths (B,), of one source at least; "
            f"not {source.shape} and {lengths.shape}"
        )
    most: Ints = np.broadcast_to(np.asarray(max_length, dtype=np.int64), lengths.shape)
    if (most < 1).any():
        raise CharseqError(f"max_length: must be at least 1, not {most.min()}")
    return most

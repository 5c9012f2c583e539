"""Several encoder-decoders that decode as one: the mean of their probabilities at every step."""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charseq.errors import CharseqError
from charseq.inference.evaluate import reading
from charseq.inference.trace import Ints
from charseq.models.decoder_state import DecoderState
from charseq.models.seq2seq import Seq2Seq
from charseq.text.pair_vocab import END

COMPACT = 8  # finished sources leave the batch once they are one in so many: leaving is a copy


@contextmanager
def reading_all(models: Sequence[Seq2Seq]) -> Iterator[None]:
    """Evaluation mode, and no gradients, for a while."""
    with ExitStack() as stack:
        for model in models:
            stack.enter_context(reading(model))
        yield


def mean_log_probabilities(logits: Sequence[Tensor]) -> Tensor:
    """The logarithm of the models' mean probabilities, float64, of logits (…, V) of each."""
    each = [scores.double().log_softmax(-1) for scores in logits]
    if len(each) == 1:
        return each[0]
    return torch.stack(each).logsumexp(0) - math.log(len(each))


class Ensemble:
    """The models' states, stepped and rearranged together; ``never`` and ``min_length`` as in
    ``search.beam_search``.

    Raises:
        CharseqError: in a step: a model gives NaN.
    """

    def __init__(
        self,
        models: Sequence[Seq2Seq],
        source: NDArray[Any],
        lengths: NDArray[Any],
        never: int | None = None,
        min_length: int = 0,
    ) -> None:
        self.models = models
        self.device = models[0].device
        self.vocab_size = models[0].vocab_size
        self._never = [] if never is None else [never]
        self._too_short = min_length  # steps in which END is not written either
        self.states: list[DecoderState] = []
        for model in models:
            self.ids, state = model.begin(
                torch.from_numpy(np.asarray(source, dtype=np.int64)).to(model.device),
                torch.from_numpy(np.asarray(lengths, dtype=np.int64)).to(model.device),
            )
            self.states.append(state)

    def step(self) -> Tensor:
        """Read ``ids`` (R,). Returns log p of the symbol that follows, (R, V) float64."""
        logits = []
        for i, model in enumerate(self.models):
            scores, self.states[i] = model.step(self.ids.to(model.device), self.states[i])
            logits.append(scores.to(self.device))
        # Rounding can leave a certain symbol a hair above 0; the search relies on sums that fall.
        log_p = mean_log_probabilities(logits).clamp_(max=0.0)
        if not bool(log_p.amax(1).isfinite().all()):
            raise CharseqError(
                "the model's outputs are not numbers: its weights are damaged or its training "
                "diverged; take an earlier checkpoint"
            )
        barred = self._never + [END] * (self._too_short > 0)
        self._too_short -= 1
        for ident in barred:
            kept = log_p.clone()
            kept[:, ident : ident + 1] = -math.inf  # nothing where there is no such id
            no_other = kept.amax(1, keepdim=True) == -math.inf
            log_p = torch.where(no_other, log_p, kept)
        return log_p

    def attention(self, places: int) -> NDArray[np.float32] | None:
        """Of the last step, (P, W, S), the mean of the models that have it."""
        weights = [state.attention for state in self.states if state.attention is not None]
        if not weights:
            return None
        mean = torch.stack([w.float().cpu() for w in weights]).mean(0)
        return mean.view(places, -1, mean.shape[1]).numpy()

    def go_on(self, ids: Ints, rows: Ints | None, places: Ints | None) -> None:
        """Read ``ids`` next, in the states of ``rows`` (None: as they are), keeping ``places``."""
        self.ids = torch.from_numpy(ids).to(self.device)
        if rows is None and places is None:
            return
        if rows is None:
            rows = np.arange(len(ids))
        for i, model in enumerate(self.models):
            taken = torch.from_numpy(rows).to(model.device)
            kept = None if places is None else torch.from_numpy(places).to(model.device)
            self.states[i] = self.states[i].select(taken, kept)


def staying(live: NDArray[np.bool_]) -> Ints | None:
    """The places with a live hypothesis; None while too few others would leave."""
    stays = np.flatnonzero(live.any(axis=1))
    gone = len(live) - len(stays)
    return stays if gone and gone * COMPACT >= len(live) else None


def rows_of(keep: Ints | None, parents: Ints, width: int) -> Ints | None:
    """The rows of the states to go on from; None: all, as they are."""
    places = np.arange(len(parents)) if keep is None else keep
    rows = (places[:, None] * width + parents).reshape(-1)
    unchanged = keep is None and parents.shape[1] == width and (rows == np.arange(len(rows))).all()
    return None if unchanged else rows

"""Score a text: every character but the first, which nothing stands in front of, exactly once.

Two conventions. *Stateful* reads the whole text with one state carried through it: what the model
can do. *Windows* of N characters start from a zero state each: what papers with a fixed context
report, and always a little worse. Both are pieces of the text, read side by side.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charseq.errors import CharseqError
from charseq.inference.metrics import Score
from charseq.lstm.cell import State
from charseq.models.language_model import LanguageModel
from charseq.models.protocol import HasMode
from charseq.progress import Progress
from charseq.text.vocab import Ids

Observe = Callable[[Tensor, Tensor], object]  # ``Scored.top`` and ``Scored.hits`` of each chunk

CHUNK_FLOATS = 1 << 21  # about how many a forward pass holds at once, whatever the text's length
FEWEST_STEPS = 32  # of a window in one forward pass; with shorter ones, more windows share it


class Scored(NamedTuple):
    """What the model predicted at some places of a text, (T, B) each.

    Attributes:
        nats: the cross-entropy of the character that came.
        hits: whether it was the likeliest.
        top: the probability of the likeliest.
    """

    nats: Tensor
    hits: Tensor
    top: Tensor


def evaluate(
    model: LanguageModel,
    ids: Ids,
    *,
    window: int | None = None,
    streams: int = 1,
    warmup: int = 256,
    progress: Progress | None = None,
    between: Callable[[], object] = lambda: None,
    observe: Observe | None = None,
) -> Score:
    """Score a text (n,), on the model's device, in evaluation mode; sums are in float64.

    Draws no random numbers, and leaves the model in the mode that it was in. The memory it takes
    does not grow with the text, which may be a memory map.

    Args:
        window: score windows of so many characters, each from a zero state; None is stateful.
        streams: stateful only: cut the text into so many pieces and read them side by side, which
            costs far less time. Each first reads, unscored, the ``warmup`` characters in front of
            it, so that its state is close to that of a single stream. No piece is shorter than
            ``warmup``: a short text is cut into fewer.
        progress: called after each chunk with the characters scored, and their total.
        between: called between two chunks; what it raises ends the evaluation.
        observe: called with what each chunk's likeliest symbols were given, and which were right.

    Raises:
        CharseqError: the text has fewer than two characters, or an argument is out of range.
    """
    total = scorable(ids)
    if window is not None and streams != 1:
        raise CharseqError("evaluate: windows have no streams; give `window` or `streams`")
    if streams < 1 or warmup < 0 or (window is not None and window < 1):
        raise CharseqError("evaluate: window and streams must be at least 1, warmup at least 0")
    chunks = (
        _streams(model, ids, streams, warmup) if window is None else _windows(model, ids, window)
    )
    device = model.device
    nats = torch.zeros((), dtype=torch.float64, device=device)
    hits = torch.zeros((), dtype=torch.int64, device=device)
    done = 0
    with reading(model):
        for chunk in chunks:
            nats += chunk.nats.sum(dtype=torch.float64)  # no .item(): a GPU need not wait
            hits += chunk.hits.sum()
            done += chunk.hits.numel()
            if observe is not None:
                observe(chunk.top, chunk.hits)
            if progress is not None:
                progress(done, total)
            if done < total:
                between()
        return Score(nats.item() / total, hits.item() / total, total)


def surprisal(model: LanguageModel, ids: Ids) -> NDArray[np.float64]:
    """How much each character but the first surprises the model, in nats: (n - 1,), stateful.

    Raises:
        CharseqError: the text has fewer than two characters.
    """
    scorable(ids)
    with reading(model):
        chunks = [one.nats[:, 0].double().cpu().numpy() for one in _streams(model, ids, 1, 0)]
    return np.concatenate(chunks)


def scorable(ids: Ids) -> int:
    """How many characters can be scored."""
    if len(ids) < 2:
        raise CharseqError(
            f"the text to evaluate has {len(ids)} characters; it needs at least 2, as each is "
            "predicted from those before it"
        )
    return len(ids) - 1


@contextmanager
def reading(model: HasMode) -> Iterator[None]:
    """Evaluation mode, and no gradients, for a while."""
    training = model.training
    model.train(False)
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)


def _streams(model: LanguageModel, ids: Ids, streams: int, warmup: int) -> Iterator[Scored]:
    """The text as contiguous pieces side by side; their lengths differ by one at most."""
    total = len(ids) - 1
    streams = min(streams, max(1, total // max(warmup, 1)))
    length, longer = divmod(total, streams)
    lengths = length + (np.arange(streams) < longer)
    starts = np.cumsum(lengths) - lengths
    state = model.lstm.zero_state(1)  # of the first piece: nothing stands in front of it
    if streams > 1:
        others = state_before(model, ids, starts[1:], warmup)
        state = torch.cat([state[0], others[0]], 1), torch.cat([state[1], others[1]], 1)
    yield from _score(model, ids, starts, lengths, state)


def _windows(model: LanguageModel, ids: Ids, window: int) -> Iterator[Scored]:
    """Windows of ``window`` inputs, the last one perhaps shorter, as many at once as fit."""
    total = len(ids) - 1
    group = window * max(1, _cells(model) // min(window, FEWEST_STEPS))
    for first in range(0, total, group):
        starts = np.arange(first, min(first + group, total), window)
        lengths = np.minimum(window, total - starts)
        yield from _score(model, ids, starts, lengths, model.lstm.zero_state(len(starts)))


def _score(
    model: LanguageModel,
    ids: Ids,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    state: State,
) -> Iterator[Scored]:
    """Read the inputs ``start … start + length - 1`` of B pieces side by side, longest first.

    Yields, chunk after chunk of T steps, what was predicted after each input.
    """
    done, cells = 0, _cells(model)
    while rows := int(np.count_nonzero(lengths > done)):  # the shorter pieces have ended
        steps = min(max(1, cells // rows), int(lengths[rows - 1]) - done)
        h, c = state
        text = block(model, ids, starts[:rows] + done, steps + 1)
        logits, state = model(text[:-1], (h[:, :rows], c[:, :rows]))
        yield scored(logits, text[1:])
        done += steps


def scored(logits: Tensor, targets: Tensor) -> Scored:
    """What logits (T, B, V) predicted of the characters that came, (T, B)."""
    log_p = logits.log_softmax(-1)
    top, likeliest = log_p.max(-1)
    return Scored(-log_p.gather(-1, targets[..., None])[..., 0], likeliest == targets, top.exp())


def state_before(model: LanguageModel, ids: Ids, starts: NDArray[np.int64], warmup: int) -> State:
    """The state after the ``warmup`` characters in front of each of ``starts`` (B,)."""
    state = model.lstm.zero_state(len(starts))
    most = max(1, _cells(model) // len(starts))
    for done in range(0, warmup, most):
        text = block(model, ids, starts - warmup + done, min(most, warmup - done))
        _, state = model.read(text, state)
    return state


def block(model: LanguageModel, ids: Ids, starts: NDArray[np.int64], steps: int) -> Tensor:
    """The ``steps`` ids from each of ``starts`` (B,) on, (T, B), on the model's device."""
    block: NDArray[Any] = ids[starts + np.arange(steps)[:, None]]
    return torch.from_numpy(block.astype(np.int64)).to(model.device)


def _cells(model: LanguageModel) -> int:
    """How many characters, T times B, a forward pass may hold: logits, and gates, h, c, tanh(c)."""
    return max(1, CHUNK_FLOATS // max(model.vocab_size, 8 * model.lstm.hidden_size))

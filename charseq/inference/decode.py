"""Let a model write: one stream, one symbol at a time, each drawn from what the model foresees.

The draw is made on the CPU with the caller's generator, one uniform number a symbol, so that a seed
writes the same text on every device.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from charseq.errors import CharseqError
from charseq.inference.distribution import tempered
from charseq.inference.evaluate import reading
from charseq.models.protocol import SequenceModel
from charseq.text.vocab import Ids, Unknown, Vocab

MOST_BYTES = 4  # of a character in UTF-8


def generate_text(
    model: SequenceModel,
    vocab: Vocab,
    prime: str,
    *,
    length: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    generator: torch.Generator,
    stop: str | None = None,
    unknown: Unknown = "error",
) -> Iterator[str]:
    """What the model writes after ``prime``, in pieces that are ready to be shown.

    The prime is not repeated. When it is empty, or nothing of it is left by ``unknown``, the model
    starts from a newline if it knows one, else from the first symbol of its vocabulary. The symbol
    for unknown characters is never written.

    Args:
        length: characters to write, at most.
        stop: the text ends in front of the first place where this is written; what could still
            become the stop string is held back until it is clear.

    Raises:
        CharseqError: at once, not at the first piece: the prime holds a character outside the
            vocabulary, or an argument is out of range. While it writes: the model gives NaN.
    """
    if stop == "":
        raise CharseqError("stop: the stop string is empty; leave it out to never stop")
    symbols = generate(
        model,
        prompt_ids(vocab, prime, unknown),
        # So many bytes hold ``length`` characters for certain, even when the last one is cut.
        length=length * MOST_BYTES if vocab.kind == "byte" else length,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        generator=generator,
        never=vocab.unknown_id,
    )
    pieces = _first_characters(_decode(vocab, symbols), length)
    return pieces if stop is None else _until(stop, pieces)


def prompt_ids(vocab: Vocab, prime: str, unknown: Unknown = "error") -> Ids:
    """The ids that the model reads before it writes, (P,), at least one; see ``generate_text``."""
    ids = vocab.encode(prime, unknown=unknown, where="the prime")
    if len(ids):
        return ids
    if "\n" in vocab.symbols:
        start = vocab.symbols.index("\n")
    else:
        start = 1 if vocab.unknown_id == 0 and vocab.size > 1 else 0
    return np.array([start], dtype=vocab.dtype)


def generate(
    model: SequenceModel,
    prompt: Sequence[int] | Ids,
    *,
    length: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    generator: torch.Generator,
    never: int | None = None,
) -> Iterator[int]:
    """The next ``length`` ids after a prompt (P,) of at least one id.

    Args:
        temperature, top_k, top_p: as in ``log_probabilities``.
        generator: of the CPU; ``temperature`` 0 draws nothing from it.
        never: an id that is not to be written, unless there is no other.

    Raises:
        CharseqError: at once when an argument is out of range; later when the model gives NaN.
    """
    _check(len(prompt), length, temperature, top_k, top_p)
    if model.vocab_size == 1:
        never = None
    return _generate(model, prompt, length, temperature, top_k, top_p, generator, never)


def log_probabilities(
    logits: Tensor, temperature: float, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """The distribution to draw from, (V,) float64, for logits (V,): ``distribution.tempered``.

    Raises:
        CharseqError: there is no largest logit: one is NaN or infinite.
    """
    logits = logits.double()
    _likeliest(logits)
    return tempered(logits[None], temperature, top_k, top_p)[0]


def _check(
    prompt: int, length: int, temperature: float, top_k: int | None, top_p: float | None
) -> None:
    if prompt < 1:
        raise CharseqError("generate: the prompt is empty; it needs at least one symbol")
    if length < 0:
        raise CharseqError(f"length: must be at least 0, not {length}")
    if not 0.0 <= temperature < math.inf:
        raise CharseqError(f"temperature: must be at least 0 and finite, not {temperature}")
    if top_k is not None and top_k < 1:
        raise CharseqError(f"top_k: must be at least 1, not {top_k}")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise CharseqError(f"top_p: must be above 0 and at most 1, not {top_p}")


def _generate(
    model: SequenceModel,
    prompt: Sequence[int] | Ids,
    length: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    generator: torch.Generator,
    never: int | None,
) -> Iterator[int]:
    # Gradients are turned off around each step, and not around a yield: what happens between two
    # symbols is the caller's.
    device = model.device
    read = torch.from_numpy(np.asarray(prompt, dtype=np.int64)).to(device)
    with reading(model):
        ids, state = model.begin(read[:, None])
    for _ in range(length):
        with torch.inference_mode():
            logits, state = model.step(ids, state)
            scores = logits[0].cpu()
            if never is not None:
                scores[never] = -math.inf
            if temperature == 0.0:
                choice, _ = _likeliest(scores)
            else:
                choice = _draw(log_probabilities(scores, temperature, top_k, top_p), generator)
            ids = torch.tensor([choice], device=device)
        yield choice


def _draw(log_p: Tensor, generator: torch.Generator) -> int:
    """One symbol, by inverting the cumulative distribution; a symbol of probability 0 never."""
    cumulative = log_p.exp().cumsum(0)
    u = torch.rand(1, generator=generator, dtype=torch.float64) * cumulative[-1]
    return int(torch.searchsorted(cumulative, u, right=True))


def _likeliest(logits: Tensor) -> tuple[int, float]:
    """The first of the largest, and how large it is."""
    value, index = logits.max(0)
    peak = value.item()
    if not math.isfinite(peak):  # NaN wins every comparison here
        raise CharseqError(
            f"the model's largest output is {peak}: its weights are damaged or its training "
            "diverged; take an earlier checkpoint"
        )
    return int(index), peak


def _decode(vocab: Vocab, symbols: Iterable[int]) -> Iterator[str]:
    """The text of ids, each piece as soon as it is complete."""
    decoder = vocab.incremental_decoder()
    for symbol in symbols:
        if text := decoder.feed(symbol):
            yield text


def _first_characters(pieces: Iterable[str], length: int) -> Iterator[str]:
    left = length
    for piece in pieces:
        yield piece[:left]
        left -= len(piece)
        if left <= 0:
            return


def _until(stop: str, pieces: Iterable[str]) -> Iterator[str]:
    """The text in front of the first ``stop``; its possible beginnings are held back."""
    held = ""
    for piece in pieces:
        held += piece
        at = held.find(stop)
        if at >= 0:
            if at > 0:
                yield held[:at]
            return
        keep = _beginning_of(stop, held)
        if ready := held[: len(held) - keep]:
            yield ready
        held = held[len(held) - keep :]
    if held:
        yield held


def _beginning_of(stop: str, text: str) -> int:
    """The length of the longest end of ``text`` with which ``stop`` could begin."""
    longest = min(len(stop) - 1, len(text))
    return next((n for n in range(longest, 0, -1) if stop.startswith(text[-n:])), 0)

"""Let a model write: one stream, one symbol at a time, each drawn from what the model predicts.

Every symbol has one uniform random number of the seed's, whoever computes: a seed writes the same
text in the compiled kernel and in torch, on every device, but for the rounding of the products.
Nothing here imports torch.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter
from typing import Any, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from charseq.errors import CharseqError
from charseq.lstm.drawing import Drawing
from charseq.lstm.stream import diverged
from charseq.text.vocab import Ids, Unknown, Vocab

Stop: TypeAlias = str | Sequence[str] | None

MOST_BYTES = 4  # of a character in UTF-8
PATIENCE = 0.02  # seconds: about how long a reader, and Ctrl-C, wait for the next piece


class Writer(Protocol):
    """A text that is being written, by the kernel (``lstm.stream``) or torch (``torch_stream``).

    ``lstm.stream.Stream`` says what each of these means. ``read`` comes once, before ``write``.
    """

    @property
    def symbols(self) -> int: ...

    @property
    def logits(self) -> NDArray[Any]: ...

    @property
    def ready(self) -> int | None:
        """So many symbols are to be asked for at once; None: as many as take no long."""
        ...

    def read(self, ids: NDArray[Any]) -> None: ...

    def write(
        self,
        symbols: NDArray[np.int64],
        uniforms: NDArray[np.float64],
        drawing: Drawing,
        never: int | None = None,
    ) -> NDArray[np.int64]: ...


class BatchWriter(Writer, Protocol):
    """The same, which can also write several texts at once."""

    def copies(self, count: int) -> Self: ...

    def without_first(self, count: int) -> Self: ...


def generate_text(
    writer: Writer,
    vocab: Vocab,
    prime: str,
    *,
    length: int,
    drawing: Drawing,
    seed: int,
    stop: Stop = None,
    unknown: Unknown = "error",
) -> Iterator[str]:
    """What the model writes after ``prime``, in pieces that are ready to be shown.

    The prime is not repeated. When it is empty, or nothing of it is left by ``unknown``, the model
    starts from a newline if it knows one, else from the first symbol of its vocabulary. The symbol
    for unknown characters is never written.

    Args:
        writer: of an empty text.
        length: characters to write, at most.
        stop: the text ends in front of the first place where this, or one of these, is written;
            what could still become one of them is held back until it is clear.

    Raises:
        CharseqError: at once, not at the first piece: the prime holds a character outside the
            vocabulary, or an argument is out of range. While it writes: the model gives NaN.
    """
    stops = () if stop is None else (stop,) if isinstance(stop, str) else tuple(stop)
    if "" in stops:
        raise CharseqError("stop: the stop string is empty; leave it out to never stop")
    chunks = generate(
        writer,
        prompt_ids(vocab, prime, unknown),
        # So many bytes hold ``length`` characters for certain, even when the last one is cut.
        length=length * MOST_BYTES if vocab.kind == "byte" else length,
        drawing=drawing,
        seed=seed,
        never=vocab.unknown_id,
    )
    pieces = _first_characters(_decode(vocab, chunks), length)
    return _until(stops, pieces) if stops else pieces


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
    writer: Writer,
    prompt: Sequence[int] | Ids,
    *,
    length: int,
    drawing: Drawing,
    seed: int,
    never: int | None = None,
) -> Iterator[NDArray[np.int64]]:
    """The next ``length`` ids after a prompt (P,) of at least one id, in chunks (n,).

    The first chunk is one id, which is shown at once; they grow for as long as none takes long, so
    that a fast model is not held up by what becomes of its text.

    Args:
        never: an id that is not to be written, unless there is no other.

    Raises:
        CharseqError: at once when an argument is out of range; later when the model gives NaN.
    """
    _check(len(prompt), length)
    if writer.symbols == 1:
        never = None

    def chunks() -> Iterator[NDArray[np.int64]]:
        ids = np.asarray(prompt, dtype=np.int64)
        draw = uniform_numbers(seed)
        left, count = length, 1
        writer.read(ids[:-1])
        while left:
            began = perf_counter()
            numbers = draw(min(writer.ready or count, left))
            ids = writer.write(ids[-1:], numbers[:, None], drawing, never)[:, 0]
            if perf_counter() - began < PATIENCE / 2:
                count *= 2
            if len(ids):
                yield ids
            if len(ids) < len(numbers):
                raise diverged(float(writer.logits.max()))
            left -= len(ids)

    return chunks()


def uniform_numbers(seed: int) -> Callable[[int], NDArray[np.float64]]:
    """Draws so many numbers in [0, 1): the multiples of 2^-53 that PCG64 gives for a seed.

    They are made of the generator's own integers, which no version of numpy changes. It does not
    matter how many are drawn at once.
    """
    bits = np.random.PCG64(seed)
    return lambda count: (bits.random_raw(count) >> np.uint64(11)) * np.float64(2.0**-53)


def _check(prompt: int, length: int) -> None:
    if prompt < 1:
        raise CharseqError("generate: the prompt is empty; it needs at least one symbol")
    if length < 0:
        raise CharseqError(f"length: must be at least 0, not {length}")


def _decode(vocab: Vocab, chunks: Iterable[NDArray[np.int64]]) -> Iterator[str]:
    """The text of ids, each piece as soon as it is complete."""
    decoder = vocab.incremental_decoder()
    for ids in chunks:
        if text := "".join(map(decoder.feed, ids.tolist())):
            yield text


def _first_characters(pieces: Iterable[str], length: int) -> Iterator[str]:
    left = length
    for piece in pieces:
        yield piece[:left]
        left -= len(piece)
        if left <= 0:
            return


def _until(stops: Sequence[str], pieces: Iterable[str]) -> Iterator[str]:
    """The text in front of that stop string which is complete first, of these the longest; what may
    be the beginning of one is held back."""
    held = ""
    for piece in pieces:
        held += piece
        found = [(at + len(stop), at) for stop in stops if (at := held.find(stop)) >= 0]
        if found:
            _, at = min(found)
            if at > 0:
                yield held[:at]
            return
        keep = max(_beginning_of(stop, held) for stop in stops)
        if ready := held[: len(held) - keep]:
            yield ready
        held = held[len(held) - keep :]
    if held:
        yield held


def _beginning_of(stop: str, text: str) -> int:
    """The length of the longest end of ``text`` with which ``stop`` could begin."""
    longest = min(len(stop) - 1, len(text))
    return next((n for n in range(longest, 0, -1) if stop.startswith(text[-n:])), 0)

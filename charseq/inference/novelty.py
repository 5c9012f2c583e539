"""How much of what a language model writes stands verbatim in the text that it was trained on.

Every text repeats phrases that others have, so the number alone says little. Its yardstick is
held-out text of the same kind, in pieces as long as those that were sampled.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from charseq.errors import CharseqError
from charseq.progress import Progress
from charseq.text.copies import Copies, find_copies
from charseq.text.vocab import Ids, Vocab

if TYPE_CHECKING:
    from charseq.inference.trained_lm import TrainedLanguageModel

LENGTHS = (10, 20, 40, 80)  # symbols of a copied run, at least
TEXTS = 12  # as many as are written together
CHARACTERS = 24_000  # to sample
CHUNK = 1 << 20  # symbols looked at together for line ends


@dataclass(frozen=True)
class LongestCopy:
    """A longest run that stands in the training text.

    Attributes:
        text: the run.
        length: its symbols.
        line, column: where the first copy that was found begins, both from 1; columns in
            characters, as far as these were read.
    """

    text: str
    length: int
    line: int
    column: int


@dataclass(frozen=True)
class Novelty:
    """How much of some pieces of text is copied.

    Attributes:
        symbols: of all pieces.
        copied: of each length, the share of the symbols inside copied runs at least so long.
        longest: None where not even one symbol stands in the training text.
    """

    symbols: int
    copied: dict[int, float]
    longest: LongestCopy | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def sample_pieces(
    trained: "TrainedLanguageModel",
    characters: int,
    *,
    temperature: float | None = None,
    seed: int | None = None,
) -> list[Ids]:
    """So many characters that a model writes, as texts of equal length after the run's prime.

    What is None is taken from ``config.sample``.

    Raises:
        CharseqError: an argument is out of range, or the model gives NaN.
    """
    if characters < 1:
        raise CharseqError(f"novelty: at least one character is to be written, not {characters}")
    count = min(TEXTS, characters)
    length = -(-characters // count)
    first = trained.config.sample.seed if seed is None else seed
    texts = trained.streams(
        None,
        range(first, first + count),
        length=length,
        temperature=temperature,
        unknown="skip",
    )
    written = ["".join(text) for text in texts]
    left = characters
    for i, text in enumerate(written):
        written[i] = text[:left]
        left -= len(written[i])
    return [trained.vocab.encode(text) for text in written]


def held_out_pieces(ids: Ids, like: Sequence[Ids]) -> list[Ids]:
    """Pieces of a text (n,), spread evenly over it, each as long as one of ``like``.

    Where the text is too short for all, there are fewer, or one that is shorter.
    """
    longest = max(map(len, like), default=0)
    count = min(len(like), max(1, len(ids) // max(1, longest)))
    starts = np.linspace(0, max(0, len(ids) - longest), count).astype(np.int64)
    return [
        np.asarray(ids[start : start + len(one)])
        for start, one in zip(starts.tolist(), like, strict=False)
    ]


def novelty(
    groups: Sequence[Sequence[Ids]],
    training: Ids,
    vocab: Vocab,
    *,
    progress: Progress | None = None,
) -> list[Novelty]:
    """Of each group of pieces, what stands verbatim in the training text (m,): all in one pass.

    A symbol for unknown characters is no copy of another.
    """
    pieces = [piece for group in groups for piece in group]
    every = iter(
        find_copies(pieces, training, vocab.size, never=vocab.unknown_id, progress=progress)
    )
    return [_sum_up(group, [next(every) for _ in group], training, vocab) for group in groups]


def _sum_up(
    pieces: Sequence[Ids], copies: Sequence[Copies], training: Ids, vocab: Vocab
) -> Novelty:
    symbols = sum(map(len, pieces))
    copied = {
        length: sum(int(one.inside(length).sum()) for one in copies) / max(1, symbols)
        for length in LENGTHS
    }
    best, at = max(
        ((one, int(one.lengths.argmax())) for one in copies if len(one.lengths)),
        key=lambda found: int(found[0].lengths[found[1]]),
        default=(None, 0),
    )
    if best is None or not best.lengths[at]:
        return Novelty(symbols, copied, None)
    start, length = int(best.places[at]), int(best.lengths[at])
    line, column = _place(training, start, vocab)
    text = vocab.decode(training[start : start + length])
    return Novelty(symbols, copied, LongestCopy(text, length, line, column))


def _place(ids: Ids, at: int, vocab: Vocab) -> tuple[int, int]:
    """Line and column, from 1, of a symbol of a text."""
    line, begin = 1, 0
    if "\n" in vocab.symbols:
        newline = vocab.symbols.index("\n")
        for start in range(0, at, CHUNK):
            ends = np.flatnonzero(ids[start : min(start + CHUNK, at)] == newline)
            if len(ends):
                line, begin = line + len(ends), start + int(ends[-1]) + 1
    before = np.asarray(ids[begin:at])
    if vocab.kind == "byte":  # a character begins with a byte that continues none
        before = before[(before & 0xC0) != 0x80]
    return line, 1 + len(before)

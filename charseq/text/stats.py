"""What a text holds, counted before hours are spent training on it."""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from charseq.config.schema.lm import LMConfig
from charseq.text.characters import code_points, count_characters
from charseq.text.corpus import Streams, load_corpus
from charseq.text.read import BYTE_ORDER_MARK, Errors, read_chunks

RARE = 10  # characters that occur less often are rare: a model learns little about them


@dataclass(frozen=True)
class TextStats:
    """What a text file holds, as it stands there: before line endings are changed.

    Attributes:
        characters: without a byte-order mark.
        lines: ended by LF, CRLF or a lone CR; a last line without an end counts too.
        longest_line: characters of the longest line, without its end.
        counts: the occurrences of each character, in the order of the code points.
        entropy: bits per character of a model that knows the counts and nothing else; a trained
            model's bits per character are to be well below it.
    """

    source: str
    bytes: int
    characters: int
    lines: int
    longest_line: int
    lf: int
    crlf: int
    cr: int
    byte_order_mark: bool
    not_ascii: int
    counts: dict[str, int]
    entropy: float

    @property
    def rare(self) -> dict[str, int]:
        """The characters that occur fewer than ``RARE`` times."""
        return {symbol: count for symbol, count in self.counts.items() if count < RARE}

    @property
    def control(self) -> dict[str, int]:
        """The control characters other than tab, LF and CR: seldom meant to be in a text."""
        return {
            symbol: count
            for symbol, count in self.counts.items()
            if unicodedata.category(symbol) == "Cc" and symbol not in "\t\n\r"
        }

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, with the derived ``rare`` and ``control`` too."""
        return {**asdict(self), "rare": self.rare, "control": self.control}


@dataclass(frozen=True)
class TrainingStats:
    """How a configuration cuts its text.

    Attributes:
        train, valid, test: symbols of each part (characters, or bytes with ``vocabulary: byte``).
        vocab_size: different symbols, the unknown one included.
        steps_per_epoch: updates in one pass over the training part.
        epochs: passes in all, where ``train.max_steps`` or ``train.max_epochs`` says so.
    """

    train: int
    valid: int
    test: int
    vocab_size: int
    batch_size: int
    seq_len: int
    steps_per_epoch: int
    epochs: float | None


def text_stats(path: Path, source: str, *, errors: Errors = "raise") -> TextStats:
    """Count a text file in one pass, a chunk at a time; ``source`` is what the user calls it.

    Raises:
        CharseqError: the file cannot be read, is empty, or is not UTF-8 (``errors="raise"``).
    """
    tally = _Tally()
    chunks = read_chunks(path, errors=errors, observe=tally.see_bytes)
    counts = count_characters(tally.watch(chunks))
    return TextStats(
        source=source,
        bytes=tally.bytes,
        characters=sum(counts.values()),
        lines=tally.lf + tally.crlf + tally.cr + (tally.unended > 0),
        longest_line=tally.longest,
        lf=tally.lf,
        crlf=tally.crlf,
        cr=tally.cr,
        byte_order_mark=tally.head == BYTE_ORDER_MARK.encode(),
        not_ascii=sum(count for symbol, count in counts.items() if not symbol.isascii()),
        counts=counts,
        entropy=_entropy(counts.values()),
    )


def training_stats(config: LMConfig) -> TrainingStats:
    """Read, encode and split a configuration's texts as a training does, and count the steps.

    Raises:
        CharseqError: a text cannot be read, or is too short for one batch.
    """
    corpus = load_corpus(config.data)
    streams = Streams(corpus.train, config.train.batch_size, config.train.seq_len)
    return TrainingStats(
        train=len(corpus.train),
        valid=len(corpus.valid),
        test=len(corpus.test),
        vocab_size=corpus.vocab.size,
        batch_size=streams.batch_size,
        seq_len=streams.seq_len,
        steps_per_epoch=streams.steps_per_epoch,
        epochs=config.train.epochs(streams.steps_per_epoch),
    )


def _entropy(counts: Iterable[int]) -> float:
    """``-Σ p log2 p`` over the shares p of the counts, in bits."""
    values = np.fromiter(counts, dtype=np.float64)
    shares = values / values.sum()
    return float(-(shares * np.log2(shares)).sum()) + 0.0  # not -0.0


class _Tally:
    """Bytes and lines, gathered while the chunks of a text pass by."""

    def __init__(self) -> None:
        self.bytes = 0
        self.head = b""  # the first three bytes
        self.lf = self.crlf = self.cr = 0
        self.longest = 0
        self.unended = 0  # characters since the last line ending

    def see_bytes(self, data: bytes) -> None:
        self.bytes += len(data)
        if len(self.head) < 3:
            self.head = (self.head + data)[:3]

    def watch(self, chunks: Iterable[str]) -> Iterator[str]:
        """The same chunks; none ends between CR and LF (``read_chunks``)."""
        for chunk in chunks:
            crlf = chunk.count("\r\n")
            self.crlf += crlf
            self.lf += chunk.count("\n") - crlf
            self.cr += chunk.count("\r") - crlf
            self._measure(chunk.replace("\r\n", "\n").replace("\r", "\n"))
            yield chunk

    def _measure(self, text: str) -> None:
        ends = np.flatnonzero(code_points(text) == ord("\n"))
        starts = np.concatenate(([-self.unended], ends + 1))
        lengths = np.append(ends, len(text)) - starts
        self.longest = max(self.longest, int(lengths.max()))
        self.unended = int(lengths[-1])

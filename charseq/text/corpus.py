"""The text of a configuration, ready for training: a vocabulary, ids in three parts, batches."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from charseq.config.recipes import FEWEST_CHARACTERS
from charseq.config.schema.lm import TextDataConfig
from charseq.errors import CharseqError
from charseq.text.characters import count_characters
from charseq.text.datasets import source_path
from charseq.text.encode import encode_file, fingerprint
from charseq.text.grow import grown_vocab
from charseq.text.read import file_sha256, read_chunks
from charseq.text.vocab import Ids, Vocab


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text in three parts, as ids.

    Attributes:
        vocab: the symbols behind the ids.
        train, valid, test: ids, 1-D, read-only views of memory maps; may be empty.
        fingerprint: sha256, in hex, of all that decides the ids and the parts: the texts' bytes,
            the vocabulary, how they are read, where they are cut.
        source: ``data.text`` as the configuration names it.
        same: of ``valid`` and ``test`` the parts whose text of their own is ``data.text`` again.
    """

    vocab: Vocab
    train: Ids
    valid: Ids
    test: Ids
    fingerprint: str
    source: str
    same: tuple[str, ...] = ()
    unit: ClassVar[str] = "characters"  # of which the parts have so many


def load_corpus(
    data: TextDataConfig, vocab: Vocab | None = None, known: Vocab | None = None
) -> Corpus:
    """Read, encode and split the texts that a configuration names.

    The text is cut into train, valid and test, in that order, each of its share of the symbols. A
    part that has a text of its own gives its share of ``data.text`` back to train.

    Args:
        vocab: the vocabulary of a trained model; counted over all the named texts when None.
        known: symbols that are in it besides those that are counted.

    Raises:
        CharseqError: a text cannot be read, or holds a character outside ``vocab``.
    """
    text = source_path(data.text)
    valid_text = None if data.valid_text is None else source_path(data.valid_text)
    test_text = None if data.test_text is None else source_path(data.test_text)
    paths = [path for path in (text, valid_text, test_text) if path is not None]
    if vocab is None and data.vocabulary == "char":
        vocab, digests = _count(paths, data)
    else:
        vocab = vocab or Vocab.from_counts({}, kind="byte")
        digests = {path: file_sha256(path) for path in paths}
    if known is not None:
        vocab = grown_vocab(known, vocab)
    ids = {
        path: encode_file(
            path,
            vocab,
            errors=data.errors,
            newlines=data.newlines,
            unknown=data.unknown,
            sha256=digests[path],
        )
        for path in paths
    }
    first, second = _cuts(len(ids[text]), data)
    names = [
        fingerprint(digests[path], vocab, data.errors, data.newlines, data.unknown)
        for path in paths
    ]
    parts = [names, first, second, valid_text is not None, test_text is not None]
    return Corpus(
        vocab=vocab,
        train=ids[text][:first],
        valid=ids[text][first:second] if valid_text is None else ids[valid_text],
        test=ids[text][second:] if test_text is None else ids[test_text],
        fingerprint=hashlib.sha256(json.dumps(parts).encode()).hexdigest(),
        source=data.text,
        same=tuple(
            part
            for part, path in (("valid", valid_text), ("test", test_text))
            if path is not None and digests[path] == digests[text]
        ),
    )


def _count(paths: Sequence[Path], data: TextDataConfig) -> tuple[Vocab, dict[Path, str]]:
    """The vocabulary of all the texts together, and the sha256 of each, in one pass."""
    digests = {path: hashlib.sha256() for path in paths}
    counts = count_characters(
        chunk
        for path, digest in digests.items()
        for chunk in read_chunks(
            path, errors=data.errors, newlines=data.newlines, observe=digest.update
        )
    )
    vocab = Vocab.from_counts(counts, min_count=data.min_count, unknown=data.unknown)
    return vocab, {path: digest.hexdigest() for path, digest in digests.items()}


def _cuts(length: int, data: TextDataConfig) -> tuple[int, int]:
    """Where valid and test begin in ``data.text``."""
    train, valid, test = data.split
    if data.valid_text is not None:
        train, valid = train + valid, 0.0
    if data.test_text is not None:
        train, test = train + test, 0.0
    # Rounded, as 0.7 + 0.1 is a little less than 0.8; a last part of no share is exactly empty.
    first = int(length * round(train, 9)) if valid or test else length
    second = int(length * round(train + valid, 9)) if test else length
    return first, second


@dataclass(frozen=True, eq=False)
class Batch:
    """One window of every stream. Inputs and targets are views of one array: not to be changed.

    Attributes:
        inputs: ids, ``(T, B)``, C-contiguous.
        targets: the id that follows each input, ``(T, B)``, C-contiguous.
        starts_epoch: the streams begin here: the carried state is to be zeroed first.
    """

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]
    starts_epoch: bool


class Streams:
    """A long text as parallel streams, for truncated backpropagation through time.

    The B streams are contiguous pieces of the text, side by side. Step after step each gives its
    next T characters, so that the state a network carries on from one window fits the next:

        text      a b c d e f g h i j k l m     B = 2, T = 3, stride = (13 - 1) // 2 = 6
        stream 0  a b c | d e f                 window 0: abc, ghi    targets: bcd, hij
        stream 1  g h i | j k l                 window 1: def, jkl    targets: efg, klm

    A batch is a function of its step alone: the step is all that resuming a training needs.

    What is left of each stream after its last whole window, fewer than ``seq_len`` characters, is
    not read, and neither are the fewer than ``batch_size`` characters after the last stream.

    ``shift``: every epoch but the first begins at a place of its own, up to a stride further on,
    which ``seed`` draws, and the text is a ring. So it is cut elsewhere in each; what one leaves
    out another reads.

    Attributes:
        steps_per_epoch: windows in each stream.

    Raises:
        CharseqError: the text is too short for one batch.
    """

    def __init__(
        self,
        ids: Ids,
        batch_size: int,
        seq_len: int,
        *,
        shift: bool = False,
        seed: int = 0,
    ) -> None:
        stride = (len(ids) - 1) // batch_size
        if stride < seq_len:
            raise CharseqError(_too_short(len(ids), batch_size, seq_len))
        self._ids = ids
        self._stride = stride
        self._shift = shift
        self._seed = seed
        # (B, T + 1): the first window of each stream and, last, the target of its last character.
        self._places = np.arange(batch_size)[:, None] * stride + np.arange(seq_len + 1)
        self.batch_size = batch_size
        self.seq_len = seq_len
        self.steps_per_epoch = stride // seq_len

    def batch(self, step: int) -> Batch:
        """The batch of a step, counted from 0 over the whole training, all epochs together."""
        epoch, window = divmod(step, self.steps_per_epoch)
        start = window * self.seq_len + self._begin(epoch)
        text = self._ids.take(self._places + start, mode="wrap")  # (B, T + 1)
        # Turned while its ids are narrow, then widened: several times faster than both at once.
        steps = np.ascontiguousarray(text.T).astype(np.int64)  # (T + 1, B)
        return Batch(inputs=steps[:-1], targets=steps[1:], starts_epoch=window == 0)

    def _begin(self, epoch: int) -> int:
        """Where in the text an epoch begins."""
        if not self._shift or epoch == 0:
            return 0
        return int(np.random.default_rng([self._seed, epoch]).integers(self._stride))


def _too_short(length: int, batch_size: int, seq_len: int) -> str:
    message = (
        f"the training text has {length:,} symbols, too few for one batch: train.batch_size"
        f" {batch_size} × train.seq_len {seq_len} needs {batch_size * seq_len + 1:,}; take a"
        " longer text"
    )
    if length > 0.9 * FEWEST_CHARACTERS:  # of the whole text
        message += ", or the settings that `charseq init --text` writes for one so short"
    targets = max(0, length - 1)
    choices = [
        f"{name} of at most {largest:,}"
        for name, largest in (
            ("train.batch_size", targets // seq_len),
            ("train.seq_len", targets // batch_size),
        )
        if largest > 0
    ]
    return ", or a ".join([message, *choices])

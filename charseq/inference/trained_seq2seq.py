"""A trained model of pairs, or an ensemble of them, ready for use: it converts, and is judged."""

from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from charseq.config.schema import Seq2SeqConfig
from charseq.errors import CharseqError
from charseq.inference import convert as converting
from charseq.inference.metrics import PairScore
from charseq.inference.own_data import own_config
from charseq.inference.pairs import Judged, evaluate_pairs
from charseq.inference.trace import Hypothesis
from charseq.lstm.drawing import Drawing
from charseq.models.checkpoint_file import step_of
from charseq.models.seq2seq import Seq2Seq
from charseq.progress import Progress
from charseq.text.characters import escape
from charseq.text.columns import find_columns
from charseq.text.datasets import source_path
from charseq.text.look.first_lines import first_lines
from charseq.text.pair_vocab import PairVocab
from charseq.text.pairs import Pairs, load_pairs, read_pairs
from charseq.text.ragged import Int64s
from charseq.text.symbols import normalized, split_tags
from charseq.text.vocab import Unknown

Part: TypeAlias = Literal["train", "valid", "test"]


@dataclass(frozen=True, eq=False)
class EncodedSource:
    """A source that was found readable: its text, its feature tags, and the ids of both."""

    text: str
    features: tuple[str, ...]
    ids: Int64s


# A text, a text and its feature tags, or what ``TrainedSeq2Seq.encode`` makes of them.
Source: TypeAlias = str | tuple[str, Sequence[str]] | EncodedSource


@dataclass(frozen=True, eq=False)
class Output:
    """One string that the model writes for a source.

    Attributes:
        text, symbols: the target, whole and in its symbols.
        log_probability: of the whole target and its end, in nats.
        finished: False where it was cut off at the longest length.
        attention: (T, S): what each symbol, the end included, was read from; None when not asked.
    """

    text: str
    symbols: list[str]
    log_probability: float
    finished: bool
    attention: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class Conversion:
    """What became of one source.

    Attributes:
        index: which source, from 0 on, or from ``first``.
        source_symbols: what the model read, feature tags first.
        outputs: different ones, best first.
    """

    index: int
    source: str
    features: tuple[str, ...]
    source_symbols: list[str]
    outputs: list[Output]


@dataclass(frozen=True, eq=False)
class TrainedSeq2Seq:
    """Models of the same pairs, and all that they need to read sources and write targets.

    Attributes:
        models: in evaluation mode, on their device; several are an ensemble, the mean of their
            probabilities.
        vocab: the symbols that they know.
        config: the settings of the first; ``config.sample`` has the defaults below.
        extra: what the training of the first noted in its checkpoint.
        paths: the checkpoints' files.
        fingerprints: of the pairs that each was trained on, and their parts; None: not noted.
    """

    models: tuple[Seq2Seq, ...]
    vocab: PairVocab
    config: Seq2SeqConfig
    extra: dict[str, Any]
    paths: tuple[Path, ...]
    fingerprints: tuple[str | None, ...]

    @property
    def step(self) -> int | None:
        """The updates that the first one's weights have seen, where its checkpoint says so."""
        return step_of(self.extra)

    @cached_property
    def usual_tags(self) -> tuple[str, ...] | None:
        """Tags such as every pair of the training has: those of its first one.

        ``()`` where a pair has none; None where the file of the training cannot be read any more,
        or lies wherever a checkpoint alone says. Of a large file the first lines stand for all.
        """
        if self.config.data.features_column is None:
            return ()
        try:
            data = own_config(self.config, self.paths[0]).data
            rows = first_lines(source_path(data.train)).cells
        except CharseqError:
            return None
        columns = find_columns(rows[0] if rows else [], data)
        if isinstance(columns, list) or columns.features is None:
            return None
        place = columns.features
        every = [split_tags(row[place]) for row in rows[columns.header :] if place < len(row)]
        return every[0] if every and all(every) else ()

    def encode(
        self,
        text: str,
        features: Sequence[str] = (),
        *,
        unknown: Unknown = "error",
        where: str = "the source",
    ) -> EncodedSource:
        """A source for ``convert``, which then does not look at it again.

        Raises:
            CharseqError: as ``PairVocab.encode_source``, or the source is longer than those of the
                training may be.
        """
        ids = self.vocab.encode_source(text, features, unknown=unknown, where=where)
        most, length = self.config.data.max_source_length, self._length(text)
        if length > most:
            raise CharseqError(
                f"{where}: has {length:,} symbols, and what the model was trained on at most"
                f" {most:,} (data.max_source_length); convert it in parts"
            )
        return EncodedSource(text, tuple(features), ids)

    def convert(
        self,
        sources: Iterable[Source],
        *,
        beam: int | None = None,
        n_best: int = 1,
        length_penalty: float | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        unknown: Unknown = "error",
        with_attention: bool = False,
        first: int = 0,
    ) -> Iterator[Conversion]:
        """Turn sources into targets, in their order, as batches are finished.

        A source is a text, or a text and its tags, ``("gatto", ["N", "PL"])``. Where every pair of
        the training had tags, a source without any is to say so: ``("gatto", [])``.

        What is None is taken from ``config.sample``, and the arguments are those of
        ``inference.convert.convert``; with a ``temperature`` targets are drawn, by ``top_k`` and
        ``top_p`` as ``Drawing`` has them. A beam is never smaller than ``n_best``. ``unknown`` is
        for the sources that are not encoded yet.

        Raises:
            CharseqError: an argument is out of range, or a source is empty, has no tags, or holds a
                symbol that the model does not know and ``unknown`` is "error".
        """
        if temperature is None and (top_k is not None or top_p is not None):
            raise CharseqError("convert: top_k and top_p are for a draw; give a temperature too")
        if isinstance(sources, str):
            raise CharseqError("convert: takes a list of sources; put the one source into a list")
        if unknown not in get_args(Unknown):
            known = ", ".join(get_args(Unknown))
            raise CharseqError(f"convert: unknown is {unknown!r}; choose one of {known}")
        defaults = self.config.sample
        width = defaults.beam if beam is None else beam
        penalty = defaults.length_penalty if length_penalty is None else length_penalty
        waiting: list[EncodedSource] = []

        def encoded() -> Iterator[Int64s]:
            for number, source in enumerate(sources, 1):
                if not isinstance(source, EncodedSource):
                    text, features = self._parts(source, number)
                    source = self.encode(text, features, unknown=unknown, where=f"source {number}")
                waiting.append(source)
                yield source.ids

        done = first
        for index, hypotheses in converting.convert(
            self.models,
            encoded(),
            beam=max(width, n_best),
            n_best=n_best,
            length_penalty=penalty,
            drawing=None if temperature is None else Drawing(temperature, top_k, top_p),
            seed=defaults.seed if seed is None else seed,
            max_target_length=self.config.data.max_target_length,
            with_attention=with_attention,
            first=first,
        ):
            source = waiting[index - done]
            symbols = self.vocab.source_symbols(source.ids)
            outputs = [self._output(hypothesis) for hypothesis in hypotheses]
            yield Conversion(index, source.text, source.features, symbols, outputs)
            if index - done >= converting.WINDOW:  # what is given out need not be kept
                del waiting[: index - done + 1]
                done = index + 1

    def _length(self, text: str) -> int:
        """The symbols of a source, as the training would count them."""
        return len(self.vocab.source.split(normalized(text, self.vocab.normalize)))

    def _parts(self, source: object, number: int) -> tuple[str, Sequence[str]]:
        """The text and the tags of what a caller of ``convert`` gives as a source."""
        if isinstance(source, str) and not self.usual_tags:
            return source, ()
        if isinstance(source, str):
            raise CharseqError(
                f"convert: source {number} has no tags, and all pairs of the training had some;"
                f" give the two together, as in {(source, list(self.usual_tags or ()))}"
            )
        match source:
            case (str() as text, str() as features):
                raise CharseqError(
                    f"convert: source {number}: tags are a list, such as {split_tags(features)},"
                    f" not the text '{escape(features)}'"
                )
            case (str() as text, list() | tuple() as tags) if all(isinstance(t, str) for t in tags):
                return text, tags
        raise CharseqError(
            f"convert: source {number} is a {type(source).__name__}; it has to be a text, or a text"
            ' and a list of its tags, as in ("gatto", ["N", "PL"])'
        )

    def split_pairs(self, split: Part, *, seen: MutableMapping[str, int] | None = None) -> Pairs:
        """A part of the pairs that the run folder names, see ``own_data.py``: what every model was
        trained on, or none.

        ``seen`` is given how many sources of ``valid`` and ``test`` are among those of ``train``.

        Raises:
            CharseqError: the checkpoint lies alone; the part is empty, or a file cannot be used;
                the models were trained on different pairs; or the part is, or is a share of,
                ``data.train``, and the pairs are not those of the training any more.
        """
        for path, fingerprint in zip(self.paths, self.fingerprints, strict=True):
            if fingerprint != self.fingerprints[0]:
                raise CharseqError(
                    f"{path}: was not trained on the same pairs, split and read in the same way, as"
                    f" {self.paths[0]}, and may have seen those that are to be judged; name a file"
                    " that no model was trained on with --data FILE"
                )
        data = own_config(self.config, self.paths[0]).data
        corpus = load_pairs(data, self.vocab)
        if seen is not None:
            seen.update(corpus.seen)
        pairs = {"train": corpus.train, "valid": corpus.valid, "test": corpus.test}[split]
        if len(pairs) == 0:
            raise CharseqError(
                f"the run has no {split} pairs: its `data.split` gives it no share, or they"
                " are too few for one; name a file with --data"
            )
        own_file = split != "train" and getattr(data, split) is not None
        trained_on = self.fingerprints[0]
        if not own_file and trained_on is not None and trained_on not in corpus.same_parts:
            why = (
                "may hold others than the model was trained on; name the file to judge"
                if split == "train"
                else "may hold pairs that the model was trained on; name a file that it was not"
            )
            raise CharseqError(
                f"{escape(corpus.source)}: the pairs, or how they are read and split, have changed"
                f" since the training; its {split} part {why} with --data FILE"
            )
        return pairs

    def was_trained_on(self, path: str) -> bool:
        """Whether a file is ``data.train``: the same file, or the bytes that a checkpoint noted.

        Of a checkpoint alone whose training had ``data.valid`` or ``data.test`` nobody can tell: it
        noted all their bytes together. Then it is False.

        Raises:
            CharseqError: the file is not there.
        """
        file = source_path(path)
        data = self.config.data.model_copy(update={"valid": None, "test": None})
        # A checkpoint alone, or one that moved: the bytes tell.
        with suppress(CharseqError, OSError):
            data = own_config(self.config, self.paths[0]).data
            if file.samefile(source_path(data.train)):
                return True
        try:
            data = data.model_copy(update={"train": path})
            noted = load_pairs(data, self.vocab).same_parts
        except CharseqError:  # what the training would have refused
            return False
        return not noted.isdisjoint(self.fingerprints)

    def file_pairs(
        self,
        path: str,
        *,
        skip_errors: bool = False,
        skipped: MutableMapping[str, int] | None = None,
    ) -> Pairs:
        """The pairs of another file, read as the run's own are.

        Args:
            skip_errors: leave out wrong lines, even if ``config.data.errors`` is "raise".
            skipped: is given how many lines or answers were left out, by reason.

        Raises:
            CharseqError: the file cannot be used, or no pair is left of it.
        """
        data = self.config.data
        if skip_errors:
            data = data.model_copy(update={"errors": "skip"})
        return read_pairs(path, data, self.vocab, skipped)

    def evaluate(
        self,
        pairs: Pairs,
        *,
        beam: int | None = None,
        length_penalty: float | None = None,
        limit: int | None = None,
        progress: Progress | None = None,
    ) -> tuple[PairScore, list[Judged]]:
        """Score the models on pairs; see ``inference.pairs.evaluate_pairs``."""
        defaults = self.config.sample
        return evaluate_pairs(
            self.models,
            self.vocab,
            pairs,
            beam=defaults.beam if beam is None else beam,
            length_penalty=defaults.length_penalty if length_penalty is None else length_penalty,
            limit=limit,
            max_target_length=self.config.data.max_target_length,
            progress=progress,
        )

    def _output(self, hypothesis: Hypothesis) -> Output:
        return Output(
            text=self.vocab.decode_target(hypothesis.ids),
            symbols=self.vocab.target_symbols(hypothesis.ids),
            log_probability=hypothesis.log_probability,
            finished=hypothesis.finished,
            attention=hypothesis.attention,
        )

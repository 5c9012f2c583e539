"""A trained language model, ready for use: it writes text, and scores it.

On a CPU it writes in the compiled kernel, which needs no torch: that is imported for all else.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from charseq.config.schema import LMConfig
from charseq.config.schema.lm import TextDataConfig
from charseq.errors import CharseqError
from charseq.inference.decode import BatchWriter, Stop, generate_text, prompt_ids
from charseq.inference.own_data import own_config
from charseq.inference.together import write_together
from charseq.lstm.compiler import UnavailableError
from charseq.lstm.drawing import Drawing
from charseq.lstm.stream import Stream
from charseq.models.checkpoint_file import WEIGHTS, Arrays, step_of
from charseq.text.characters import escape
from charseq.text.vocab import Ids, Unknown, Vocab

if TYPE_CHECKING:
    from charseq.inference.evaluate import Observe
    from charseq.inference.metrics import Score
    from charseq.models.language_model import LanguageModel
    from charseq.progress import Progress
    from charseq.text.corpus import Corpus

Precision = Literal["fp32", "bf16"]
Part = Literal["train", "valid", "test"]


@dataclass(frozen=True, eq=False)
class TrainedLanguageModel:
    """A model and all that it needs to read and write text.

    Attributes:
        weights: those of the checkpoint, float32, by the names of the model's ``state_dict``.
        vocab: the symbols that it knows.
        config: the settings that it was trained with; ``config.sample`` has the defaults below.
        extra: what its training noted in the checkpoint: counters, the text's fingerprint.
        path: the checkpoint's file.
        device: where it computes, as torch names it.
    """

    weights: Arrays
    vocab: Vocab
    config: LMConfig
    extra: dict[str, Any]
    path: Path
    device: str = "cpu"
    _packed: dict[bool, Stream] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def model(self) -> "LanguageModel":
        """The network, in evaluation mode, on its device; from now on its weights are what counts.

        Raises:
            CheckpointError: the weights do not fit the configuration.
        """
        import torch

        from charseq.models.checkpoint import Checkpoint
        from charseq.models.language_model import LanguageModel

        tensors = {WEIGHTS + name: torch.from_numpy(array) for name, array in self.weights.items()}
        model = Checkpoint(self.config, self.vocab, tensors, {}).model(str(self.path))
        assert isinstance(model, LanguageModel)  # noqa: S101
        return model.to(self.device)

    @property
    def step(self) -> int | None:
        """The updates that the weights have seen, where the checkpoint says so."""
        return step_of(self.extra)

    def sample(
        self,
        prime: str | None = None,
        *,
        length: int | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: Stop = None,
        unknown: Unknown = "error",
        precision: Precision = "fp32",
    ) -> str:
        """What the model writes after ``prime``, which is not repeated.

        What is None is taken from ``config.sample``; the arguments are explained there and in
        ``decode.generate_text``. The same seed writes the same text. With ``precision`` "bf16" the
        kernel multiplies bfloat16 numbers, which is faster and writes another text.

        Raises:
            CharseqError: an argument is out of range, the prime holds a character that the model
                does not know and ``unknown`` is "error", or there is no kernel for bf16.
        """
        return "".join(
            self.stream(
                prime,
                length=length,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                seed=seed,
                stop=stop,
                unknown=unknown,
                precision=precision,
            )
        )

    def stream(
        self,
        prime: str | None = None,
        *,
        length: int | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: Stop = None,
        unknown: Unknown = "error",
        precision: Precision = "fp32",
    ) -> Iterator[str]:
        """As ``sample``, in pieces, as they are written. Raises at once, not at the first piece."""
        texts = self.streams(
            prime,
            [self.config.sample.seed if seed is None else seed],
            length=length,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            stop=stop,
            unknown=unknown,
            precision=precision,
        )
        return next(texts)

    def streams(
        self,
        prime: str | None,
        seeds: Sequence[int],
        *,
        length: int | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        stop: Stop = None,
        unknown: Unknown = "error",
        precision: Precision = "fp32",
    ) -> Iterator[Iterator[str]]:
        """A text for each seed, as ``stream`` writes it, but together: that takes far less time.

        Read each to its end before the next.
        """
        defaults = self.config.sample
        drawing = Drawing(
            temperature=defaults.temperature if temperature is None else temperature,
            top_k=defaults.top_k if top_k is None else top_k,
            top_p=defaults.top_p if top_p is None else top_p,
        )
        for seed in seeds:
            if not 0 <= seed < 2**63:
                raise CharseqError(f"seed: must be at least 0 and below 2**63, not {seed}")
        writer = self._open_stream(precision)
        writers = iter([writer]) if len(seeds) == 1 else write_together(writer, seeds)
        for seed, each in zip(seeds, writers, strict=True):
            yield generate_text(
                each,
                self.vocab,
                self.default_prime if prime is None else prime,
                length=defaults.length if length is None else length,
                drawing=drawing,
                seed=seed,
                stop=stop,
                unknown=unknown,
            )

    @property
    def default_prime(self) -> str:
        """``config.sample.prime``; a newline that the model never saw counts as no prime."""
        prime = self.config.sample.prime
        knows_it = self.vocab.kind == "byte" or prime in self.vocab.symbols
        return "" if prime == "\n" and not knows_it else prime

    def evaluate(
        self,
        text: str | None = None,
        *,
        split: Part = "valid",
        window: int | None = None,
        unknown: Unknown | None = None,
        streams: int = 1,
        progress: "Progress | None" = None,
    ) -> "Score":
        """Score ``text``, or when it is None the part ``split`` of what it was trained on.

        Args:
            unknown: what to do with characters that the model does not know; None does what
                ``config.data.unknown`` says.
            window, streams, progress: as in ``inference.evaluate.evaluate``.

        Raises:
            CharseqError: the text is too short, cannot be found, or holds a character that the
                model does not know.
        """
        if text is None:
            ids = self.split_ids(split, unknown)
        else:
            ids = self.vocab.encode(text, unknown=unknown or self.config.data.unknown)
        return self.score(ids, window=window, streams=streams, progress=progress)

    def score(
        self,
        ids: Ids,
        *,
        window: int | None = None,
        streams: int = 1,
        progress: "Progress | None" = None,
        observe: "Observe | None" = None,
    ) -> "Score":
        """As ``evaluate``, for ids (n,); ``observe`` as in ``inference.evaluate.evaluate``."""
        from charseq.inference.evaluate import evaluate

        return evaluate(
            self.model, ids, window=window, streams=streams, progress=progress, observe=observe
        )

    def split_ids(self, split: Part, unknown: Unknown | None = None) -> Ids:
        """The ids (n,) of a part of the text that the run folder names, a memory map; see
        ``own_data.py``.

        Raises:
            CharseqError: the checkpoint lies alone; the part is empty, or a text cannot be used; or
                the part is, or is a share of, ``data.text``, and the texts are not those of the
                training any more.
        """
        from charseq.text.corpus import load_corpus

        data = own_config(self.config, self.path).data
        asked = data if unknown is None else data.model_copy(update={"unknown": unknown})
        corpus = load_corpus(asked, self.vocab)
        ids = {"train": corpus.train, "valid": corpus.valid, "test": corpus.test}[split]
        if len(ids) == 0:
            raise CharseqError(
                f"the run has no {split} text: its `data.split` gives it no share, or the"
                " text is too short for one; name a file with --data"
            )
        own_text = split != "train" and getattr(data, f"{split}_text") is not None
        if not own_text and self._changed(data, corpus if asked == data else None):
            why = (
                "may hold another text than the model was trained on"
                if split == "train"
                else "may hold what the model was trained on; name a file that it was not with"
                " --data FILE"
            )
            raise CharseqError(
                f"{escape(data.text)}: the text, or how it is read and split, has changed since the"
                f" training; its {split} part {why}"
            )
        return ids

    def _changed(self, data: TextDataConfig, corpus: "Corpus | None") -> bool:
        """Whether the texts, which can be read, are others than those of the training.

        ``corpus``: the texts as ``data`` says, where they have been read so.
        """
        from charseq.text.corpus import load_corpus

        noted = self.extra.get("fingerprint")
        if not isinstance(noted, str):
            return False
        try:
            return (corpus or load_corpus(data, self.vocab)).fingerprint != noted
        except CharseqError:  # a character that the training would have refused
            return True

    def was_trained_on(self, path: str) -> bool:
        """Whether a file is ``data.text`` of the run; of a checkpoint alone nobody can tell."""
        from charseq.text.datasets import source_path

        with suppress(CharseqError, OSError):
            own = own_config(self.config, self.path).data.text
            return source_path(path).samefile(source_path(own))
        return False

    def surprisal(
        self, text: str, *, after: str | None = None, unknown: Unknown | None = None
    ) -> NDArray[np.float64]:
        """How much each character of a text surprises the model, in nats.

        The first one has nothing in front of it and is left out: (n - 1,). When the text stands
        ``after`` another, the first one counts: (n,); an empty other is as an empty prime.
        One number a byte for a byte vocabulary; none for a character left out by ``unknown``.

        Raises:
            CharseqError: as ``evaluate``.
        """
        from charseq.inference.evaluate import surprisal

        unknown = unknown or self.config.data.unknown
        ids = self.vocab.encode(text, unknown=unknown)
        if after is None:
            return surprisal(self.model, ids)
        before = prompt_ids(self.vocab, after, unknown)
        return surprisal(self.model, np.concatenate([before, ids]))[len(before) - 1 :]

    def _open_stream(self, precision: Precision) -> BatchWriter:
        """A writer of an empty text."""
        bfloat16 = precision == "bf16"
        if self.device == "cpu" and "model" not in vars(self):
            try:
                if bfloat16 not in self._packed:
                    zoneout = self.config.model.zoneout
                    packed = Stream(self.weights, bfloat16=bfloat16, zoneout=zoneout)
                    self._packed[bfloat16] = packed
                return self._packed[bfloat16].fresh()
            except UnavailableError:
                pass
        from charseq.inference.torch_stream import open_stream

        return open_stream(self.model, bfloat16=bfloat16)

"""The beginning of a training: what it goes on from, what is refused, and what is told of it."""

from collections.abc import Sequence
from pathlib import Path

from charseq.config.schema import Config, LMConfig
from charseq.config.schema.shared import TrainConfig
from charseq.errors import CharseqError
from charseq.lstm import kernel
from charseq.models.build import Data
from charseq.models.checkpoint_file import AnyVocab
from charseq.models.init_from import Origin, read_origin
from charseq.text.corpus import Corpus, Streams
from charseq.text.pair_batches import PairBatches
from charseq.text.pair_vocab import PairVocab
from charseq.text.pairs import PairCorpus
from charseq.training.events import AutoCopy, Started
from charseq.training.run import RunFolder
from charseq.training.state import TrainingState


def begin_from(config: Config, run: Path, *, resume: bool) -> tuple[Origin | None, AnyVocab | None]:
    """The model that a fine-tuning begins with, and the symbols that its vocabulary grows from.

    A run that has begun holds both: what it began with is not looked at again.
    """
    name = config.train.init_from
    if name is None:
        return None, None
    begun, _ = RunFolder(run).look() if resume else (None, None)
    if begun:
        return None, begun.vocab
    origin = read_origin(name, config)
    return origin, origin.vocab


def check_validation(settings: TrainConfig, data: Data) -> None:
    """What needs validation is refused where there is nothing to validate on."""
    if len(data.valid) == 0:
        for name, needs in (
            ("train.patience", settings.patience is not None),
            ("train.schedule plateau", settings.schedule == "plateau"),
        ):
            if needs:
                raise CharseqError(f"{name} needs validation data: raise data.split's second share")
    elif data.unit == "characters" and len(data.valid) < 2:
        raise CharseqError(
            "the validation text has one character; give it more, or none, of the text"
        )


def told_at_start(
    state: TrainingState,
    data: Data,
    batches: Streams | PairBatches,
    *,
    asked: Config,
    run: Path,
    precision: str,
    total_steps: int | None,
    changed: Sequence[str],
    notice: str | None,
) -> Started:
    """The first event. ``asked``: the configuration as it was given, where ``state`` has what its
    autos come to; the rest as ``Started`` has it."""
    model, config = state.model, state.config
    return Started(
        run=run,
        device=str(state.device),
        backend=model.backend,
        precision=precision,
        parameters=sum(p.numel() for p in model.parameters()),
        vocab_size=model.vocab_size,
        train_size=len(data.train),
        valid_size=len(data.valid),
        unit=data.unit,
        steps_per_epoch=batches.steps_per_epoch,
        step=state.progress.step,
        total_steps=total_steps,
        seen=data.seen if isinstance(data, PairCorpus) else {},
        same_texts=data.same if isinstance(data, Corpus) else (),
        skipped=data.skipped if isinstance(data, PairCorpus) else {},
        spliced_pairs=_count_spliced(batches, data),
        spliced_pairs_asked=config.train.spliced_pairs if config.task == "seq2seq" else 0,
        auto_copy=_auto_copy(asked, config, data.vocab),
        taken=state.taken,
        changed=changed,
        notice=notice,
        hint=_hint(config.model.backend, model.backend),
    )


def _auto_copy(asked: Config, decided: Config, vocab: AnyVocab) -> AutoCopy | None:
    if isinstance(asked, LMConfig) or asked.model.copy != "auto" or asked.model.attention == "none":
        return None
    assert not isinstance(decided, LMConfig)  # noqa: S101
    assert isinstance(vocab, PairVocab)  # noqa: S101
    copies, inherited = decided.model.copy is True, decided.train.init_from is not None
    return AutoCopy(copies, vocab.shared, len(vocab.target), inherited)


def _count_spliced(batches: Streams | PairBatches, data: Data) -> int:
    return len(batches.pairs) - len(data.train) if isinstance(batches, PairBatches) else 0


def _hint(wanted: str, backend: str) -> str | None:
    """Where the best backend of a CPU is missing: why, and how it can be had."""
    if wanted != "auto" or backend != "manual" or not kernel.why_not():
        return None
    return f"backend manual is used; fused, which is faster, is missing: {kernel.why_not()}"

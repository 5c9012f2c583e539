"""``load`` a run or a checkpoint, or several as an ensemble: a trained model, ready for use."""

from dataclasses import replace
from pathlib import Path

from charseq.config.schema import LMConfig
from charseq.errors import CharseqError
from charseq.inference.trained_lm import TrainedLanguageModel
from charseq.inference.trained_seq2seq import TrainedSeq2Seq
from charseq.lstm.device import resolve_device
from charseq.models.checkpoint import WEIGHTS, Checkpoint, find_checkpoint, read_checkpoint
from charseq.models.language_model import LanguageModel
from charseq.models.seq2seq import Seq2Seq
from charseq.text.pair_vocab import PairVocab
from charseq.text.read import expand
from charseq.text.vocab import Vocab

AVERAGE = "average."  # the prefix of the averaged weights, beside those still in training


def load(
    run_or_checkpoint: str | Path, *others: str | Path, device: str = "cpu"
) -> TrainedLanguageModel | TrainedSeq2Seq:
    """The model of a run folder (its best checkpoint, else its last) or of a checkpoint file.

    Where training keeps averaged weights, these are taken. ``device`` is "cpu", "cuda", "cuda:N" or
    "auto": CUDA where there is one. With ``others`` the models of pairs work as an ensemble.

    Raises:
        CharseqError: there is no checkpoint, it is damaged, there is no such device, or the models
            of an ensemble do not read and write the same symbols.
    """
    where = resolve_device(device)
    paths = [find_checkpoint(expand(str(name))) for name in (run_or_checkpoint, *others)]
    checkpoints = [_averaged(read_checkpoint(path)) for path in paths]
    models = [checkpoint.model().to(where) for checkpoint in checkpoints]
    first = checkpoints[0]
    for path, checkpoint in zip(paths, checkpoints, strict=True):
        if others and isinstance(checkpoint.config, LMConfig):
            raise CharseqError(f"{path}: a language model; an ensemble is made of models of pairs")
    if isinstance(first.config, LMConfig):
        assert isinstance(models[0], LanguageModel)  # noqa: S101
        assert isinstance(first.vocab, Vocab)  # noqa: S101
        return TrainedLanguageModel(models[0], first.vocab, first.config, first.extra, paths[0])
    for path, checkpoint in zip(paths, checkpoints, strict=True):
        if checkpoint.vocab != first.vocab:
            raise CharseqError(
                f"{path}: its symbols are not those of {paths[0]}; the models of an ensemble are"
                " trained on the same pairs, read in the same way"
            )
    assert isinstance(first.vocab, PairVocab)  # noqa: S101
    pair_models = tuple(model for model in models if isinstance(model, Seq2Seq))
    return TrainedSeq2Seq(
        models=pair_models,
        vocab=first.vocab,
        config=first.config,
        extra=first.extra,
        paths=tuple(paths),
        fingerprints=tuple(_fingerprint(checkpoint) for checkpoint in checkpoints),
    )


def load_language_model(
    run_or_checkpoint: str | Path, *, device: str = "cpu"
) -> TrainedLanguageModel:
    """As ``load``, where the model has to be a language model: CharseqError when it is not."""
    trained = load(run_or_checkpoint, device=device)
    if not isinstance(trained, TrainedLanguageModel):
        raise CharseqError(f"{trained.paths[0]}: converts pairs; this needs a language model")
    return trained


def load_seq2seq(
    run_or_checkpoint: str | Path, *others: str | Path, device: str = "cpu"
) -> TrainedSeq2Seq:
    """As ``load``, where the model has to be one of pairs: CharseqError when it is not."""
    trained = load(run_or_checkpoint, *others, device=device)
    if not isinstance(trained, TrainedSeq2Seq):
        raise CharseqError(f"{trained.path}: a language model; this needs a model of pairs")
    return trained


def _fingerprint(checkpoint: Checkpoint) -> str | None:
    noted = checkpoint.extra.get("fingerprint")
    return noted if isinstance(noted, str) else None


def _averaged(checkpoint: Checkpoint) -> Checkpoint:
    """The averaged weights in place of those in training, where there are any."""
    averages = {
        WEIGHTS + name.removeprefix(AVERAGE): tensor
        for name, tensor in checkpoint.tensors.items()
        if name.startswith(AVERAGE)
    }
    return replace(checkpoint, tensors=checkpoint.tensors | averages)

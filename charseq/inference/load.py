"""``load`` a run or a checkpoint, or several as an ensemble: a trained model, ready for use.

A language model on a CPU is loaded without torch.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from charseq.config.schema import LMConfig
from charseq.errors import CharseqError
from charseq.inference.trained_lm import TrainedLanguageModel
from charseq.lstm.stream import weight_shapes
from charseq.models.checkpoint_file import WEIGHTS, CheckpointFile, find_checkpoint, read_file
from charseq.text.read import expand
from charseq.text.vocab import Vocab

if TYPE_CHECKING:
    from charseq.inference.trained_seq2seq import TrainedSeq2Seq


def load(
    run_or_checkpoint: str | Path, *others: str | Path, device: str = "cpu"
) -> "TrainedLanguageModel | TrainedSeq2Seq":
    """The model of a run folder (its best checkpoint, else its last) or of a checkpoint file.

    Where training keeps averaged weights, these are taken. ``device`` is "cpu", "cuda", "cuda:N" or
    "auto": CUDA where there is one. With ``others`` the models of pairs work as an ensemble.

    Raises:
        CharseqError: there is no checkpoint, it is damaged, there is no such device, or the models
            of an ensemble do not read and write the same symbols.
    """
    if device != "cpu":
        from charseq.lstm.device import resolve_device

        device = str(resolve_device(device))
    paths = [find_checkpoint(expand(str(name))) for name in (run_or_checkpoint, *others)]
    files = [read_file(path).averaged() for path in paths]
    for path, file in zip(paths, files, strict=True):
        if others and isinstance(file.config, LMConfig):
            raise CharseqError(f"{path}: a language model; an ensemble is made of models of pairs")
    first = files[0]
    if isinstance(first.config, LMConfig):
        assert isinstance(first.vocab, Vocab)  # noqa: S101
        return _language_model(first, first.config, first.vocab, paths[0], device)
    return _pairs(files, paths, device)


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
) -> "TrainedSeq2Seq":
    """As ``load``, where the model has to be one of pairs: CharseqError when it is not."""
    if isinstance(run_or_checkpoint, list | tuple):
        raise CharseqError("load_seq2seq: takes the models of an ensemble one after the other")
    trained = load(run_or_checkpoint, *others, device=device)
    if isinstance(trained, TrainedLanguageModel):
        raise CharseqError(f"{trained.path}: a language model; this needs a model of pairs")
    return trained


def _language_model(
    file: CheckpointFile, config: LMConfig, vocab: Vocab, path: Path, device: str
) -> TrainedLanguageModel:
    weights = {n: array.astype(np.float32, copy=False) for n, array in file.under(WEIGHTS).items()}
    trained = TrainedLanguageModel(weights, vocab, config, file.extra, path, device)
    model = config.model
    wanted = weight_shapes(vocab.size, model.hidden_size, model.num_layers, model.embedding_size)
    if {name: array.shape for name, array in weights.items()} != wanted:
        trained.model  # noqa: B018  says what does not fit
    return trained


def _pairs(files: list[CheckpointFile], paths: list[Path], device: str) -> "TrainedSeq2Seq":
    from charseq.inference.trained_seq2seq import TrainedSeq2Seq
    from charseq.models.checkpoint import Checkpoint
    from charseq.models.seq2seq import Seq2Seq
    from charseq.text.pair_vocab import PairVocab

    first = files[0]
    models = [
        Checkpoint.of(file).model(str(path)).to(device)
        for path, file in zip(paths, files, strict=True)
    ]
    for path, file in zip(paths, files, strict=True):
        if file.vocab != first.vocab:
            raise CharseqError(
                f"{path}: its symbols are not those of {paths[0]}; the models of an ensemble are"
                " trained on the same pairs, read in the same way"
            )
    assert not isinstance(first.config, LMConfig)  # noqa: S101
    assert isinstance(first.vocab, PairVocab)  # noqa: S101
    return TrainedSeq2Seq(
        models=tuple(model for model in models if isinstance(model, Seq2Seq)),
        vocab=first.vocab,
        config=first.config,
        extra=first.extra,
        paths=tuple(paths),
        fingerprints=tuple(_fingerprint(file) for file in files),
    )


def _fingerprint(file: CheckpointFile) -> str | None:
    noted = file.extra.get("fingerprint")
    return noted if isinstance(noted, str) else None

"""From a configuration to the data, the batches and the model of its task."""

from typing import Any

from charseq.config.schema import Config, LMConfig, Seq2SeqConfig
from charseq.config.schema.seq2seq import Seq2SeqModelConfig
from charseq.errors import CharseqError
from charseq.models.checkpoint_file import AnyVocab
from charseq.models.language_model import LanguageModel
from charseq.models.seq2seq import Seq2Seq
from charseq.text.corpus import Corpus, Streams, load_corpus
from charseq.text.pair_batches import PairBatches
from charseq.text.pair_vocab import PairVocab
from charseq.text.pairs import PairCorpus, load_pairs
from charseq.text.splice import training_batches
from charseq.text.vocab import Vocab

Model = LanguageModel | Seq2Seq
Data = Corpus | PairCorpus

# Inflection shares 0.84 of its target symbols or more, pronunciation 0.59 or less: docs/recipes.md.
COPIED_FROM = 0.75


def load_data(config: Config, known: AnyVocab | None = None) -> Data:
    """What the configuration trains on, encoded and split; its vocabulary has ``known`` too.

    Raises:
        CharseqError: a file cannot be used, or ``known`` is of another task.
    """
    if isinstance(config, LMConfig):
        if isinstance(known, PairVocab):
            raise _other_vocabulary()
        return load_corpus(config.data, known=known)
    if isinstance(known, Vocab):
        raise _other_vocabulary()
    return load_pairs(config.data, known=known)


def make_batches(config: Config, data: Data) -> Streams | PairBatches:
    """The training part of the data as batches, each a function of its step."""
    if isinstance(config, LMConfig):
        assert isinstance(data, Corpus)  # noqa: S101
        windows = config.train
        return Streams(
            data.train,
            windows.batch_size,
            windows.seq_len,
            shift=windows.shift_streams,
            seed=windows.seed,
        )
    assert isinstance(data, PairCorpus)  # noqa: S101
    return training_batches(data, config.train)


def does_copy(model: Seq2SeqModelConfig, vocab: PairVocab) -> bool:
    """Whether ``model.copy``, which may be ``auto``, means a pointer with these symbols."""
    if model.copy == "auto":
        return model.attention != "none" and vocab.shared >= COPIED_FROM * len(vocab.target)
    return model.copy


def decided(config: Config, vocab: AnyVocab, before: Config | None = None) -> Config:
    """The configuration with what ``model.copy: auto`` comes to, as checkpoints hold it.

    ``before``: that of the weights it begins with, which copy or do not, whatever the symbols are.
    """
    if isinstance(config, LMConfig) or isinstance(vocab, Vocab):
        return config
    copies = does_copy(config.model, vocab)
    if config.model.copy == "auto" and isinstance(before, Seq2SeqConfig):
        copies = before.model.copy is True
    return config.model_copy(update={"model": config.model.model_copy(update={"copy": copies})})


def build_model(config: Config, vocab: AnyVocab) -> Model:
    """A new model with random weights, drawn from torch's global generator, on the CPU."""
    model = config.model
    shared: dict[str, Any] = {
        "dropout": model.dropout,
        "input_dropout": model.input_dropout,
        "locked_dropout": model.locked_dropout,
        "weight_drop": model.weight_drop,
        "zoneout": model.zoneout,
        "embedding_size": model.embedding_size,
        "forget_bias": model.forget_bias,
        "backend": model.backend,
    }
    if isinstance(config, LMConfig):
        if isinstance(vocab, PairVocab):
            raise _other_vocabulary()
        return LanguageModel(vocab.size, model.hidden_size, model.num_layers, **shared)
    if isinstance(vocab, Vocab):
        raise _other_vocabulary()
    return Seq2Seq(
        vocab.source_size,
        vocab.target_size,
        model.hidden_size,
        model.num_layers,
        bidirectional=config.model.bidirectional,
        attention=config.model.attention,
        input_feeding=config.model.input_feeding,
        coverage=config.model.coverage,
        copy_table=vocab.copy_table() if does_copy(config.model, vocab) else None,
        scheduled_sampling=config.train.scheduled_sampling,
        **shared,
    )


def _other_vocabulary() -> CharseqError:
    return CharseqError("the vocabulary is that of another task than the configuration's")

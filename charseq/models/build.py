"""From a configuration to a model: the only place that asks which task it is."""

from charseq.config.schema import Config
from charseq.models.language_model import LanguageModel
from charseq.text.vocab import Vocab


def build_model(config: Config, vocab: Vocab) -> LanguageModel:
    """A new model with random weights, drawn from torch's global generator, on the CPU."""
    model = config.model
    return LanguageModel(
        vocab.size,
        model.hidden_size,
        model.num_layers,
        dropout=model.dropout,
        locked_dropout=model.locked_dropout,
        forget_bias=model.forget_bias,
        backend=model.backend,
    )

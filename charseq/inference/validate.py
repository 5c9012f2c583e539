"""The score of the validation data while a model is trained, whichever task it has."""

from charseq.config.schema import Config, LMConfig, Seq2SeqConfig
from charseq.inference.evaluate import evaluate
from charseq.inference.metrics import PairScore, Score
from charseq.inference.pairs import evaluate_pairs
from charseq.models.build import Data, Model
from charseq.models.language_model import LanguageModel
from charseq.models.seq2seq import Seq2Seq
from charseq.text.corpus import Corpus
from charseq.text.pairs import PairCorpus


def validate(model: Model, data: Data, config: Config) -> Score | PairScore:
    """Score ``data.valid``: a text in parallel streams, or pairs, converted greedily.

    The right answers of pairs are foreseen too, for the loss.
    """
    match model, data, config:
        case LanguageModel(), Corpus(), LMConfig():
            return evaluate(model, data.valid, streams=config.train.batch_size)
        case Seq2Seq(), PairCorpus(), Seq2SeqConfig():
            score, _ = evaluate_pairs(
                [model],
                data.vocab,
                data.valid,
                limit=config.train.eval_limit,
                max_target_length=config.data.max_target_length,
            )
            return score
    raise TypeError(f"{type(model).__name__} cannot be scored on {type(data).__name__}")

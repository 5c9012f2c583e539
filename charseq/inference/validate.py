"""The score of the validation data while a model is trained, whichever task it has."""

from collections.abc import Callable

from charseq.config.schema import Config, LMConfig, Seq2SeqConfig
from charseq.inference.evaluate import evaluate
from charseq.inference.metrics import PairScore, Score
from charseq.inference.pairs import evaluate_pairs
from charseq.models.build import Data, Model
from charseq.models.language_model import LanguageModel
from charseq.models.seq2seq import Seq2Seq
from charseq.text.corpus import Corpus
from charseq.text.pairs import PairCorpus

SLACK = 10  # symbols beyond twice the longest right answer: what is longer is wrong anyhow


def validate(
    model: Model,
    data: Data,
    config: Config,
    *,
    between: Callable[[], object] = lambda: None,
) -> Score | PairScore:
    """Score ``data.valid``: a text in parallel streams, or pairs, converted greedily.

    The right answers of pairs are predicted too, for the loss. Outputs are cut off at twice the
    longest of them and 10 symbols more, if ``data.max_target_length`` does not do it before: a
    model that knows little yet would write on and on.

    ``between`` is called between two batches; what it raises ends the evaluation.
    """
    match model, data, config:
        case LanguageModel(), Corpus(), LMConfig():
            return evaluate(model, data.valid, streams=config.train.batch_size, between=between)
        case Seq2Seq(), PairCorpus(), Seq2SeqConfig():
            longest_answer = int(data.valid.target.lengths.max(initial=1))
            score, _ = evaluate_pairs(
                [model],
                data.vocab,
                data.valid,
                limit=config.train.eval_limit,
                max_target_length=min(config.data.max_target_length, 2 * longest_answer + SLACK),
                between=between,
            )
            return score
    raise TypeError(f"{type(model).__name__} cannot be scored on {type(data).__name__}")

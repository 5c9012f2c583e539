"""How much arithmetic an update of the weights is: its products of matrices, counted by shapes.

Every product of the forward pass comes back twice: for the gradient of its input and for that of
its weights. What padding would add is not counted, nor is what goes element by element. One-hot
symbols are looked up: they need no product.
"""

from charseq.config.schema import Config, LMConfig, Seq2SeqConfig
from charseq.models.build import does_copy
from charseq.models.checkpoint_file import AnyVocab
from charseq.text.corpus import Batch
from charseq.text.pair_batches import PairBatch
from charseq.text.pair_vocab import PairVocab
from charseq.text.vocab import Vocab


def of_update(config: Config, vocab: AnyVocab, batch: Batch | PairBatch) -> int:
    """Floating-point operations of one update."""
    if isinstance(batch, Batch):
        assert isinstance(config, LMConfig)  # noqa: S101
        assert isinstance(vocab, Vocab)  # noqa: S101
        return of_text(config, vocab, batch)
    assert isinstance(config, Seq2SeqConfig)  # noqa: S101
    assert isinstance(vocab, PairVocab)  # noqa: S101
    return of_pairs(config, vocab, batch)


def of_text(config: LMConfig, vocab: Vocab, batch: Batch) -> int:
    """Those of a language model: two for a multiply-add."""
    model = config.model
    hidden, layers = model.hidden_size, model.num_layers
    symbols, streams = batch.inputs.size, batch.inputs.shape[1]
    forward = symbols * _stack(model.embedding_size, hidden, hidden, layers)
    forward += symbols * hidden * vocab.size
    return 2 * (3 * forward - _first_state(streams, hidden, hidden, layers))


def of_pairs(config: Seq2SeqConfig, vocab: PairVocab, batch: PairBatch) -> int:
    """Those of an encoder-decoder."""
    model = config.model
    copying = does_copy(model, vocab)
    hidden, layers, embedding = model.hidden_size, model.num_layers, model.embedding_size
    one_way = hidden // 2 if model.bidirectional else hidden  # units of the encoder's direction
    pairs = len(batch.source_lengths)
    read, written = int(batch.source_lengths.sum()), int(batch.target_lengths.sum())
    seen = int((batch.source_lengths * batch.target_lengths).sum())  # places, by all target steps

    encoder = read * _stack(embedding, hidden, one_way, layers) + 2 * layers * pairs * hidden**2
    decoder = written * _stack(embedding, hidden, hidden, layers)
    spared = _first_state(pairs, hidden, one_way, layers)  # the bridge wants the decoder's
    if model.attention == "monotonic":
        places = batch.source_lengths.astype(int)
        moves = int((places**2 * batch.target_lengths).sum())
        spared += int((places**2).sum())  # the first belief is known
        decoder += written * (2 * hidden**2 + 5 * hidden)  # W h_t, W_c h_t, D h_t
        decoder += seen * (hidden + hidden * vocab.target_size) + moves
        encoder += read * (hidden**2 + (hidden if copying else 0))  # W_c m_s, w m_s
    else:
        decoder += written * hidden * vocab.target_size
    if model.attention in ("dot", "general", "additive"):
        decoder += 2 * seen * hidden + 2 * written * hidden**2  # scores and contexts; h~
    if model.attention in ("general", "additive"):
        decoder += written * hidden**2  # W h_t
    if model.attention == "additive":
        encoder += read * hidden**2  # U m_s
    if copying:
        at_once = hidden if model.attention == "monotonic" else 2 * hidden
        decoder += written * (at_once + (embedding or 0))
    if model.input_feeding:
        decoder += written * 4 * hidden**2
        spared += pairs * 4 * hidden**2
    again = decoder if config.train.scheduled_sampling else 0  # to predict what it will read
    return 2 * (3 * (encoder + decoder) + again - spared)


def _stack(inputs: int | None, hidden: int, one_way: int, layers: int) -> int:
    """Multiply-adds for a symbol, in all directions; ``inputs`` None: one-hot."""
    return 4 * hidden * ((inputs or 0) + (layers - 1) * hidden + layers * one_way)


def _first_state(sequences: int, hidden: int, one_way: int, layers: int) -> int:
    """Multiply-adds that the first step is spared: nobody asks for the gradient of zeros."""
    return sequences * layers * 4 * hidden * one_way

"""The arithmetic that ``charseq bench`` measures a speed by is the one that torch counts."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from charseq.config import config_from_json
from charseq.config.schema import LMConfig, Seq2SeqConfig
from charseq.models.build import build_model
from charseq.models.language_model import LanguageModel
from charseq.models.seq2seq import Seq2Seq
from charseq.reports.bench_flops import of_pairs, of_text
from charseq.text.corpus import Batch
from charseq.text.pair_batches import PairBatch, collate
from charseq.text.pair_vocab import PairVocab
from charseq.text.pairs import Pairs
from charseq.text.ragged import Ragged
from charseq.text.symbols import Symbols
from charseq.text.vocab import Vocab

with warnings.catch_warnings():  # it asks for a compiler of GPU kernels
    warnings.simplefilter("ignore")
    from torch.utils.flop_counter import FlopCounterMode


def counted(loss: Any, one_hot: int = 0) -> int:
    """What torch counts in the forward and the backward pass of the plain equations.

    They multiply one-hot vectors too, forwards and for the gradient of W_ih: ``one_hot``, the
    multiply-adds of either, is taken off.
    """
    with FlopCounterMode(display=False) as counter:
        torch.autograd.backward(loss()[0])
    return int(counter.get_total_flops()) - 2 * 2 * one_hot


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("embedding", [None, 3])
def test_an_update_of_a_language_model(layers: int, embedding: int | None) -> None:
    sizes = {"hidden_size": 7, "num_layers": layers, "embedding_size": embedding}
    data = {"data": {"text": "t"}, "model": {**sizes, "backend": "reference"}}
    config = config_from_json(data, where="the test")
    assert isinstance(config, LMConfig)
    vocab = Vocab("char", tuple("abcde"))
    model = build_model(config, vocab)
    assert isinstance(model, LanguageModel)
    ids = np.random.default_rng(0).integers(5, size=(6, 4))
    batch = Batch(ids[:-1], ids[1:], starts_epoch=True)
    one_hot = 0 if embedding else 20 * 5 * 4 * 7  # characters, symbols, 4H
    assert of_text(config, vocab, batch) == counted(lambda: model.loss(batch, None), one_hot)


def test_by_hand() -> None:
    """One layer of 2 units, 3 symbols, a stream of 5 characters."""
    config = config_from_json({"data": {"text": "t"}, "model": {"hidden_size": 2}}, where="here")
    assert isinstance(config, LMConfig)
    ids = np.zeros((5, 1), np.int64)
    forward = 5 * (8 * 2 + 2 * 3)  # W_hh (8, 2) and W_out (3, 2), for each character
    first = 8 * 2  # the zeros before the first character need no gradient
    vocab = Vocab("char", tuple("abc"))
    assert of_text(config, vocab, Batch(ids, ids, starts_epoch=True)) == 2 * (3 * forward - first)


def pair_batch(sources: list[int], targets: list[int]) -> PairBatch:
    """Pairs of these lengths."""
    rows = len(sources)
    source, target = (Ragged.from_rows([[2] * n for n in side]) for side in (sources, targets))
    return collate(Pairs([], source, target, np.arange(rows)), range(rows))


@pytest.mark.parametrize(
    ("model", "train"),
    [
        ({}, {}),
        ({"num_layers": 2, "embedding_size": 5}, {}),
        ({"bidirectional": False, "attention": "dot"}, {}),
        ({"attention": "none", "num_layers": 2}, {}),
        ({"attention": "additive", "num_layers": 2}, {}),
        ({"copy": True, "embedding_size": 3}, {}),
        ({"copy": True}, {}),
        ({"copy": "auto"}, {}),  # half of the targets are sources: no pointer
        ({"attention": "monotonic"}, {}),
        ({"attention": "monotonic", "copy": True, "embedding_size": 3}, {}),
        ({"input_feeding": True, "num_layers": 2}, {}),
        ({"embedding_size": 4}, {"scheduled_sampling": 0.5}),
    ],
)
def test_an_update_of_a_model_of_pairs(model: dict[str, Any], train: dict[str, Any]) -> None:
    shape = {"hidden_size": 6, "backend": "reference", **model}
    data = {"task": "seq2seq", "data": {"train": "t"}, "model": shape, "train": train}
    config = config_from_json(data, where="the test")
    assert isinstance(config, Seq2SeqConfig)
    vocab = PairVocab(Symbols("", ("a", "b", "c")), Symbols("", ("c", "d")))
    network = build_model(config, vocab)
    assert isinstance(network, Seq2Seq)
    batch = pair_batch([4] * 3, [2] * 3)
    one_hot = 0
    if "embedding_size" not in model:
        one_hot = 3 * 4 * 6 * 4 * vocab.source_size  # pairs, 4H, their symbols
        if "input_feeding" not in model:  # a loop of its own
            one_hot += 3 * 4 * 6 * 3 * vocab.target_size  # with END
    assert of_pairs(config, vocab, batch) == counted(lambda: network.loss(batch, None), one_hot)


def test_padding_is_no_work() -> None:
    config = config_from_json({"task": "seq2seq", "data": {"train": "t"}}, where="here")
    assert isinstance(config, Seq2SeqConfig)
    vocab = PairVocab(Symbols("", ("a",)), Symbols("", tuple("bcdefgh")))
    apart = [of_pairs(config, vocab, pair_batch([s], [t])) for s, t in ((7, 2), (3, 5))]
    assert of_pairs(config, vocab, pair_batch([7, 3], [2, 5])) == sum(apart)

"""Validation while a model is trained."""

from pathlib import Path

import pytest
import torch

from charseq.config.schema.seq2seq import PairDataConfig, Seq2SeqConfig
from charseq.inference.metrics import PairScore
from charseq.inference.validate import validate
from charseq.models.build import build_model
from charseq.models.seq2seq import Seq2Seq
from charseq.text.pairs import load_pairs


@pytest.mark.parametrize(("most", "written"), [(200, 2 * 4 + 10), (9, 9)])
def test_a_model_that_writes_on_and_on_is_cut_off_soon(
    tmp_path: Path, most: int, written: int
) -> None:
    (tmp_path / "train.tsv").write_text("a\txyxy\nb\ty\n")
    (tmp_path / "valid.tsv").write_text("b\txyxy\na\txy\n")
    data = PairDataConfig(
        train=str(tmp_path / "train.tsv"),
        valid=str(tmp_path / "valid.tsv"),
        max_target_length=most,
    )
    config = Seq2SeqConfig(task="seq2seq", data=data)
    corpus = load_pairs(data)
    model = build_model(config, corpus.vocab)
    assert isinstance(model, Seq2Seq)
    with torch.no_grad():
        model.decoder.output.weight.zero_()
        model.decoder.output.bias.copy_(torch.tensor([-1000.0, 0.0, 5.0, 0.0]))  # x and no end
    score = validate(model, corpus, config)
    assert isinstance(score, PairScore)
    # xyxy and xy become x and so many x: all but those two, or that one, are edits.
    assert score.ser == pytest.approx((written - 2 + written - 1) / 6)

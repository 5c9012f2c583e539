"""``charseq eval``, called as the tests call it; and a small run of a text to call it with."""

from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from charseq.cli.eval import evaluate
from charseq.config import config_from_json, dump_config
from charseq.config.schema import LMConfig
from charseq.errors import CharseqError
from charseq.inference.load import load
from charseq.inference.trained_lm import TrainedLanguageModel
from charseq.models.build import build_model
from charseq.models.checkpoint import Checkpoint, write_checkpoint
from charseq.models.checkpoint_file import WEIGHTS
from charseq.text.vocab import Vocab

app = typer.Typer()
app.command()(evaluate)
TEXT = "the cat sat on the mat\n" * 40


def make_checkpoint(folder: Path, vocabulary: str = "char") -> str:
    """A model with random weights; its text is 80 % training, 20 % validation."""
    (folder / "text.txt").write_text(TEXT, newline="")
    settings = {
        "data": {
            "text": str(folder / "text.txt"),
            "split": [0.8, 0.2, 0.0],
            "vocabulary": vocabulary,
        },
        "model": {"hidden_size": 8},
    }
    config = config_from_json(settings, where="a test")
    assert isinstance(config, LMConfig)
    vocab = Vocab.from_counts(dict.fromkeys(TEXT, 1), kind=config.data.vocabulary)
    torch.manual_seed(0)
    parameters = build_model(config, vocab).named_parameters()
    tensors = {WEIGHTS + name: parameter * 4 for name, parameter in parameters}
    extra = {"progress": {"step": 1500}}
    write_checkpoint(folder / "best.safetensors", Checkpoint(config, vocab, tensors, extra))
    (folder / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    return str(folder)


def load_text(run: str) -> TrainedLanguageModel:
    trained = load(run)
    assert isinstance(trained, TrainedLanguageModel)
    return trained


def run(*arguments: str, given: str | None = None, columns: int = 80) -> str:
    runner = CliRunner(env={"COLUMNS": str(columns)})
    result = runner.invoke(app, list(arguments), input=given, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def refused(*arguments: str) -> str:
    with pytest.raises(CharseqError) as caught:
        CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    return str(caught.value)


def predictions(file: Path) -> list[dict[str, str]]:
    """What ``--predictions`` wrote; ``all``: every right answer."""
    header, *lines = file.read_text(encoding="utf-8").splitlines()
    names = header.split("\t")
    rows = [line.split("\t") for line in lines]
    assert len(names) == max(map(len, rows))  # each cell has a name
    first = names.index("reference")
    return [{**dict(zip(names, row, strict=False)), "all": "|".join(row[first:])} for row in rows]

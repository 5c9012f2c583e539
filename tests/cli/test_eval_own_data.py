"""Which files ``charseq eval`` reads: what was named, or what config.yaml says in plain text."""

import json
import os
import shutil
from pathlib import Path

import pytest
from evaluating import app, refused
from pair_runs import PHONES, make_run, train_reversal
from typer.testing import CliRunner

from charseq.config import config_from_json
from charseq.errors import CharseqError
from charseq.inference.load import load_language_model, load_seq2seq
from charseq.models.build import build_model
from charseq.models.checkpoint import Checkpoint, write_checkpoint
from charseq.models.checkpoint_file import WEIGHTS
from charseq.text.vocab import Vocab


def run(*arguments: str) -> dict[str, object]:
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(train_reversal(tmp_path_factory.mktemp("reversal")))


def test_a_checkpoint_alone_reads_nothing_that_was_not_named(tmp_path: Path) -> None:
    """Its configuration names a pipe: whoever opened it would wait forever."""
    run_folder = Path(make_run(tmp_path / "other"))
    os.mkfifo(tmp_path / "other" / "pairs.tsv")
    alone = tmp_path / "alone.safetensors"
    shutil.copy(run_folder / "best.safetensors", alone)
    assert refused(str(alone)) == (
        f"{alone}: there is no config.yaml beside it, and paths inside a checkpoint are not"
        " followed; name what to score with --data FILE"
    )
    assert "no config.yaml beside it" in refused(str(alone), "--split", "test")
    trained = load_seq2seq(alone)
    with pytest.raises(CharseqError, match=r"no config\.yaml beside it"):
        trained.split_pairs("valid")
    own = tmp_path / "own.tsv"
    own.write_text("abc\tABC\n")
    assert run(str(alone), "--data", str(own))["accuracy"] == 0.0


def test_a_text_model_alone_reads_nothing_either(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "text.txt")
    config = config_from_json({"data": {"text": str(tmp_path / "text.txt")}}, where="a test")
    vocab = Vocab.from_counts({"a": 1, "b": 1})
    model = build_model(config, vocab)
    tensors = {WEIGHTS + name: weight for name, weight in model.state_dict().items()}
    alone = tmp_path / "alone.safetensors"
    write_checkpoint(alone, Checkpoint(config, vocab, tensors, {}))
    assert "no config.yaml beside it" in refused(str(alone))
    with pytest.raises(CharseqError, match=r"no config\.yaml beside it"):
        load_language_model(alone).evaluate()
    assert run(str(alone), "--text", "abab")["characters"] == 3


def test_to_convert_a_source_without_tags_looks_at_no_file_of_a_checkpoint_alone(
    tmp_path: Path,
) -> None:
    """Beside a config.yaml it does, to say which tags are missing."""
    run_folder = Path(make_run(tmp_path / "other", PHONES))
    (run_folder / "pairs.tsv").write_text("ab\ta b\tV;PL\n")
    assert load_seq2seq(run_folder).usual_tags == ("V", "PL")
    alone = tmp_path / "alone.safetensors"
    shutil.copy(run_folder / "best.safetensors", alone)
    assert load_seq2seq(alone).usual_tags is None


def test_a_run_folder_reads_what_its_configuration_says(trained: Path, tmp_path: Path) -> None:
    """Not what the checkpoint says: the text of config.yaml is what a person can look at."""
    moved = tmp_path / "moved"
    shutil.copytree(trained, moved)
    data = tmp_path / "elsewhere.tsv"
    shutil.copy(trained.parent / "reversals.tsv", data)
    config = (moved / "config.yaml").read_text()
    old = str(trained.parent / "reversals.tsv")
    assert old in config
    (moved / "config.yaml").write_text(config.replace(old, str(tmp_path / "gone.tsv")))
    assert "gone.tsv: there is no such file" in refused(str(moved))
    (moved / "config.yaml").write_text(config.replace(old, str(data)))
    whole = run(str(trained))
    assert run(str(moved))["accuracy"] == whole["accuracy"]
    assert run(str(moved / "best.safetensors"))["accuracy"] == whole["accuracy"]
    (moved / "config.yaml").unlink()
    assert "there is no config.yaml beside it" in refused(str(moved))


def test_a_configuration_of_another_task(trained: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(trained, mixed)
    (mixed / "config.yaml").write_text("data: {text: a.txt}\n")
    assert "config.yaml: is of another task than the checkpoint" in refused(str(mixed))

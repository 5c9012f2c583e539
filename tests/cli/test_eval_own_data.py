"""Which files ``charseq eval`` reads: what was named, or what config.yaml says in plain text."""

import json
import os
import shutil
from pathlib import Path

import pytest
import typer
from pair_runs import make_run, train_reversal
from typer.testing import CliRunner

from charseq.cli.eval import evaluate
from charseq.errors import CharseqError

app = typer.Typer()
app.command()(evaluate)


def run(*arguments: str) -> dict[str, object]:
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def refused(*arguments: str) -> str:
    with pytest.raises(CharseqError) as caught:
        CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    return str(caught.value)


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
        f"{alone}: a checkpoint alone, and paths inside a checkpoint are not followed; name what"
        " to score with --data FILE"
    )
    assert "a checkpoint alone" in refused(str(alone), "--split", "test")
    own = tmp_path / "own.tsv"
    own.write_text("abc\tABC\n")
    assert run(str(alone), "--data", str(own))["accuracy"] == 0.0


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
    assert "there is no config.yaml in it" in refused(str(moved))


def test_a_configuration_of_another_task(trained: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(trained, mixed)
    (mixed / "config.yaml").write_text("data: {text: a.txt}\n")
    assert "config.yaml: is of another task than the checkpoint" in refused(str(mixed))

"""``charseq sample`` with a model of pairs, called as the tests call it."""

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from charseq.cli.sample import sample
from charseq.errors import CharseqError
from charseq.inference.load import load
from charseq.inference.trained_seq2seq import TrainedSeq2Seq

app = typer.Typer()
app.command()(sample)
PROGRAM = "import typer; from charseq.cli.sample import sample; typer.run(sample)"


def load_pairs(run: str, *others: str) -> TrainedSeq2Seq:
    trained = load(run, *others)
    assert isinstance(trained, TrainedSeq2Seq)
    return trained


def targets(run: str, *sources: str, **options: Any) -> str:
    return "".join(f"{c.outputs[0].text}\n" for c in load_pairs(run).convert(sources, **options))


def run(*arguments: str, given: bytes | None = None) -> str:
    result = CliRunner().invoke(app, list(arguments), input=given, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    assert not result.stderr.replace(notice(result.stderr), "")
    return result.stdout_bytes.decode()


def notice(errors: str) -> str:
    """Most outputs of random weights do not end; that is said once."""
    return errors if errors.startswith("note: ") and errors.count("\n") == 1 else ""


def refused(*arguments: str, given: bytes | None = None) -> str:
    with pytest.raises(CharseqError) as caught:
        CliRunner().invoke(app, list(arguments), input=given, catch_exceptions=False)
    return str(caught.value)

"""How sure a model of pairs is of each answer, as ``charseq sample`` says it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pair_runs import LONGEST, make_run
from pair_sampling import load_pairs, run, targets

from charseq.cli.confidence import confidence, percent
from charseq.inference.trained_seq2seq import Output
from charseq.text.pair_vocab import END

pytest_plugins = ["pair_models"]


def test_how_sure_the_model_is_of_each_target(letters: str) -> None:
    """A column where it is asked for; a terminal is shown it, a pipe is not."""
    trained = load_pairs(letters)
    outputs = [c.outputs[0] for c in trained.convert(["abc", "deé"])]
    shown = run(letters, "abc", "deé", "--confidence").splitlines()
    assert [line.split("\t")[0] for line in shown] == [output.text for output in outputs]
    sure = [float(line.split("\t")[1]) for line in shown]
    assert sure == pytest.approx([math.exp(output.log_probability) for output in outputs], rel=1e-5)
    records = json.loads(run(letters, "abc", "deé", "--json"))
    assert [record["outputs"][0]["probability"] for record in records] == pytest.approx(sure, 1e-5)
    columns = run(letters, "abc", "--n-best", "2", "--confidence").splitlines()
    for line in columns:
        nats, probability = map(float, line.split("\t")[-2:])
        assert probability == pytest.approx(math.exp(nats), rel=1e-3)
    assert run(letters, "abc", "deé", "--no-confidence") == targets(letters, "abc", "deé")


def test_an_ensemble_is_as_sure_as_the_mean_of_its_models(letters: str, tmp_path: Path) -> None:
    """At every symbol: the product of the means, which is not the mean of the products."""
    other = make_run(tmp_path, seed=1)
    line = run(letters, "--ensemble", other, "abc", "--beam", "1", "--confidence")
    text, probability = line.removesuffix("\n").split("\t")
    trained = load_pairs(letters, other)
    source = torch.from_numpy(trained.vocab.encode_source("abc", ()))[:, None]
    ids = trained.vocab.encode_target(text)
    expected = 1.0
    for at in range(min(len(ids) + 1, LONGEST)):
        read = torch.tensor([END, *ids.tolist()[:at]])[:, None]
        with torch.no_grad():
            each = [model(source, torch.tensor([3]), read)[-1, 0] for model in trained.models]
        mean = sum(scores.double().softmax(-1) for scores in each) / 2
        expected *= float(mean[ids[at] if at < len(ids) else END])
    assert float(probability) == pytest.approx(expected, rel=1e-5)


def test_percent_claims_no_certainty_that_there_is_not() -> None:
    cases = {1.0: "100.0%", 0.99951: ">99.9%", 0.9994: "99.9%", 0.5: "50.0%", 0.0004: "<0.1%"}
    for probability, shown in cases.items():
        assert percent(math.log(probability)) == shown
    assert percent(-math.inf) == "0.0%"
    cut = Output("a", ["a"], math.log(0.25), finished=False, attention=None)
    assert confidence(cut) == "at most 25.0%"
    assert confidence(replace(cut, finished=True)) == "25.0%"

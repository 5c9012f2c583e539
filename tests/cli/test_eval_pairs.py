"""``charseq eval`` with models of pairs: the rates, the errors, the files."""

import json
import math
import re
from pathlib import Path

import pytest
from evaluating import app, predictions, refused, run
from pair_runs import PHONES, make_run, reversals, train_reversal
from rich.console import Console
from typer.testing import CliRunner

from charseq.cli.eval_errors import show_errors
from charseq.config.schema.seq2seq import PairDataConfig
from charseq.inference.load import load
from charseq.inference.pairs import Judged
from charseq.inference.trained_seq2seq import TrainedSeq2Seq
from charseq.text.pairs import Example, read_pairs


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that is right about some sources, and wrong about others."""
    return train_reversal(tmp_path_factory.mktemp("half"))


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model of random weights that reads tags."""
    folder = tmp_path_factory.mktemp("phones")
    (folder / "more.tsv").write_text(
        "ab\ta b\tN;PL\nab\ta a\tN;PL\ncd\tt͡ʃ x\tV\nzd\teː\tN\nd\tb b\t\n"
    )
    return make_run(folder, PHONES)


def load_pairs(run: str, *others: str) -> TrainedSeq2Seq:
    trained = load(run, *others)
    assert isinstance(trained, TrainedSeq2Seq)
    return trained


def facts(shown: str) -> dict[str, str]:
    return dict(re.findall(r"^(\S.*?)  +(\S.*?) *$", shown, re.MULTILINE))


def distance(one: str, other: str) -> int:
    """Levenshtein's distance, in the way of his recurrence."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, right in enumerate(other, 1):
            before, row[j] = row[j], min(before + (left != right), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def test_the_rates_are_those_of_the_predictions(half: str, tmp_path: Path) -> None:
    file = tmp_path / "out.tsv"
    result = json.loads(run(half, "--predictions", str(file), "--json"))
    rows = predictions(file)
    assert {row["source"] for row in rows} < {line.split("\t")[0] for line in reversals()}
    assert len(rows) == result["pairs"] == result["available"] == round(0.4 * len(reversals()))
    assert all(row["source"][::-1] == row["reference"] == row["all"] for row in rows)
    right = [row["prediction"] == row["reference"] for row in rows]
    assert 0 < sum(right) < len(rows), "the model is to be half trained"
    assert [row["right"] for row in rows] == [str(int(is_right)) for is_right in right]
    edits = [distance(row["prediction"], row["reference"]) for row in rows]
    assert [row["edits"] for row in rows] == [str(count) for count in edits]
    assert result["accuracy"] == pytest.approx(sum(right) / len(rows))
    assert result["wer"] == pytest.approx(1 - sum(right) / len(rows))
    symbols = sum(len(row["reference"]) for row in rows)
    assert result["ser"] == pytest.approx(sum(edits) / symbols)
    assert result["symbols"] == symbols + len(rows)  # and the end of each
    converted = load_pairs(half).convert(row["source"] for row in rows)
    for row, conversion in zip(rows, converted, strict=True):
        assert row["prediction"] == conversion.outputs[0].text
        assert row["log-probability"] == f"{conversion.outputs[0].log_probability:.4f}"


def test_what_is_shown_is_what_json_says(half: str) -> None:
    result = json.loads(run(half, "--json"))
    shown = facts(run(half, columns=200))
    right = round(result["accuracy"] * result["pairs"])
    accuracy = f"{100 * result['accuracy']:.2f}%"
    assert shown["accuracy"] == f"{accuracy}, {right} of {result['pairs']} sources"
    assert shown["word error rate (WER)"] == f"{100 * result['wer']:.2f}%"
    assert shown["symbol error rate (SER)"] == f"{100 * result['ser']:.2f}%"
    assert shown["nats per symbol"] == f"{result['nats']:.4f}, over {result['symbols']}"
    assert shown["unseen symbols"] == "0 in sources, 0 in answers"
    assert shown["search"] == "beam 3"
    assert shown["data"] == "valid pairs of the run"
    assert shown["checkpoint"] == f"{result['checkpoint']}, step 70"


def test_options_of_the_search_reach_it(half: str) -> None:
    trained = load_pairs(half)
    pairs = trained.split_pairs("valid")
    for options, arguments in (
        ({"beam": 1}, ["--beam", "1"]),
        ({"length_penalty": 9.0}, ["--length-penalty", "9"]),
        ({"limit": 7}, ["--limit", "7"]),
    ):
        score, _ = trained.evaluate(pairs, **options)
        result = json.loads(run(half, *arguments, "--json"))
        assert {name: result[name] for name in score.to_json()} == score.to_json()
    assert (
        facts(run(half, "--limit", "7"))["data"] == f"valid pairs of the run, {len(pairs)} sources"
    )
    assert facts(run(half, "--beam", "2", "--length-penalty", "1"))["search"] == (
        "beam 2, length penalty 1"
    )


def test_an_ensemble_is_scored_together(half: str, tmp_path: Path) -> None:
    other = str(Path(half) / "last.safetensors")
    twice = json.loads(run(half, "--ensemble", other, "--json"))
    once = json.loads(run(half, "--json"))
    assert twice["ensemble"] == [other]
    assert twice["nats"] == pytest.approx(once["nats"])  # of a model and itself
    assert "ensemble with" in run(half, "--ensemble", other)
    stranger = make_run(tmp_path)
    assert "are trained on the same pairs" in refused(half, "--ensemble", stranger)


def test_a_file_with_several_answers_tags_and_strangers(phones: str, tmp_path: Path) -> None:
    data, out = str(Path(phones) / "more.tsv"), tmp_path / "out.tsv"
    result = json.loads(run(phones, "--data", data, "--predictions", str(out), "--json"))
    assert (result["pairs"], result["unseen_source"], result["unseen_target"]) == (4, 1, 1)
    assert (result["data"], result["split"]) == (data, None)
    rows = predictions(out)
    assert [row["source"] for row in rows] == ["ab", "cd", "zd", "d"]
    assert [row["features"] for row in rows] == ["N;PL", "V", "N", ""]
    assert [row["all"] for row in rows] == ["a b|a a", "t͡ʃ x", "eː", "b b"]
    assert "more.tsv:4: 'z' (U+007A" in refused(phones, "--data", data, "--unknown", "error")
    replaced = json.loads(run(phones, "--data", data, "--unknown", "replace", "--json"))
    assert replaced["nats"] != result["nats"]
    assert "no such file" in refused(phones, "--data", str(tmp_path / "none.tsv"))


def test_wrong_lines_of_a_file_are_refused_or_left_out_and_counted(
    half: str, tmp_path: Path
) -> None:
    data, good = tmp_path / "wro\x1bng.tsv", tmp_path / "good.tsv"
    good.write_text("ab\tba\ncab\tbac\n")
    data.write_text(f"ab\tba\nab\tba\nno tab\na\t{'a' * 99}\nab\tba\ncab\tbac\n")
    message = refused(half, "--data", str(data)).split("\n")
    assert [line.split(":")[1] for line in message[:-1]] == ["2", "3", "4", "5"]
    assert message[-1] == "correct them, or leave them out and count them with --skip-errors"
    runner = CliRunner(env={"COLUMNS": "80"})
    arguments = [half, "--data", str(data), "--skip-errors", "--json"]
    result = runner.invoke(app, arguments, catch_exceptions=False)
    folder = str(tmp_path)
    assert result.stderr == (
        f"note: left out of {folder}/wro\\x1bng.tsv: duplicate 2, no tab 1, long target 1\n"
    )
    report = json.loads(result.stdout)
    assert report.pop("skipped") == {"duplicate": 2, "no tab": 1, "long target": 1}
    expected = json.loads(run(half, "--data", str(good), "--skip-errors", "--json"))
    assert expected.pop("skipped") == {}
    assert (report.pop("data"), expected.pop("data")) == (str(data), str(good))
    assert report == expected
    assert report["pairs"] == 2


def test_pairs_are_read_again_from_predictions(phones: str, tmp_path: Path) -> None:
    data, out = str(Path(phones) / "more.tsv"), tmp_path / "out.tsv"
    run(phones, "--data", data, "--predictions", str(out))
    trained = load_pairs(phones)
    again = PairDataConfig(
        train=str(out),
        source_column="source",
        target_column="reference",
        features_column="features",
        further_targets=True,
        target_separator=" ",
    )
    examples = read_pairs(str(out), again, trained.vocab).examples
    assert examples == trained.file_pairs(data).examples
    assert examples[0] == Example("ab", ("N", "PL"), ("a b", "a a"))


def test_groups_by_length_and_by_tag(half: str, phones: str) -> None:
    lines = [line.split() for line in run(half, "--by", "length").splitlines()]
    groups = [line for line in lines if line and line[0].isdigit()]
    assert [line[0] for line in groups] == ["1", "2", "3", "4"]
    assert sum(int(line[1]) for line in groups) == 34
    data = str(Path(phones) / "more.tsv")
    result = json.loads(run(phones, "--data", data, "--by", "tag", "--json"))
    counts = {group["name"]: group["count"] for group in result["by"]["tag"]}
    assert counts == {"N": 2, "PL": 1, "V": 1, "(none)": 1}
    result = json.loads(run(phones, "--data", data, "--by", "bundle", "--json"))
    bundles = {group["name"]: group["count"] for group in result["by"]["bundle"]}
    assert bundles == {"(none)": 1, "N": 1, "N;PL": 1, "V": 1}
    for by in ("tag", "bundle"):
        assert f"--by {by}: this model reads no tags" in refused(half, "--by", by)


def test_pairs_that_the_model_was_trained_on_are_no_test(half: str, tmp_path: Path) -> None:
    """They are judged, with a warning: the file itself, and one of the same bytes."""
    original, copy = Path(half).parent / "reversals.tsv", tmp_path / "copy.tsv"
    copy.write_bytes(original.read_bytes())
    others = tmp_path / "others.tsv"
    others.write_bytes(original.read_bytes() + b"aabbcc\tccbbaa\n")
    runner = CliRunner()
    for file, is_warned in ((original, True), (copy, True), (others, False)):
        arguments = [half, "--data", str(file), "--limit", "5"]
        result = runner.invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0
        assert result.stderr == is_warned * (
            f"warning: {file}: the model was trained on this file; it may do worse on other pairs\n"
        )


def test_the_part_that_was_trained_on_is_judged_when_asked(half: str, tmp_path: Path) -> None:
    sources = {}
    for split in ("train", "valid"):
        file = tmp_path / split
        result = json.loads(run(half, "--split", split, "--predictions", str(file), "--json"))
        assert result["split"] == split
        sources[split] = [row["source"] for row in predictions(file)]
    assert len(sources["train"]) == round(0.6 * len(reversals()))
    assert sorted(sources["train"] + sources["valid"]) == [
        line.split("\t")[0] for line in reversals()
    ]
    assert facts(run(half, "--split", "train", columns=200))["data"] == "train pairs of the run"


def judged(prediction: str, reference: str, edits: int, p: float = 0.5) -> Judged:
    source = f"source of {reference}"
    return Judged(
        example=Example(source, (), (reference,)),
        source_length=len(source),
        prediction=prediction,
        symbols=tuple(prediction),
        edits=edits,
        reference=tuple(reference),
        right=not edits,
        log_probability=math.log(p),
    )


def test_the_worst_are_shown_with_carets_below_what_differs() -> None:
    console = Console(width=60, color_system=None)
    every = [
        judged("right", "right", 0, 0.9),
        judged("one", "ore", 1, 0.25),
        judged("1979-5-04", "1979-05-03", 2),
        judged("owe", "ore", 1, 0.9998),
        judged("\x1b a", "\x1b b", 1, 0.1),
    ]
    with console.capture() as captured:
        show_errors(console, every, 4, spaced=False)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    assert lines[:5] == [
        "1. 2 edits of 10 symbols, probability 50.0%",
        "source      source of 1979-05-03",
        "prediction  1979- 5-04",
        "right       1979-05-03",
        "                 ^   ^",
    ]
    assert [line for line in lines if re.match(r"\d\. 1 edit of", line)] == [
        "2. 1 edit of 3 symbols, probability >99.9%",
        "3. 1 edit of 3 symbols, probability 25.0%",
        "4. 1 edit of 3 symbols, probability 10.0%",
    ]
    assert r"prediction  \x1b a" in lines
    expected = "commonest mistakes: '0' left out 1, '4' for '3' 1, 'a' for 'b' 1,"
    assert expected in " ".join(lines)


def test_the_worst_are_shown_in_color_where_there_is_some() -> None:
    console = Console(width=60, force_terminal=True, color_system="standard")
    with console.capture() as captured:
        show_errors(console, [judged("one", "ore", 1)], 4, spaced=False)
    shown = captured.get()
    assert "o\x1b[37;41mn\x1b[0me" in shown  # white on red
    assert "o\x1b[30;42mr\x1b[0me" in shown  # black on green
    assert "^" not in shown


def test_errors_as_json_and_on_the_screen_are_the_same(half: str) -> None:
    result = json.loads(run(half, "--errors", "3", "--json"))
    assert len(result["errors"]) == 3
    edits = [error["edits"] for error in result["errors"]]
    assert edits == sorted(edits, reverse=True)
    for error in result["errors"]:
        assert error["references"] == [error["source"][::-1]]
        sides = [
            "".join(symbol for piece in error["pieces"] for symbol in piece[side])
            for side in ("predicted", "reference")
        ]
        assert sides == [error["prediction"], error["references"][0]]
    lines = run(half, "--errors", "3").splitlines()
    sources = [line.split()[1] for line in lines if line.startswith("source ")]
    assert sources == [error["source"] for error in result["errors"]]
    total = sum(confusion["count"] for confusion in result["confusions"])
    assert total == round(result["ser"] * (result["symbols"] - result["pairs"]))


def test_what_does_not_go_together_is_refused(half: str, tmp_path: Path) -> None:
    for arguments, message in (
        (["--data", "f", "--split", "test"], "choose one: --data or --split"),
        (["--text", "a"], "--text: is for language models, and this run converts pairs"),
        (["--window", "3"], "--window: is for language models"),
        (["-"], "eval: '-' is a text for a language model; this run converts pairs, so name a "),
        (["foo"], "eval: 'foo' is one argument too many; a file of pairs is given as --data FILE"),
        (["--skip-errors"], "--skip-errors: is for the lines of another file; add --data FILE"),
        (["--split", "test"], "the run has no test pairs"),
        (["--predictions", str(tmp_path)], "is a folder"),
    ):
        assert message in refused(half, *arguments)


def test_columns_in_another_order_are_suspected(half: str, tmp_path: Path) -> None:
    strange, known = tmp_path / "strange.tsv", tmp_path / "known.tsv"
    strange.write_text("ξ\ta\nζ\tb\na\ta\n")
    known.write_text("ξ\ta\nb\tb\na\ta\n")
    said = [
        CliRunner().invoke(app, [half, "--data", str(file), "--unknown", "replace"]).stderr
        for file in (strange, known)
    ]
    assert said[0].startswith("warning: 2 of 3 sources hold symbols or tags that training lacked")
    assert "training lacked" not in said[1]


def test_a_header_in_a_file_that_has_none_by_the_run_is_told(half: str, tmp_path: Path) -> None:
    headed = tmp_path / "headed.tsv"
    headed.write_text("source\ttarget\nab\tba\n")
    told = "headed.tsv:1: looks like a header, and is read as a pair: source, target"
    assert told in CliRunner().invoke(app, [half, "--data", str(headed)]).stderr
    headed.write_text("ab\tba\n")
    assert told not in CliRunner().invoke(app, [half, "--data", str(headed)]).stderr

"""``charseq eval`` on the run's own text, on files, on a line, for people and for scripts."""

import json
import math
import re
from pathlib import Path

import pytest
from evaluating import TEXT, app, load_text, make_checkpoint, refused, run
from rich.console import Console
from typer.main import get_command
from typer.testing import CliRunner

import charseq.cli.eval_text as command
from charseq.config import load_config
from charseq.config.schema.lm import TextDataConfig
from charseq.errors import CharseqError
from charseq.inference.calibration import BINS
from charseq.inference.dynamic import DECAY, LEARNING_RATES, SEGMENT
from charseq.inference.novelty import CHARACTERS

pytest_plugins = ["text_models"]


def test_the_validation_text_is_scored_with_its_state_carried_through(run_folder: str) -> None:
    score = load_text(run_folder).evaluate()
    shown = dict(re.findall(r"^(\S.*?)  +(\S.*?) *$", run(run_folder), re.MULTILINE))
    assert shown["nats per character"] == f"{score.nats:.4f}"
    assert shown["bits per character"] == f"{score.nats / math.log(2):.4f}"
    assert shown["perplexity"] == f"{math.exp(score.nats):.3f}"
    assert shown["accuracy"] == f"{100 * score.accuracy:.2f}%"
    assert shown["characters scored"] == "183"
    assert shown["convention"] == "stateful"
    assert run_folder[:20] in shown["checkpoint"]
    assert "step 1,500" in run(run_folder).replace("\n", "").replace("  ", "")


def test_json_says_what_was_scored_and_how(run_folder: str) -> None:
    score = load_text(run_folder).evaluate(window=16)
    assert json.loads(run(run_folder, "--window", "16", "--json")) == {
        **score.to_json(),
        "convention": "window",
        "window": 16,
        "data": "valid text of the run",
        "checkpoint": f"{run_folder}/best.safetensors",
        "step": 1500,
    }


def test_a_text_is_named_and_that_of_the_training_with_a_warning(
    run_folder: str, tmp_path: Path
) -> None:
    own = load_config(Path(run_folder, "config.yaml")).data
    assert isinstance(own, TextDataConfig)
    other = tmp_path / "other.txt"
    other.write_text("the cat sat on the mat\n")
    for file, is_warned in ((own.text, True), (str(other), False)):
        result = CliRunner().invoke(app, [run_folder, "--data", file, "--json"])
        assert json.loads(result.stdout)["data"] == file
        assert result.stderr == is_warned * (
            f"warning: {file}: the model was trained on this text; it may do worse on others\n"
        )
    assert re.search(r"^data +valid text of the run *$", run(run_folder), re.MULTILINE)


def test_the_training_text_is_scored_when_asked(run_folder: str, tmp_path: Path) -> None:
    file = tmp_path / "part.txt"
    file.write_text(TEXT[: round(0.8 * len(TEXT))], newline="")
    expected = load_text(run_folder).evaluate(file.read_text()).to_json()
    result = json.loads(run(run_folder, "--split", "train", "--json"))
    assert {name: result[name] for name in expected} == expected
    assert result["characters"] == 735  # 40 lines of 23 characters; the first one has no context


def test_a_file_and_a_pipe_are_scored_alike(run_folder: str, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("\ufeffon the mat\n", encoding="utf-8")
    expected = load_text(run_folder).evaluate("on the mat\n").to_json()
    for arguments, given in (
        (["--data", str(other)], None),
        (["--data", "-"], "on the mat\n"),
        (["-"], "on the mat\n"),
    ):
        result = json.loads(run(run_folder, *arguments, "--json", given=given))
        assert {name: result[name] for name in expected} == expected


def test_a_file_without_a_name_is_not_standard_input(run_folder: str) -> None:
    result = CliRunner().invoke(app, [run_folder, "--data", ""], input="on the mat\n")
    assert isinstance(result.exception, CharseqError)


def test_what_each_character_of_a_line_costs(run_folder: str) -> None:
    nats = load_text(run_folder).surprisal("the cat\n")
    lines = run(run_folder, "--text", "the cat\n").split("\n")
    table = [line.split("\t") for line in lines[: lines.index("")]]
    assert [character for character, _ in table] == [*"the cat", "\\n"]
    assert [bits for _, bits in table] == ["-", *(f"{cost / math.log(2):.3f}" for cost in nats)]
    result = json.loads(run(run_folder, "--text", "the cat\n", "--json"))
    assert [item["character"] for item in result["text"]] == list("the cat\n")
    assert result["text"][0]["nats"] is None
    assert [item["nats"] for item in result["text"][1:]] == pytest.approx(nats)


def test_characters_left_out_cost_nothing(run_folder: str) -> None:
    message = refused(run_folder, "--text", "the µcat")
    assert "'µ' (U+00B5 MICRO SIGN) at position" in message
    result = json.loads(run(run_folder, "--text", "the µcat", "--unknown", "skip", "--json"))
    costs = {item["character"]: item["nats"] for item in result["text"]}
    assert costs["µ"] is None
    nats = load_text(run_folder).surprisal("the cat")
    assert [costs[character] for character in "cat"] == pytest.approx(nats[-3:])


def test_how_many_characters_were_left_out_is_told(run_folder: str, tmp_path: Path) -> None:
    text = tmp_path / "strange.txt"
    text.write_text("the µcat sat on ößthe mat\n")
    for arguments, name in ((["--data", str(text)], str(text)), (["-"], "standard input")):
        command = [run_folder, *arguments, "--unknown", "skip"]
        result = CliRunner().invoke(app, command, input=text.read_text())
        told = f"note: left out of {name}: 3 characters that the model does not know\n"
        assert result.stderr == told
    text.write_text("the cat\n")
    assert run(run_folder, "--data", str(text), "--unknown", "skip")  # nothing on standard error


def test_a_character_of_several_bytes_costs_what_they_cost(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, "byte")
    nats = load_text(folder).surprisal("é→a")
    result = json.loads(run(folder, "--text", "é→a", "--json"))
    expected = [nats[0], nats[1:4].sum(), nats[4]]
    assert [item["nats"] for item in result["text"]] == pytest.approx(expected)
    assert "bytes scored" in run(folder, "--text", "é→a")


def test_color_follows_the_surprise(run_folder: str) -> None:
    console = Console(force_terminal=True, color_system="256", width=80)
    with console.capture() as captured:
        command._show_costs(console, [("t", None), ("h", 0.1), ("\x1b", 9.0 * math.log(2))])
    shown = captured.get()
    assert command._shade(0.1) != command._shade(9.0)
    assert "\x1b[30;42mh" in shown  # black on green
    assert "\\x1b" in shown  # a control character is named, not obeyed
    assert "up to 1" in shown
    assert "more" in shown


def test_one_text_at_a_time(run_folder: str, tmp_path: Path) -> None:
    for two in (
        ["--data", "f", "--text", "t"],
        ["-", "--text", "t"],
        ["--data", "f", "--split", "valid"],
    ):
        assert "choose one text" in refused(run_folder, *two)
    assert "it goes without --window" in refused(run_folder, "--text", "ab", "--window", "3")
    assert "'f' is one argument too many" in refused(run_folder, "f")


def test_texts_that_cannot_be_scored(run_folder: str, tmp_path: Path) -> None:
    assert "needs at least 2" in refused(run_folder, "--text", "a")
    assert "no test text" in refused(run_folder, "--split", "test")
    assert "there is no such file" in refused(run_folder, "--data", str(tmp_path / "none"))
    (tmp_path / "text.txt").unlink()
    assert "text.txt" in refused(run_folder)
    (tmp_path / "greek.txt").write_text("the cat\nαβ", encoding="utf-8")
    assert "greek.txt: 'α'" in refused(run_folder, "--data", str(tmp_path / "greek.txt"))


def test_options_for_pairs_are_refused(run_folder: str) -> None:
    for option, *value in (
        ("--beam", "2"),
        ("--by", "length"),
        ("--errors", "1"),
        ("--skip-errors",),
    ):
        message = refused(run_folder, option, *value)
        assert message == f"{option}: is for models of pairs; this run is a language model"


def test_help_shows_an_example() -> None:
    shown = " ".join(run("--help").split())
    assert "Example: charseq eval runs/dates --split test --errors 10" in shown
    assert "Example: charseq eval runs/stdlib --data" in shown


def test_what_the_help_says_of_defaults_is_so() -> None:
    """The options are written down without torch, which those who know the defaults import."""
    said = {one.opts[0]: getattr(one, "show_default", "") for one in get_command(app).params}
    assert said["--bins"] == str(BINS)
    assert said["--characters"] == str(CHARACTERS)
    assert said["--segment"] == str(SEGMENT)
    assert float(said["--decay"]) == DECAY
    rates = dict(rate.split() for rate in said["--learning-rate"].split(", "))
    assert {rule: float(rate) for rule, rate in rates.items()} == LEARNING_RATES
    assert said["--rule"] == next(iter(rates))

"""``charseq gradcheck`` as someone types it who wants to know which gradient is wrong."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from charseq.cli.gradcheck import Backend, FaultName, gradcheck
from charseq.errors import CharseqError
from charseq.lstm.faults import FAULTS
from charseq.lstm.layer import BACKENDS

app = typer.Typer(rich_markup_mode="rich")
app.command()(gradcheck)


def run(*arguments: str, columns: int = 80) -> Result:
    env = {"COLUMNS": str(columns), "TERM": "dumb"}
    return CliRunner(env=env).invoke(app, arguments, catch_exceptions=False)


def as_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def test_the_manual_backward_pass_is_shown_to_be_right() -> None:
    result = run()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == [
        "parameter", "gate", "|gradient|", "vs", "autograd", "vs", "differences"
    ]  # fmt: skip
    assert len([line for line in lines if line.endswith("ok")]) == 29
    assert lines[1].split()[:2] == ["weight_ih_l0", "i"]
    assert lines[-1] == "PASSED: all 29 gradients are right (manual, float64)"
    assert result.stderr == ""


@pytest.mark.parametrize("fault", list(FaultName))
def test_a_fault_is_located_and_explained(fault: str) -> None:
    result = run("--fault", fault)
    assert result.exit_code == 1
    output = result.stdout
    assert "\x1b" not in output  # nothing is said by colour alone
    assert max(map(len, output.splitlines())) <= 80
    assert "WRONG" in output
    assert "FAILED: " in output
    spoken = " ".join(output.split())
    for sentence in (FAULTS[fault].listing, FAULTS[fault].right, FAULTS[fault].mend):
        assert sentence in spoken


def test_the_gates_that_are_wrong_are_listed() -> None:
    lines = [line.rstrip() for line in run("--fault", "ones-initial-state").stdout.splitlines()]
    assert "FAILED: 7 of 16 gradients are wrong (listing, float64)" in lines
    assert "  wrong  weight_ih_l0 (f), weight_hh_l0 (i, f, g, o), bias_ih_l0 (f), h_0" in lines


def test_json_holds_the_whole_report() -> None:
    report = as_json("--num-layers", "1", "--hidden-size", "3")
    assert report["passed"] is True
    assert report["fault"] is None
    assert {row["parameter"] for row in report["rows"]} >= {"weight_hh_l0", "weight_out", "x"}
    assert run("--fault", "tanh-of-raw-cell", "--json").exit_code == 1
    report = as_json("--fault", "tanh-of-raw-cell")
    assert report["passed"] is False
    assert report["fault"]["name"] == "tanh-of-raw-cell"
    right = [row["parameter"] for row in report["rows"] if row["passed"]]
    assert right == ["weight_out", "bias_out"]


def test_options_change_what_is_checked() -> None:
    float32 = as_json("--dtype", "float32", "--backend", "reference")
    assert (float32["backend"], float32["dtype"]) == ("reference", "float32")
    assert all(row["numeric_error"] is None for row in float32["rows"])
    assert "allowed" in run("--dtype", "float32").stdout
    small, other = as_json("--seq-len", "1"), as_json("--seq-len", "1", "--seed", "1")
    assert small["rows"][0]["size"] != other["rows"][0]["size"]
    assert "weight_ih_l2" in run("--num-layers", "3").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fault", "x"], list(FAULTS)),
        (["--backend", "cudnn"], list(BACKENDS)),
        (["--dtype", "int8"], ["float64", "float32"]),
        (["--seq-len", "0"], ["--seq-len", "1"]),
    ],
)
def test_a_wrong_choice_names_the_right_ones(arguments: list[str], words: list[str]) -> None:
    result = run(*arguments, columns=200)
    assert result.exit_code == 2
    assert all(word in result.stderr for word in words)


@pytest.mark.parametrize(
    "extra", [["--backend", "torch"], ["--dtype", "float32"], ["--num-layers", "2"]]
)
def test_a_fault_takes_no_option_that_it_would_ignore(extra: list[str]) -> None:
    with pytest.raises(CharseqError, match=f"^{extra[0]}: goes without --fault"):
        run("--fault", "tanh-of-raw-cell", *extra)


def test_the_names_on_the_command_line_are_those_of_the_library() -> None:
    assert list(FaultName) == list(FAULTS)
    assert set(Backend) == set(BACKENDS)


def test_help_shows_an_example_and_does_not_wait_for_torch() -> None:
    assert "charseq gradcheck --fault" in " ".join(run("--help").stdout.split())
    code = "import sys, charseq.cli.gradcheck; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_gradients_of_an_lstm_of_yours(tmp_path: Path) -> None:
    """As docs/lstm.md has it, in numpy alone; then with the mistake that it names."""
    page = (Path(__file__).parent.parent.parent / "docs" / "lstm.md").read_text()
    (program,) = re.findall(r"```python\n(import numpy.*?)```", page, re.DOTALL)
    problem, answer = tmp_path / "problem.npz", tmp_path / "gradients.npz"
    assert "--mine FILE" in run("--write", str(problem)).stdout
    mean = program.replace("d_logits = p - y[t]", "d_logits = (p - y[t]) / 18")
    for text, code, said in (
        (program, 0, "PASSED: all 15 gradients are right (yours, float64)"),
        (program.replace("d_h = d_z[t] @ W_hh", "d_h = 0 * d_h"), 1, "Hand d_z_t W_hh on"),
        (mean, 1, "a mean over all characters"),
    ):
        subprocess.run([sys.executable, "-c", text], cwd=tmp_path, check=True)
        result = run("--mine", str(answer))
        assert result.exit_code == code
        assert said in result.stdout
    assert json.loads(run("--mine", str(answer), "--json").stdout)["hint"].startswith("all are")
    result = CliRunner().invoke(app, ["--mine", str(answer), "--fault", "tanh-of-raw-cell"])
    assert str(result.exception) == "--fault: goes without --write and --mine"


def test_a_narrow_screen_shows_every_name_and_verdict() -> None:
    for columns, has_sizes in ((60, False), (80, True)):
        shown = run("--fault", "tanh-of-raw-cell", columns=columns).stdout
        assert ("|gradient|" in shown) is has_sizes
        assert "…" not in shown
        assert max(map(len, shown.splitlines())) <= columns
        assert shown.count("WRONG") == 14

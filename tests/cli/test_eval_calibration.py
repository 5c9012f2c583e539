"""``charseq eval --calibration``: the error of what was converted or predicted, shown and drawn."""

import json
import math
from pathlib import Path
from xml.etree import ElementTree

import pytest
from evaluating import make_checkpoint, predictions, refused, run
from pair_runs import train_reversal
from rich.console import Console

from charseq.cli.eval_calibration import show_calibration
from charseq.inference.calibration import calibration


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that is right about some sources, and wrong about others."""
    return train_reversal(tmp_path_factory.mktemp("half"))


@pytest.fixture
def text_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))
    return make_checkpoint(tmp_path)


def test_of_pairs_whole_answers_count(half: str, tmp_path: Path) -> None:
    file = tmp_path / "out.tsv"
    arguments = [half, "--calibration", "--bins", "10", "--predictions", str(file), "--json"]
    result = json.loads(run(*arguments))["calibration"]
    rows = predictions(file)
    gaps: dict[int, float] = {}
    for row in rows:
        sure = math.exp(float(row["log-probability"]))
        number = math.ceil(10 * sure)
        gaps[number] = gaps.get(number, 0.0) + (row["right"] == "1") - sure
    assert result["ece"] == pytest.approx(sum(map(abs, gaps.values())) / len(rows), abs=1e-4)
    assert result["ece"] > 0.01
    assert result["binning"] == "10 bins of equal width"
    assert sum(one["count"] for one in result["bins"]) == len(rows)


def test_of_a_text_characters_count(text_run: str) -> None:
    plain = json.loads(run(text_run, "--json"))
    result = json.loads(run(text_run, "--calibration", "--equal-mass", "--bins", "4", "--json"))
    found = result.pop("calibration")
    assert result == plain
    assert found["count"] == plain["characters"]
    assert found["accuracy"] == pytest.approx(plain["accuracy"])
    assert found["binning"] == "4 bins of equal mass"
    shown = run(text_run, "--calibration", "--equal-mass", "--bins", "4")
    assert f"calibration error (ECE)  {found['ece']:.2%}, 4 bins of equal mass" in shown
    for one in found["bins"]:
        assert f"{one['count']:,}" in shown


@pytest.mark.parametrize(("width", "has_bars"), [(60, False), (100, True)])
def test_a_bar_is_as_long_as_the_accuracy_and_marked_at_the_confidence(
    width: int, has_bars: bool
) -> None:
    found = calibration([0.75, 0.75, 0.2], [True, False, False], bins=2)
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        show_calibration(console, found, "sources")
    lines = [line.rstrip() for line in captured.get().splitlines()]
    second = "50.0% – 100.0%        2  75.0%  50.0%  -25.0"
    assert lines[2] == second + has_bars * f"  {'█' * 10}     │"
    assert "mean confidence          56.67%, 33.33% are right" in lines
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize(
    ("confidence", "verdict"), [(0.59, ""), (0.9, ": too sure"), (0.1, ": not sure enough")]
)
def test_too_sure_is_what_is_more_than_chance_gives(confidence: float, verdict: str) -> None:
    """Of a hundred answers of which half are right, one in twenty times they are 10 % off."""
    found = calibration([confidence] * 100, [True, False] * 50, bins=2)
    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        show_calibration(console, found, "sources")
    [line] = [line for line in captured.get().splitlines() if line.startswith("mean confidence")]
    assert line.rstrip().endswith(f"50.00% are right{verdict}")


@pytest.mark.parametrize(
    ("confidence", "count", "verdict"),
    [(0.9, 3, ""), (0.6, 3, ""), (0.9, 300, ": not sure enough")],
)
def test_a_few_answers_that_are_all_right_say_little(
    confidence: float, count: int, verdict: str
) -> None:
    found = calibration([confidence] * count, [True] * count, bins=2)
    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        show_calibration(console, found, "sources")
    [line] = [line for line in captured.get().splitlines() if line.startswith("mean confidence")]
    assert line.rstrip().endswith(f"100.00% are right{verdict}")


def test_the_diagram_is_a_picture(half: str, text_run: str, tmp_path: Path) -> None:
    svg, again, png = (tmp_path / name for name in ("a.svg", "b.svg", "c.png"))
    for file in (svg, again):
        run(text_run, "--calibration", "--plot", str(file))
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")  # noqa: S314
    assert svg.read_bytes() == again.read_bytes()
    run(half, "--calibration", "--plot", str(png))
    assert png.read_bytes().startswith(b"\x89PNG")


def test_what_does_not_go_together_is_refused(text_run: str, tmp_path: Path) -> None:
    for option in (["--bins", "3"], ["--equal-mass"], ["--plot", "a.svg"]):
        assert refused(text_run, *option) == f"{option[0]}: goes with --calibration"
    message = refused(text_run, "--calibration", "--plot", "a.pdf")
    assert message == "a.pdf: name a file that ends in .png, .svg"
    assert "too short" in refused(text_run, "--calibration", "--text", "the cat")

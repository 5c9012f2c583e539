"""The experiment behind docs/lstm.md runs, and its pieces say what they claim."""

import importlib.util
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

FILE = Path(__file__).parents[2] / "benchmarks" / "seed_question.py"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("seed_question", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "seed_question", module)
    threads = torch.get_num_threads()
    spec.loader.exec_module(module)
    # Three backward passes are enough to see the table.
    kept = {
        name: module.VARIANTS[name] for name in ("as listed", "all mended", "only tanh-of-raw-cell")
    }
    monkeypatch.setattr(module, "VARIANTS", kept)
    yield module
    torch.set_num_threads(threads)


def test_a_short_run_prints_a_table_and_writes_every_run(
    benchmark: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "runs.json"
    benchmark.main(["--steps", "12", "--seeds", "2", "--jobs", "1", "--json", str(file)])
    output = capsys.readouterr().out
    assert "letter frequencies alone: 3.81 bits per character" in output
    assert max(map(len, output.splitlines())) <= 80
    runs = json.loads(file.read_text(encoding="utf-8"))
    assert len(runs) == 3 * 2 * 2
    for run in runs:
        first, later = run["curve"]
        assert first == pytest.approx(math.log2(len(benchmark.SYMBOLS)), abs=0.1)
        assert later < first
        assert len(run["sample"]) == 30
        assert len(run["cells"]) == 4
        assert 0 < run["lstm_share"] <= 1
        assert run["error_kept"] == pytest.approx(0.047, abs=0.002)
        if run["variant"] == "all mended":
            assert run["cosine"] == pytest.approx(1)
            assert run["ratio"] == pytest.approx(1)
        elif run["variant"] == "as listed" and run["optimizer"] == "SGD 0.01":
            assert run["ratio"] < 0.1


def test_the_text_has_101_characters(benchmark: ModuleType) -> None:
    assert len(benchmark.TEXT) == 101

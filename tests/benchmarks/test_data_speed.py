"""The benchmark of large texts draws the texts that it names, and reports every stage of them."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from charseq.text.read import read_chunks

FILE = Path(__file__).parents[2] / "benchmarks" / "data_speed.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("data_speed", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("others", [0.0, 0.05])
def test_a_text_has_the_size_and_the_share_of_others_asked_for(
    benchmark: ModuleType, tmp_path: Path, others: float
) -> None:
    path = tmp_path / "text.txt"
    benchmark.write_text(path, 500_000, others)
    assert 500_000 <= path.stat().st_size < 500_000 + 3 * benchmark.BLOCK
    text = "".join(read_chunks(path))
    strange = sum(not character.isascii() for character in text) / len(text)
    assert strange == pytest.approx(others, abs=0.002)  # 4 standard deviations
    assert set(benchmark.LETTERS) <= set(text)


def test_a_short_run_prints_a_table_and_writes_every_figure(
    benchmark: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(benchmark, "TEXTS", {"5 % others": 0.05})
    file = tmp_path / "data.json"
    options = ["--size", "0.1", "--steps", "1", "--folder", str(tmp_path), "--json", str(file)]
    benchmark.main(options)
    (result,) = json.loads(file.read_text())["results"]
    assert result["characters"] == benchmark.BLOCK  # a block is the least that is drawn
    assert result["symbols"] == len({*benchmark.LETTERS, *benchmark.OTHERS})
    for stage, seconds in result["seconds"].items():
        speed = result["megabytes_per_second"][stage]
        assert speed == pytest.approx(result["bytes"] / 1e6 / seconds)
    assert f"{result['batch_seconds'] / result['step_seconds']:.2%}" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [file], "the texts were not removed"

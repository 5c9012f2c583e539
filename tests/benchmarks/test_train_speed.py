"""The benchmark of a training step runs on any processor, with all that can run there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from charseq.lstm import kernel

ROOT = Path(__file__).parents[2]
# A character of one layer of 4 units and 65 symbols: (4 · 4 · 4 + 65 · 4) weights are multiplied
# with once forward and twice backward, and each product is a multiplication and an addition.
PRODUCTS = 6 * (64 + 260)


def test_it_measures_what_runs_here(tmp_path: Path) -> None:
    told = tmp_path / "speed.json"
    command = [sys.executable, "benchmarks/train_speed.py", "--shape", "2,3,4,1", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--json", str(told)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(told.read_text())["results"][0]
    kinds = [] if kernel.why_not() else kernel.load().kinds
    measured = result["contenders"]
    assert {"nn.LSTM", "nn.LSTM tuned", "manual"} <= set(measured)
    assert ("fused" in measured) == bool(kinds)
    assert ("fused bf16" in measured) == ("bfloat16" in kinds)
    for figures in measured.values():  # of one round, so that the medians are its values
        share = figures["chars_per_second"] * PRODUCTS / 1e9 / result["peak_gflops"]
        assert figures["share_of_peak"] == pytest.approx(share)


def test_a_gpu_has_contenders_of_its_own() -> None:
    command = [sys.executable, "benchmarks/train_speed.py", "--contender", "torch fp32"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    for name in ("nn.LSTM fp16", "torch bf16", "fused"):
        assert f"'{name}'" in done.stderr

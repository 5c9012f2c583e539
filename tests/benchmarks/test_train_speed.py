"""The benchmark of a training step runs on any processor, with all that can run there."""

import json
import subprocess
import sys
from pathlib import Path

from charseq.lstm import kernel

ROOT = Path(__file__).parents[2]


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
    assert measured["nn.LSTM tuned"]["to_tuned"]["median"] == 1
    assert all(figures["chars_per_second"] > 0 for figures in measured.values())

"""The walk-through of docs/pairs.md: its commands run, in order, on a shortened scale."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SHORTER = (
    "--set train.max_steps=3 --set train.batch_size=4 --set model.hidden_size=8"
    " --set data.split=0.998/0.001/0.001"
)


def test_the_walk_through_of_pairs_can_be_walked(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "data" / "dates", tmp_path / "data" / "dates")
    program = tmp_path / "bin" / "charseq"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -W error -m charseq "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / "docs" / "pairs.md").read_text(), re.S)
    commands = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    assert len(commands) > 10
    seen = ""
    for command in commands:
        shortened = command
        if command.startswith("charseq train"):
            shortened = re.sub(
                "train.max_steps=[0-9]+", "train.max_steps=3", f"{command} {SHORTER}"
            )
        result = subprocess.run(
            ["/bin/sh", "-c", shortened],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        seen += result.stdout
    python = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "pairs.md").read_text(), re.S)
    assert python
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", python[1]],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 3  # n_best
    assert "16,000" in seen  # pairs, by `data stats`, which has noticed the tags
    assert (tmp_path / "runs" / "pairs" / "best.safetensors").exists()
    targets = (tmp_path / "targets.txt").read_text().splitlines()
    assert len(targets) == len((tmp_path / "sources.txt").read_text().splitlines()) == 2000

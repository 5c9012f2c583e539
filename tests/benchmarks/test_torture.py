"""The short form of ``benchmarks/torture.py``, and that it can fail."""

import importlib
import json
import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from safetensors.numpy import save

from charseq.errors import CharseqError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The modules stand beside the script, as for whoever starts it."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("torture")


def test_a_hundredth_of_it_keeps_every_promise(tmp_path: Path) -> None:
    told = tmp_path / "torture.json"
    parts = ["kills", "damage", "disks", "fuzz"]
    command = [sys.executable, str(BENCHMARKS / "torture.py"), "--share", "0.01"]
    command += [*(word for name in parts for word in ("--only", name)), "--json", str(told)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(told.read_text())
    assert [row["killed"] for row in results["kills"]] == [2, 2]
    flips, *_ = results["damage"]
    assert (flips["what"], flips["tried"], flips["refused"]) == ("a bit flipped", 10, 10)
    if len(results["disks"]) > 1:  # where mounts are allowed
        assert [row["saves_failed"] for row in results["disks"]] == [1, 3, 2]
    assert [row["tried"] for row in results["fuzz"]] == [500, 400, 100]
    assert results["fuzz"][0]["accepted"] > 50  # some changes change nothing that matters
    assert results["fuzz"][2]["accepted"] > 5


def test_a_short_soak_holds_no_more_than_it_needs(part: ModuleType, tmp_path: Path) -> None:
    soak = importlib.import_module("torture_soak").soak
    found = soak(part.write_text(tmp_path), tmp_path / "run", steps=300, saves=30)
    assert (found.saves, found.left_behind) == (30, 0)
    assert found.handles == found.handles_at_first > 0


def test_a_promise_that_is_broken_is_told(
    part: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"what": "pairs", "killed": 3, "different": 1}
    assert part.show({"kills": [{**row, "ok": False}]})
    assert "NO" in capsys.readouterr().out
    assert not part.show({"kills": [{**row, "ok": True}]})


def test_every_damage_is_one(part: ModuleType) -> None:
    import numpy as np

    tensors = {"a": np.arange(3000, dtype=np.float32)}
    good = save(tensors, {"charseq": json.dumps({"format_version": 1}), "sha256": "0" * 64})
    files = importlib.import_module("torture_files")
    bad = list(files.damaged(good, 0.2, random.Random(0)))
    assert len(bad) > 280
    assert all(data != good for _, data in bad)
    assert {"claims 100 GB", "a newer format", "cut off"} < {kind for kind, _ in bad}


def test_other_exceptions_are_told_and_refusals_are_not(part: ModuleType) -> None:
    found = importlib.import_module("torture_fuzz").Fuzzed()

    def refuse() -> None:
        raise CharseqError("no")

    found.feed(refuse)
    found.feed(lambda: None)
    found.feed(lambda: 1 / 0)
    found.feed(lambda: 1 / 0)
    assert (found.tried, found.accepted, found.refused) == (4, 1, 1)
    (told,) = {text.splitlines()[-1] for text in found.escaped}
    assert told == "ZeroDivisionError: division by zero"


def test_where_mounts_are_not_allowed_that_is_said(
    part: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    (row,) = part.disks(tmp_path, 1.0, 0)
    assert row == {"what": "not done: mounts are not allowed here", "ok": True}

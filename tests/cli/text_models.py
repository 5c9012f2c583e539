"""A small run of a text for each file of tests that names this in ``pytest_plugins``."""

from pathlib import Path

import pytest
from evaluating import make_checkpoint


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))
    return make_checkpoint(tmp_path)

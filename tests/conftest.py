"""Settings of every test: small models gain nothing from a second thread; times vary."""

import random
from pathlib import Path

import hypothesis
import pytest
import torch

from charseq.lstm import kernel
from charseq.lstm.compiler import UnavailableError

torch.set_num_threads(1)
hypothesis.settings.register_profile("charseq", deadline=None)
hypothesis.settings.load_profile("charseq")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "kernel(instructions): needs the compiled LSTM, or its build for these instructions",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip where there is no compiler here, or a processor without the instructions."""
    for marker in item.iter_markers("kernel"):
        try:
            kernel.load(*marker.args)
        except UnavailableError as error:
            pytest.skip(f"no kernel: {error}")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is taken from the user's cache, and nothing is left there."""
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Words of a tiny language in which every word is followed by its opposite."""
    rng = random.Random(0)
    pairs = ["hot cold. ", "day night. ", "up down. ", "left right. "]
    path = tmp_path / "opposites.txt"
    path.write_text("".join(rng.choice(pairs) for _ in range(700)))
    return path

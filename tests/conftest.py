"""Settings of every test: small models gain nothing from a second thread; times vary."""

import hypothesis
import pytest
import torch

from charseq.lstm import kernel

torch.set_num_threads(1)
hypothesis.settings.register_profile("charseq", deadline=None)
hypothesis.settings.load_profile("charseq")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "kernel(instructions): needs the compiled LSTM, or its build for these instructions",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """The one skip there is: no compiler here, or a processor without the instructions."""
    for marker in item.iter_markers("kernel"):
        try:
            kernel.load(*marker.args)
        except kernel.UnavailableError as error:
            pytest.skip(f"no kernel: {error}")

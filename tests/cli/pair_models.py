"""Two models of pairs for each file of tests that names this in ``pytest_plugins``."""

import pytest
from pair_runs import PHONES, make_run


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model of letters."""
    return make_run(tmp_path_factory.mktemp("letters"))


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that reads tags too, and writes symbols with blanks between them."""
    return make_run(tmp_path_factory.mktemp("phones"), PHONES)

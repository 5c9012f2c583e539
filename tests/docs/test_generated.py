"""Generated pages are what the code generates; every command is in them, with an example."""

import runpy
from pathlib import Path

import pytest
from typer.main import get_command

from charseq.cli.app import app

ROOT = Path(__file__).parent.parent.parent
PAGES = runpy.run_path(str(ROOT / "docs" / "generate.py"))["pages"]()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_is_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == PAGES[path], "run `make docs` and commit the result"


def test_every_command_has_an_example_in_its_help() -> None:
    def commands(command: object, name: str) -> dict[str, str]:
        found = {name: str(getattr(command, "help", ""))}
        for key, child in getattr(command, "commands", {}).items():
            found |= commands(child, f"{name} {key}")
        return found

    helps = commands(get_command(app), "charseq")
    assert len(helps) >= 13
    for name, text in helps.items():
        assert f"Example: {name}" in text or (
            "Example: charseq" in text and name in {"charseq", "charseq data", "charseq config"}
        ), name


def test_every_committed_configuration_is_valid() -> None:
    from charseq.config import load_config

    configs = sorted((ROOT / "configs").glob("*.yaml"))
    texts = {"stdlib", "tinyshakespeare", "tinyshakespeare_fast"}
    assert {path.stem for path in configs} >= texts
    for path in configs:
        is_text = path.stem in texts
        assert load_config(path).task == ("lm" if is_text else "seq2seq")

"""The small files of a run folder, written whole or not at all. No torch."""

import os
from pathlib import Path

from charseq.config import Config, dump_config

CONFIG, LOG = "config.yaml", "metrics.jsonl"
RELATIVE = "# Relative paths count from the folder in which charseq is started.\n"


def write_config(folder: Path, config: Config) -> None:
    """Every setting of a run, for ``charseq train FOLDER --resume``. Raises OSError."""
    replace_file(folder / CONFIG, RELATIVE + dump_config(config))


def replace_file(path: Path, text: str) -> None:
    """Write a file whole or not at all: --resume reads the one, and goes on with the other."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)  # in a folder from a stranger it may link to anything
        with temporary.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

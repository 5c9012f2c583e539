"""The small files of a run folder, written whole or not at all. No torch."""

from pathlib import Path

from charseq.config import Config, dump_config
from charseq.files import replacing
from charseq.models.run_files import CONFIG

RELATIVE = "# Relative paths count from the folder in which charseq is started.\n"


def write_config(folder: Path, config: Config) -> None:
    """Every setting of a run, for ``charseq train FOLDER --resume``. Raises OSError."""
    replace_file(folder / CONFIG, RELATIVE + dump_config(config))


def replace_file(path: Path, text: str) -> None:
    """Write a file whole or not at all: --resume reads the one, and goes on with the other."""
    with replacing(path) as file:
        file.write(text.encode())

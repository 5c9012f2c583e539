"""Which files are read without being named: those that config.yaml beside a checkpoint names.

A checkpoint may come from a stranger, and the paths inside it lead anywhere. So they are not
followed: a run folder says in plain text what its data are, and of a checkpoint that lies alone
they have to be named.
"""

from pathlib import Path
from typing import TypeVar

from charseq.config import load_config
from charseq.config.schema import LMConfig, Seq2SeqConfig
from charseq.errors import CharseqError
from charseq.models.run_files import CONFIG
from charseq.text.characters import escape

TaskConfig = TypeVar("TaskConfig", LMConfig, Seq2SeqConfig)


def has_own_data(checkpoint: Path) -> bool:
    """Whether there is a ``config.yaml`` beside a checkpoint, which says what its data are."""
    return (checkpoint.parent / CONFIG).is_file()


def own_config(config: TaskConfig, checkpoint: Path) -> TaskConfig:
    """A checkpoint's configuration with the data that its run folder names; what becomes of unknown
    symbols is still the checkpoint's, or whoever reads it has changed that.

    Raises:
        CharseqError: there is no config.yaml beside the checkpoint, or one of another task.
    """
    settings = checkpoint.parent / CONFIG
    if not has_own_data(checkpoint):
        raise CharseqError(
            f"{escape(str(checkpoint))}: there is no config.yaml beside it, and paths inside a"
            " checkpoint are not followed; name what to score with --data FILE"
        )
    told = load_config(settings)
    if type(told) is not type(config):
        raise CharseqError(f"{escape(str(settings))}: is of another task than the checkpoint")
    data = told.data.model_copy(update={"unknown": config.data.unknown})
    return config.model_copy(update={"data": data})

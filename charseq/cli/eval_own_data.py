"""Which files ``charseq eval`` reads without being told: those of ``config.yaml`` in a run folder.

A checkpoint may come from a stranger, and the paths inside it lead anywhere. So they are not
followed: a run folder says in plain text what its data is, and of a checkpoint that lies alone the
data has to be named.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from charseq.config import load_config
from charseq.config.schema import Seq2SeqConfig
from charseq.errors import CharseqError
from charseq.text.characters import escape
from charseq.text.read import expand

if TYPE_CHECKING:
    from charseq.inference.trained_lm import TrainedLanguageModel
    from charseq.inference.trained_seq2seq import TrainedSeq2Seq

Trained = TypeVar("Trained", "TrainedLanguageModel", "TrainedSeq2Seq")


def has_own_data(run: str) -> bool:
    """Whether there is a ``config.yaml`` that says what the run's data is."""
    path = expand(run)
    return ((path if path.is_dir() else path.parent) / "config.yaml").is_file()


def with_own_data(trained: Trained, run: str, data: str | None, *, is_named: bool) -> Trained:
    """The model with the data that its run folder names, or that the person has named.

    Args:
        run: the folder or checkpoint, as it was given.
        data: a file that was named.
        is_named: whether it was said what to score.

    Raises:
        CharseqError: there is nothing to score: a checkpoint alone, a folder without a
            configuration, or with one of another task.
    """
    path, config = expand(run), trained.config
    is_folder = path.is_dir()
    settings = (path if is_folder else path.parent) / "config.yaml"
    if not settings.is_file() or (is_named and not is_folder):
        if not is_named:
            what = "there is no config.yaml in it" if is_folder else "a checkpoint alone"
            raise CharseqError(
                f"{escape(run)}: {what}, and paths inside a checkpoint are not followed; name what"
                " to score with --data FILE"
            )
        if isinstance(config, Seq2SeqConfig):
            named = {"train": data, "valid": None, "test": None}
            config = config.model_copy(update={"data": config.data.model_copy(update=named)})
        return replace(trained, config=config)
    told = load_config(settings)
    if type(told) is not type(config):
        raise CharseqError(f"{escape(str(settings))}: is of another task than the checkpoint")
    return replace(trained, config=config.model_copy(update={"data": told.data}))

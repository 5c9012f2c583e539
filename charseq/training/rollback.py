"""After a NaN: back to the last checkpoint with half the learning rate, or the end."""

from contextlib import suppress

from charseq.errors import NotFiniteError, SaveError
from charseq.models.checkpoint import Checkpoint
from charseq.training.diagnose import diverged
from charseq.training.events import RolledBack
from charseq.training.run import RunFolder, go_on
from charseq.training.state import Progress, TrainingState, read_progress

NOT_FINITE = "not finite"  # the last line of a log, where a NaN ended the training
HALF = 0.5  # of the learning rate, at each rollback


def learning_rate_factor(progress: Progress) -> float:
    """What the rollbacks so far have left of the learning rate."""
    return HALF**progress.rollbacks


def roll_back(state: TrainingState, folder: RunFolder, error: NotFiniteError) -> RolledBack:
    """Go back to the last checkpoint; the log forgets what came after it.

    Raises:
        NotFiniteError: ``train.on_nan`` or ``train.max_rollbacks`` says so, or there is no
            checkpoint yet: the same error, with what the person can do.
    """
    settings, before = state.config.train, state.progress
    may = settings.on_nan == "rollback" and before.rollbacks < settings.max_rollbacks
    checkpoint = _sane(folder, state.model.vocab_size) if may else None
    if checkpoint is None:
        # A step after any checkpoint: resuming goes back to one, and drops the line.
        with suppress(SaveError):
            folder.log({"event": NOT_FINITE, "step": before.step + 1, "why": str(error)})
        advice = _advice(folder, settings.learning_rate, before)
        if may and folder.last.exists():
            advice = (
                "every checkpoint is from after its loss went far above a blind guess: train anew,"
                " in another folder (--run), with a lower train.learning_rate or train.clip_norm"
            )
        raise NotFiniteError(f"{error}\n{advice}") from error
    state.restore(checkpoint, where=str(folder.path))
    progress = state.progress
    progress.rollbacks = before.rollbacks
    progress.seconds = before.seconds
    # These are the weights that best.safetensors holds, whatever came after them.
    progress.monitor, progress.judged = before.monitor, before.judged
    progress.best_value = before.best_value
    progress.best_score, progress.best_step = before.best_score, before.best_step
    folder.cut_log(progress)
    progress.rollbacks += 1
    factor = learning_rate_factor(progress)
    return RolledBack(progress.step, factor, progress.rollbacks, str(error))


def _sane(folder: RunFolder, vocab_size: int) -> Checkpoint | None:
    """The newest checkpoint from before the loss was that of weights thrown far off."""
    newest, _ = folder.newest()
    for checkpoint in (newest, folder.before_newest()):
        if checkpoint is not None:
            loss = read_progress(checkpoint, str(folder.path)).usual.loss
            if not diverged(loss, vocab_size):
                return checkpoint
    return None


def _advice(folder: RunFolder, learning_rate: float, progress: Progress) -> str:
    kept = folder.last if folder.last.exists() else "none was written yet"
    already = ""
    if progress.rollbacks:
        already = (
            f"\nit was rolled back {progress.rollbacks} times, the learning rate halved each time:"
            f" what is set is multiplied by {learning_rate_factor(progress):g} also when it goes on"
        )
    return (
        f"last checkpoint: {kept}{already}\n"
        "try a lower train.learning_rate or train.clip_norm, as in"
        f" `{go_on(folder.path)} --set train.learning_rate={learning_rate / 10:g}`"
    )

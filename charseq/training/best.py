"""The best weights so far, and what follows from an evaluation that finds no better ones."""

from charseq.inference.metrics import PairScore, Score
from charseq.training.events import SaveFailed
from charseq.training.saves import Saves
from charseq.training.state import TrainingState


def keep_if_best(
    state: TrainingState, score: Score | PairScore, saves: Saves
) -> tuple[bool, SaveFailed | None]:
    """Take in the score of the weights that the model has now; the best ones are written.

    Returns whether they are, and why they could not be written: then they do not count as the
    best, which is what best.safetensors holds, nor as a reason to learn more slowly.
    """
    settings, progress = state.config.train, state.progress
    value = list(score.monitored(settings.monitor))
    judged = score.pairs if isinstance(score, PairScore) else None
    if progress.judged not in (None, judged):
        progress.forget_best()
    progress.evaluated_step = progress.step
    if progress.best_value is None or value < progress.best_value:
        before = vars(progress).copy()
        progress.best_value, progress.best_step = value, progress.step
        progress.monitor, progress.judged = settings.monitor, judged
        progress.best_score = score.summary()
        progress.evaluations_since_best = 0
        if failed := saves.best():
            vars(progress).update(before)
        return failed is None, failed
    progress.evaluations_since_best += 1
    patient = progress.evaluations_since_best % settings.decay_patience != 0
    if settings.schedule == "plateau" and not patient:
        progress.plateau_factor *= settings.decay
    return False, None

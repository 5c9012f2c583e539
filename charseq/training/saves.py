"""What a training writes, its log and its checkpoints; and what a full disk does to it."""

from charseq.config.schema.shared import TrainConfig
from charseq.errors import SaveError
from charseq.models.checkpoint import write_checkpoint
from charseq.training.events import (
    Evaluated,
    RolledBack,
    Saved,
    SaveFailed,
    Spike,
    Step,
)
from charseq.training.run import RunFolder
from charseq.training.state import TrainingState

Logged = Step | Evaluated | Spike | RolledBack
NAMES = {Step: "step", Evaluated: "evaluated", Spike: "spike", RolledBack: "rolled back"}


class Saves:
    """Writes into a run folder. A failure raises SaveError, or is an event: train.on_save_error.

    Attributes:
        step: the step of the newest checkpoint; None while there is progress that it lacks.
    """

    def __init__(self, folder: RunFolder, state: TrainingState, settings: TrainConfig) -> None:
        self.folder, self.state = folder, state
        self.goes_on = settings.on_save_error == "continue"
        self.step: int | None = state.progress.step or None

    def log(self, event: Logged) -> Logged | SaveFailed:
        """Add an event to the log; gives it back, unless the log cannot be written."""
        values = {key: value for key, value in vars(event).items() if key != "score"}
        if isinstance(event, Evaluated):
            values |= event.score.to_json()
        try:
            self.folder.log({"event": NAMES[type(event)], **values})
        except SaveError as error:
            return self._failed(error)
        return event

    def best(self) -> SaveFailed | None:
        """Write the weights as they are now as the best ones."""
        try:
            write_checkpoint(self.folder.best, self.state.weights())
        except SaveError as error:
            return self._failed(error)
        return None

    def last(self, *, is_last_chance: bool = False) -> Saved | SaveFailed:
        """Write everything that resuming needs; at the last chance a failure is an error."""
        try:
            path = self.folder.save_last(self.state.everything())
        except SaveError as error:
            return self._failed(error, is_last_chance=is_last_chance)
        self.step = self.state.progress.step
        return Saved(self.step, path)

    def _failed(self, error: SaveError, *, is_last_chance: bool = False) -> SaveFailed:
        if is_last_chance or not self.goes_on:
            raise SaveError(error.why, self.folder.advice) from error
        return SaveFailed(self.state.progress.step, error.why)

"""The training loop: a generator of events, with no callbacks.

for event in train(config, run="runs/mine"):
    print(event)
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import torch

from charseq.config.difference import changes
from charseq.config.schema import Config, LMConfig, Seq2SeqConfig
from charseq.errors import CharseqError, NotFiniteError
from charseq.inference.validate import validate
from charseq.lstm.device import resolve_device
from charseq.models.build import Data, decided, load_data, make_batches
from charseq.models.checkpoint import Checkpoint
from charseq.models.init_from import Origin
from charseq.training.best import keep_if_best
from charseq.training.diagnose import diverged, divergence, went_wrong
from charseq.training.events import (
    Evaluated,
    Event,
    Saved,
    SaveFailed,
    Spike,
    Step,
    Stopped,
)
from charseq.training.limits import Limits, total_steps
from charseq.training.opening import begin_from, check_validation, told_at_start
from charseq.training.optim import learning_rate
from charseq.training.precision import resolve_precision, use_precision
from charseq.training.rollback import learning_rate_factor, roll_back
from charseq.training.run import RunFolder, open_run
from charseq.training.saves import Saves
from charseq.training.speed import fast_products, has_fast_products, keep_freed_memory
from charseq.training.state import Progress, TrainingState
from charseq.training.update import update


def train(
    config: Config,
    *,
    run: str | Path = "runs/default",
    resume: bool = False,
    device: str = "auto",
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Train a model and yield what happens; the results are in the folder ``run``.

    ``resume`` goes on with what the folder holds, or starts where it holds nothing. ``should_stop``
    is asked before every step, and between the batches of an evaluation, which is given up then and
    made when the run goes on; once it says True the run is saved and ends. torch's global random
    generators are seeded, and belong to the training until it ends; malloc keeps what it frees from
    then on (``speed.py``).

    Raises:
        CharseqError: the text, the folder or the device cannot be used, or ``config`` is none, as
            ``load_config`` gives.
        NotFiniteError: the loss became NaN or infinite; the last good checkpoint is kept.
    """
    if not isinstance(config, LMConfig | Seq2SeqConfig):
        raise CharseqError(
            f"train: config is {type(config).__name__}, not a configuration;"
            " charseq.load_config('FILE.yaml') gives one"
        )
    target = resolve_device(device)
    # Before the folder is made: a wrong path leaves nothing.
    origin, known = begin_from(config, Path(run), resume=resume)
    data = load_data(config, known=known)
    with open_run(Path(run), resume=resume) as folder:
        training = _Training(config, data, folder, target, origin, should_stop, resume=resume)
        yield training.started
        yield from training.steps()


class _GivenUpError(Exception):
    """An evaluation was ended before its end."""


class _Training:
    """One session of a training: the data, the run folder, and the state that changes."""

    def __init__(
        self,
        config: Config,
        data: Data,
        folder: RunFolder,
        device: torch.device,
        origin: Origin | None,
        should_stop: Callable[[], bool],
        *,
        resume: bool,
    ) -> None:
        keep_freed_memory()
        checkpoint, notice = folder.newest() if resume else (None, None)
        begun = (checkpoint or origin) if config.train.init_from is not None else None
        asked, config = config, decided(config, data.vocab, begun.config if begun else None)
        self.config = config
        self.settings = config.train
        self.folder = folder
        self.should_stop = should_stop
        self.data = data
        check_validation(config.train, data)

        self.state = TrainingState(config, data.vocab, data.fingerprint, device, origin)
        if checkpoint:
            self.state.restore(checkpoint, where=str(folder.path))
        self.progress.validates = len(data.valid) > 0
        self.model = self.state.model
        self.batches = make_batches(config, data)
        self.limits = Limits(config.train, total_steps(config.train, self.batches.steps_per_epoch))
        self.saves = Saves(folder, self.state, config.train)
        precision = resolve_precision(self.model, config.train.precision, device)
        self.precision = use_precision(self.model, precision, device)
        # Not around what is yielded: a caller's own products are none of ours.
        self.fast = fast_products if has_fast_products(device) else nullcontext
        progress = self.progress
        changes_nothing = checkpoint is not None and self._changes_nothing(checkpoint)
        goes_on = checkpoint if not changes_nothing else None
        folder.start(None if changes_nothing else asked, progress)
        self.began = time.perf_counter() - self.progress.seconds
        self.started = told_at_start(
            self.state,
            data,
            self.batches,
            asked=asked,
            run=folder.path,
            precision=precision,
            total_steps=self.limits.total_steps,
            changed=tuple(changes(goes_on.config, config).values()) if goes_on else (),
            notice=notice,
        )

    def _changes_nothing(self, checkpoint: Checkpoint) -> bool:
        """Whether the run was at its end already, with the settings that it has, and still is."""
        total = total_steps(checkpoint.config.train, self.batches.steps_per_epoch)
        limits = (self.limits, Limits(checkpoint.config.train, total))
        over = all(one.reached(self.progress) is not None for one in limits)
        return over and not self._is_unscored() and self.folder.config.exists()

    def steps(self) -> Iterator[Event]:
        """Step, log, evaluate, save, until a limit is reached or somebody says stop."""
        finished = False
        while not finished:
            try:
                while (reason := self.limits.reached(self.progress)) is None:
                    if self.should_stop():
                        break
                    yield from self._step_and_what_follows()
                if reason is not None and self._is_unscored():
                    yield from self._evaluate()
                if self.saves.step != self.progress.step:
                    yield self._save(is_last_chance=True)
                finished = True
            except NotFiniteError as error:
                yield self.saves.log(roll_back(self.state, self.folder, error))
                self.saves.step = None  # the halved learning rate is not saved yet
                yield self._save()
        if reason is not None and len(self.data.valid) == 0:
            self._loss_since_evaluation()  # of the steps after the last multiple of eval_every
        if reason is not None and self._is_unscored():
            reason = None if self.should_stop() else f"{reason}, and no time to evaluate was left"
        progress = self.progress
        yield Stopped(
            step=progress.step,
            reason=reason or "interrupted",
            finished=reason is not None,
            best_score=progress.best_score,
            best_step=progress.best_step,
            seconds=progress.seconds,
            warning=self._warning(),
        )

    @property
    def progress(self) -> Progress:
        return self.state.progress

    def _step_and_what_follows(self) -> Iterator[Event]:
        settings, step = self.settings, self.progress.step
        if not self._is_unscored() or step == 0 or step % settings.eval_every != 0:
            yield from self._step()
            step += 1
        # else the last session was stopped in the evaluation of this step
        if step % settings.eval_every == 0:
            yield from self._evaluate()
        if step % settings.save_every == 0:
            yield self._save()

    def _step(self) -> Iterator[Event]:
        progress = self.progress
        loss, gradient_norm = self._update()
        usual = progress.usual.loss
        if not self._begins_elsewhere() and progress.usual.take_in(loss):
            yield self.saves.log(Spike(progress.step, loss, usual))
        is_last = self.limits.reached(progress) is not None
        if progress.step % self.settings.log_every == 0 or is_last:
            yield self.saves.log(self._since_last_line(gradient_norm))

    def _update(self) -> tuple[float, float]:
        """One update. Returns its loss, in nats per symbol, and the norm of its gradient."""
        progress = self.progress
        began = time.perf_counter()
        batch = self.batches.batch(progress.step)
        with self.fast():
            loss, symbols, norm = update(self.state, batch, self._learning_rate(), self.precision)
        progress.step += 1
        progress.loss_sum += loss
        progress.symbols += symbols
        if not self._begins_elsewhere():
            progress.evaluation_loss_sum += loss
            progress.evaluation_symbols += symbols
        progress.busy_seconds += time.perf_counter() - began
        progress.seconds = time.perf_counter() - self.began
        return loss / symbols, norm

    def _begins_elsewhere(self) -> bool:
        """Whether weights of other data still cost what they like: they have not diverged here."""
        settings = self.settings
        return settings.init_from is not None and self.progress.step <= settings.warmup_steps

    def _learning_rate(self) -> float:
        progress = self.progress
        done, factor = self.limits.share_done(progress), progress.plateau_factor
        return learning_rate(progress.step, self.settings, done, factor) * learning_rate_factor(
            progress
        )

    def _since_last_line(self, gradient_norm: float) -> Step:
        progress = self.progress
        event = Step(
            step=progress.step,
            epoch=progress.step / self.batches.steps_per_epoch,
            loss=progress.loss_sum / progress.symbols,
            learning_rate=self.state.optimizer.param_groups[0]["lr"],
            gradient_norm=gradient_norm,
            symbols_per_second=progress.symbols / progress.busy_seconds,
            seconds=progress.seconds,
            seconds_left=self.limits.seconds_left(progress),
        )
        progress.loss_sum, progress.symbols, progress.busy_seconds = 0.0, 0, 0.0
        return event

    def _evaluate(self) -> Iterator[Event]:
        """Score the validation data, where there is any, and keep the best weights.

        Somebody who says stop, or the clock, may end it before: then nothing has changed, and the
        same evaluation is due when the training goes on.
        """
        progress, average, failed = self.progress, self.state.average, None
        if len(self.data.valid) == 0:
            self._loss_since_evaluation()
            return
        with average.applied(self.model) if average else nullcontext():
            try:
                with self.fast():
                    score = validate(self.model, self.data, self.config, between=self._look_up)
            except _GivenUpError:
                return
            finally:
                progress.seconds = time.perf_counter() - self.began
            if not math.isfinite(score.nats):
                raise self._not_finite(f"the validation loss is {score.nats}")
            is_best, failed = keep_if_best(self.state, score, self.saves)
            self.saves.step = None  # a checkpoint of this step may be there, from before
        if failed:
            yield failed
        loss = self._loss_since_evaluation()
        event = Evaluated(
            step=progress.step,
            train_loss=loss or None,
            score=score,
            is_best=is_best,
            diverged=diverged(loss, self.model.vocab_size),
            seconds=progress.seconds,
        )
        yield self.saves.log(event)

    def _look_up(self) -> None:
        """Between two batches of an evaluation: whether it is to be given up."""
        seconds = time.perf_counter() - self.began
        if self.should_stop() or self.limits.is_long_over(seconds):
            raise _GivenUpError

    def _is_unscored(self) -> bool:
        progress = self.progress
        return len(self.data.valid) > 0 and progress.evaluated_step != progress.step

    def _loss_since_evaluation(self) -> float:
        """The mean training loss since the last evaluation, or 0; the worst of these is kept."""
        progress = self.progress
        loss = progress.evaluation_loss_sum / max(1, progress.evaluation_symbols)
        progress.evaluation_loss_sum, progress.evaluation_symbols = 0.0, 0
        if loss > progress.worst_loss:
            progress.worst_loss, progress.worst_step = loss, progress.step
        return loss

    def _warning(self) -> str | None:
        loss, step, size = self.progress.worst_loss, self.progress.worst_step, self.model.vocab_size
        return divergence(loss, step, size, self.settings) if diverged(loss, size) else None

    def _save(self, *, is_last_chance: bool = False) -> Saved | SaveFailed:
        """Write everything that resuming needs, unless an update broke it."""
        if broken := self.state.not_finite():
            raise self._not_finite(f"after an update {broken} is not finite")
        return self.saves.last(is_last_chance=is_last_chance)

    def _not_finite(self, symptom: str) -> NotFiniteError:
        """Of the update that has been made last."""
        step = self.progress.step
        return NotFiniteError(
            went_wrong(self.state, self.batches.batch(max(0, step - 1)), step, symptom)
        )

"""The training loop: a generator of events, with no callbacks.

for event in train(config, run="runs/mine"):
    print(event)
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from charseq.config.schema import Config
from charseq.config.schema.shared import TrainConfig
from charseq.errors import CharseqError, NotFiniteError, SaveError
from charseq.inference.validate import validate
from charseq.lstm import kernel
from charseq.lstm.device import resolve_device
from charseq.models.build import AnyVocab, Data, load_data, make_batches
from charseq.models.checkpoint import write_checkpoint
from charseq.models.init_from import Origin, read_origin
from charseq.training.diagnose import diagnose, diverged, divergence
from charseq.training.events import (
    Evaluated,
    Event,
    RolledBack,
    Saved,
    SaveFailed,
    Spike,
    Started,
    Step,
    Stopped,
)
from charseq.training.limits import total_steps, why_over
from charseq.training.optim import learning_rate
from charseq.training.precision import use_precision
from charseq.training.run import RunFolder, go_on, open_run
from charseq.training.speed import fast_products, keep_freed_memory
from charseq.training.state import TrainingState

Logged = Step | Evaluated | Spike | RolledBack
NAMES = {Step: "step", Evaluated: "evaluated", Spike: "spike", RolledBack: "rolled back"}
NOT_FINITE = "not finite"  # the last line of a log, where a NaN ended the training
HALF = 0.5  # of the learning rate, at each rollback


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
    is asked after every step; once it says True the run is saved and ends. torch's global random
    generators are seeded, and belong to the training until it ends; malloc keeps what it frees from
    then on (``speed.py``).

    Raises:
        CharseqError: the text, the folder or the device cannot be used.
        NotFiniteError: the loss became NaN or infinite; the last good checkpoint is kept.
    """
    target = resolve_device(device)
    # Before the folder is made: a wrong path leaves nothing.
    origin, known = _begin_from(config, Path(run), resume=resume)
    data = load_data(config, known=known)
    with open_run(Path(run), resume=resume) as folder, fast_products(target):
        training = _Training(config, data, folder, target, origin, resume=resume)
        yield training.started
        yield from training.steps(should_stop)


class _Training:
    """One session of a training: the data, the run folder, and the state that changes."""

    def __init__(
        self,
        config: Config,
        data: Data,
        folder: RunFolder,
        device: torch.device,
        origin: Origin | None,
        *,
        resume: bool,
    ) -> None:
        keep_freed_memory()
        self.config = config
        self.settings = config.train
        self.folder = folder
        self.data = data
        self.batches = make_batches(config, data)
        self.total_steps = total_steps(config.train, self.batches.steps_per_epoch)
        _check_validation(config.train, data)

        self.state = TrainingState(config, data.vocab, data.fingerprint, device, origin)
        checkpoint, notice = folder.newest() if resume else (None, None)
        if checkpoint:
            self.state.restore(checkpoint, where=str(folder.path))
        self.model, self.progress = self.state.model, self.state.progress
        self.precision = use_precision(self.model, config.train.precision, device)
        folder.start(config, self.progress.step, self.progress.rollbacks)
        self.began = time.perf_counter() - self.progress.seconds
        self.started = Started(
            run=folder.path,
            device=str(device),
            backend=self.model.backend,
            parameters=sum(p.numel() for p in self.model.parameters()),
            vocab_size=self.model.vocab_size,
            train_size=len(data.train),
            valid_size=len(data.valid),
            unit=data.unit,
            steps_per_epoch=self.batches.steps_per_epoch,
            step=self.progress.step,
            total_steps=self.total_steps,
            taken=self.state.taken,
            notice=notice,
            hint=_hint(config.model.backend, self.model.backend),
        )

    def steps(self, should_stop: Callable[[], bool]) -> Iterator[Event]:
        """Step, log, evaluate, save, until a limit is reached or somebody says stop."""
        self.saved_step = self.progress.step if self.started.step else None
        finished = False
        while not finished:
            try:
                while (reason := self._limit()) is None and not should_stop():
                    yield from self._step_and_what_follows()
                if reason is not None and self.progress.evaluated_step != self.progress.step:
                    yield from self._evaluate()
                    self.saved_step = None
                if self.saved_step != self.progress.step:
                    yield from self._save(is_last_chance=True)
                finished = True
            except NotFiniteError as error:
                yield from self._roll_back(error)
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

    def _step_and_what_follows(self) -> Iterator[Event]:
        settings, progress = self.settings, self.progress
        loss, gradient_norm = self._step()
        usual = progress.usual.loss
        if progress.usual.is_spike(loss):
            yield self._log(Spike(progress.step, loss, usual))
        if progress.step % settings.log_every == 0 or self._limit() is not None:
            yield self._log(self._since_last_line(gradient_norm))
        if progress.step % settings.eval_every == 0:
            yield from self._evaluate()
        if progress.step % settings.save_every == 0:
            yield from self._save()

    def _roll_back(self, error: NotFiniteError) -> Iterator[Event]:
        """Go back to the last checkpoint with half the learning rate, or raise the error."""
        before = self.progress
        may = self.settings.on_nan == "rollback" and before.rollbacks < self.settings.max_rollbacks
        checkpoint, _ = self.folder.newest() if may else (None, None)
        if checkpoint is None:
            # Behind every checkpoint: who resumes leaves it, and the line, behind.
            with suppress(SaveError):
                self.folder.log({"event": NOT_FINITE, "step": before.step + 1, "why": str(error)})
            raise error
        self.state.restore(checkpoint, where=str(self.folder.path))
        self.progress = progress = self.state.progress
        progress.rollbacks = before.rollbacks + 1
        progress.seconds = before.seconds
        # These are the weights that best.safetensors holds, whatever came after them.
        progress.monitor, progress.best_value = before.monitor, before.best_value
        progress.best_score, progress.best_step = before.best_score, before.best_step
        self.folder.cut_log(progress.step, before.rollbacks)
        factor = HALF**progress.rollbacks
        yield self._log(RolledBack(progress.step, factor, progress.rollbacks, str(error)))
        yield from self._save()

    def _step(self) -> tuple[float, float]:
        """One update. Returns its loss, in nats per symbol, and the norm of its gradient."""
        settings, progress, state = self.settings, self.progress, self.state
        began = time.perf_counter()
        rate = self._learning_rate()
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        # Batch and carried state are of the kind that the model reads: both come of its task.
        batch: Any = self.batches.batch(progress.step)
        before: Any = state.carried
        self.model.train()
        state.optimizer.zero_grad()
        with self.precision:
            loss_sum, symbols, carried = self.model.loss(batch, before, settings.label_smoothing)
        torch.autograd.backward(loss_sum / symbols)
        parameters = list(self.model.parameters())
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        loss, gradient_norm = torch.stack([loss_sum.detach(), norm]).tolist()
        if not math.isfinite(loss + gradient_norm):  # before clipping, which would spread a NaN
            raise NotFiniteError(self._diagnosis(batch, f"the loss is {loss / symbols}"))
        if settings.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(parameters, settings.clip_norm, norm)
        state.optimizer.step()
        if state.average:
            state.average.update(self.model, progress.step)
        state.carried = carried
        progress.step += 1
        progress.loss_sum += loss
        progress.symbols += symbols
        progress.evaluation_loss_sum += loss
        progress.evaluation_symbols += symbols
        progress.busy_seconds += time.perf_counter() - began
        progress.seconds = time.perf_counter() - self.began
        return loss / symbols, float(gradient_norm)

    def _learning_rate(self) -> float:
        """By the step; and by the clock where it ends the training, whichever is further on."""
        settings, progress = self.settings, self.progress
        done = 0.0
        if self.total_steps is not None:
            length = max(1, self.total_steps - settings.warmup_steps)
            done = (progress.step - settings.warmup_steps) / length
        if settings.max_minutes is not None:
            done = max(done, progress.seconds / (60 * settings.max_minutes))
        rate = learning_rate(progress.step, settings, done, progress.plateau_factor)
        return rate * HALF**progress.rollbacks

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
            seconds_left=self._seconds_left(),
        )
        progress.loss_sum, progress.symbols, progress.busy_seconds = 0.0, 0, 0.0
        return event

    def _log(self, event: Logged) -> Logged | SaveFailed:
        """Add an event to the log; gives it back, unless the log cannot be written."""
        values = {key: value for key, value in vars(event).items() if key != "score"}
        if isinstance(event, Evaluated):
            values |= event.score.to_json()
        try:
            self.folder.log({"event": NAMES[type(event)], **values})
        except SaveError as error:
            return self._save_failed(error)
        return event

    def _save_failed(self, error: SaveError) -> SaveFailed:
        """Raise the error, unless the training is to go on."""
        if self.settings.on_save_error == "stop":
            raise error
        return SaveFailed(self.progress.step, str(error))

    def _evaluate(self) -> Iterator[Event]:
        """Score the validation data, where there is any, and keep the best weights."""
        settings, progress = self.settings, self.progress
        loss = self._loss_since_evaluation()
        if len(self.data.valid) == 0:
            return
        average = self.state.average
        with average.applied(self.model) if average else nullcontext():
            score = validate(self.model, self.data, self.config)
            if not math.isfinite(score.nats):
                batch = self.batches.batch(progress.step)
                raise NotFiniteError(self._diagnosis(batch, f"the validation loss is {score.nats}"))
            value = list(score.monitored(settings.monitor))
            is_better = is_best = progress.best_value is None or value < progress.best_value
            progress.evaluated_step = progress.step
            if is_better:
                before = vars(progress).copy()
                progress.best_value, progress.best_step = value, progress.step
                progress.monitor = settings.monitor
                progress.best_score = score.summary()
                progress.evaluations_since_best = 0
                try:
                    write_checkpoint(self.folder.best, self.state.weights())
                except SaveError as error:  # the best is what best.safetensors holds
                    vars(progress).update(before)
                    is_best = False
                    yield self._save_failed(error)
            else:
                progress.evaluations_since_best += 1
        patient = progress.evaluations_since_best % settings.decay_patience != 0
        if settings.schedule == "plateau" and not is_better and not patient:
            progress.plateau_factor *= settings.decay
        progress.seconds = time.perf_counter() - self.began
        event = Evaluated(
            step=progress.step,
            score=score,
            is_best=is_best,
            diverged=diverged(loss, self.model.vocab_size),
            seconds=progress.seconds,
        )
        yield self._log(event)

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

    def _save(self, *, is_last_chance: bool = False) -> Iterator[Event]:
        """Write everything that resuming needs, unless an update broke it."""
        if broken := self.state.not_finite():
            batch = self.batches.batch(self.progress.step)
            raise NotFiniteError(self._diagnosis(batch, f"after an update {broken} is not finite"))
        try:
            path = self.folder.save_last(self.state.everything())
        except SaveError as error:
            if is_last_chance:
                raise
            yield self._save_failed(error)
        else:
            self.saved_step = self.progress.step
            yield Saved(self.progress.step, path)

    def _limit(self) -> str | None:
        """Why the training is over, or None while it is not."""
        progress = self.progress
        return why_over(
            self.settings,
            self.total_steps,
            step=progress.step,
            seconds=progress.seconds,
            evaluations_since_best=progress.evaluations_since_best,
        )

    def _seconds_left(self) -> float | None:
        settings, progress = self.settings, self.progress
        left = []
        if self.total_steps is not None:
            left.append((self.total_steps - progress.step) * progress.seconds / progress.step)
        if settings.max_minutes is not None:
            left.append(max(0.0, 60 * settings.max_minutes - progress.seconds))
        return min(left) if left else None

    def _diagnosis(self, batch: Any, symptom: str) -> str:
        details = diagnose(self.model, batch, self.state.carried)
        kept = self.folder.last if self.folder.last.exists() else "none was written yet"
        return (
            f"step {self.progress.step + 1}: training went wrong and was stopped before it could"
            f" spoil the checkpoints\n{symptom}\n{details}\nlast good checkpoint: {kept}\n"
            "try a lower train.learning_rate or train.clip_norm, as in"
            f" `{go_on(self.folder.path)} --set train.learning_rate="
            f"{self.settings.learning_rate / 10:g}`"
        )


def _begin_from(
    config: Config, run: Path, *, resume: bool
) -> tuple[Origin | None, AnyVocab | None]:
    """The model that a fine-tuning begins with, and the symbols that its vocabulary grows from.

    A run that has begun holds both: what it began with is not looked at again.
    """
    name = config.train.init_from
    if name is None:
        return None, None
    begun, _ = RunFolder(run).look() if resume else (None, None)
    if begun:
        return None, begun.vocab
    origin = read_origin(name, config)
    return origin, origin.vocab


def _hint(wanted: str, backend: str) -> str | None:
    """Where the best backend of a CPU is missing: why, and how it can be had."""
    if wanted != "auto" or backend != "manual" or not kernel.why_not():
        return None
    return f"backend manual is used; fused, which is faster, is missing: {kernel.why_not()}"


def _check_validation(settings: TrainConfig, data: Data) -> None:
    """What needs validation is refused where there is nothing to validate on."""
    if len(data.valid) == 0:
        for name, needs in (
            ("train.patience", settings.patience is not None),
            ("train.schedule plateau", settings.schedule == "plateau"),
        ):
            if needs:
                raise CharseqError(f"{name} needs validation data: raise data.split's second share")
    elif data.unit == "characters" and len(data.valid) < 2:
        raise CharseqError(
            "the validation text has one character; give it more, or none, of the text"
        )

"""The training loop: a generator of events, with no callbacks and no knowledge of the task.

    for event in train(config, run="runs/mine"):
        print(event)

A batch is a function of its step, so the position in the text is the step itself. What else a
resumed training needs is in the checkpoint: weights, averaged weights, optimizer, carried state,
random-generator states and ``Progress``. So the weights after 60 steps are those of 30 steps, a
stop, and 30 more, bit for bit.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from charseq.config.schema import Config, TrainConfig
from charseq.errors import CharseqError, NotFiniteError
from charseq.inference.evaluate import evaluate
from charseq.lstm.cell import State
from charseq.lstm.device import resolve_device
from charseq.models.build import build_model
from charseq.models.checkpoint import WEIGHTS, Checkpoint, write_checkpoint
from charseq.text.corpus import Batch, Corpus, Streams, load_corpus
from charseq.training.diagnose import diagnose
from charseq.training.events import Evaluated, Event, Saved, Started, Step, Stopped
from charseq.training.optim import (
    Average,
    learning_rate,
    load_optimizer_tensors,
    make_optimizer,
    optimizer_tensors,
)
from charseq.training.run import RunFolder, open_run
from charseq.training.speed import keep_freed_memory, use_fast_products


@dataclass
class Progress:
    """The counters of a run; all of them go into its checkpoints."""

    step: int = 0
    seconds: float = 0.0
    best_nats: float | None = None
    best_step: int | None = None
    evaluated_step: int = 0
    evaluations_since_best: int = 0
    plateau_factor: float = 1.0
    # since the last line of the log
    loss_sum: float = 0.0
    characters: int = 0
    busy_seconds: float = 0.0


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
    generators are seeded, and belong to the training until it ends.

    Raises:
        CharseqError: the text, the folder or the device cannot be used.
        NotFiniteError: the loss became NaN or infinite; the last good checkpoint is kept.
    """
    with open_run(Path(run), resume=resume) as folder:
        training = _Training(config, folder, resolve_device(device), resume=resume)
        yield training.started
        yield from training.steps(should_stop)


class _Training:
    """What lives as long as a training does: a model and all that changes with it."""

    def __init__(
        self, config: Config, folder: RunFolder, device: torch.device, *, resume: bool
    ) -> None:
        self.config, self.folder, self.device = config, folder, device
        keep_freed_memory()
        if device.type == "cpu":
            use_fast_products()
        corpus = load_corpus(config.data)
        self.corpus = corpus
        self.streams = Streams(corpus.train, config.train.batch_size, config.train.seq_len)
        self.total_steps = _total_steps(config.train, self.streams.steps_per_epoch)
        _check_validation(config.train, corpus)

        torch.manual_seed(config.train.seed)
        self.model = build_model(config, corpus.vocab).to(device)
        self.optimizer = make_optimizer(self.model, config.train)
        decay = config.train.average_decay
        self.average = Average(self.model, decay) if decay is not None else None
        self.state: State | None = None
        self.progress = Progress()
        checkpoint, notice = folder.newest() if resume else (None, None)
        if checkpoint:
            self._restore(checkpoint)
        folder.start(config, self.progress.step)
        self.started = Started(
            run=folder.path,
            device=str(device),
            backend=self.model.lstm.resolve_backend(device),
            parameters=sum(p.numel() for p in self.model.parameters()),
            vocab_size=corpus.vocab.size,
            train_characters=len(corpus.train),
            valid_characters=len(corpus.valid),
            steps_per_epoch=self.streams.steps_per_epoch,
            step=self.progress.step,
            total_steps=self.total_steps,
            notice=notice,
        )

    def steps(self, should_stop: Callable[[], bool]) -> Iterator[Event]:
        """Step, log, evaluate, save, until a limit is reached or somebody says stop."""
        settings, progress = self.config.train, self.progress
        self.began = time.perf_counter() - progress.seconds
        saved_step = progress.step if self.started.step else None
        reason = self._limit()
        while reason is None and not should_stop():
            gradient_norm = self._step()
            if progress.step % settings.log_every == 0:
                yield self._log(gradient_norm)
            if progress.step % settings.eval_every == 0:
                yield from self._evaluate()
            if progress.step % settings.save_every == 0:
                yield self._save()
                saved_step = progress.step
            reason = self._limit()
        if reason is not None and progress.evaluated_step != progress.step:
            yield from self._evaluate()
            saved_step = None
        if saved_step != progress.step:
            yield self._save()
        yield Stopped(
            step=progress.step,
            reason=reason or "interrupted",
            finished=reason is not None,
            best_nats=progress.best_nats,
            best_step=progress.best_step,
            seconds=progress.seconds,
        )

    def _step(self) -> float:
        """One update. Returns the norm of the gradient before clipping."""
        settings, progress = self.config.train, self.progress
        began = time.perf_counter()
        rate = self._learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self.streams.batch(progress.step)
        if batch.starts_epoch:
            self.state = None
        self.model.train()
        self.optimizer.zero_grad()
        loss_sum, characters, state = self.model.loss(batch, self.state, settings.label_smoothing)
        torch.autograd.backward(loss_sum / characters)
        limit = math.inf if settings.clip_norm is None else settings.clip_norm
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        loss, gradient_norm = torch.stack([loss_sum.detach(), norm]).tolist()
        if not math.isfinite(loss + gradient_norm):
            raise NotFiniteError(self._diagnosis(batch, loss / characters))
        self.optimizer.step()
        if self.average:
            self.average.update(self.model, progress.step)
        self.state = state
        progress.step += 1
        progress.loss_sum += loss
        progress.characters += characters
        progress.busy_seconds += time.perf_counter() - began
        progress.seconds = time.perf_counter() - self.began
        return float(gradient_norm)

    def _learning_rate(self) -> float:
        settings, progress = self.config.train, self.progress
        if self.total_steps is not None:
            length = max(1, self.total_steps - settings.warmup_steps)
            done = (progress.step - settings.warmup_steps) / length
        else:  # the clock alone ends this training
            done = progress.seconds / (60 * (settings.max_minutes or math.inf))
        return learning_rate(progress.step, settings, done, progress.plateau_factor)

    def _log(self, gradient_norm: float) -> Step:
        progress = self.progress
        event = Step(
            step=progress.step,
            epoch=progress.step / self.streams.steps_per_epoch,
            loss=progress.loss_sum / progress.characters,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            gradient_norm=gradient_norm,
            chars_per_second=progress.characters / progress.busy_seconds,
            seconds=progress.seconds,
            seconds_left=self._seconds_left(),
        )
        progress.loss_sum, progress.characters, progress.busy_seconds = 0.0, 0, 0.0
        self.folder.log({"event": "step", **asdict(event)})
        return event

    def _evaluate(self) -> Iterator[Evaluated]:
        """Score the validation text, where there is any, and keep the best weights."""
        settings, progress = self.config.train, self.progress
        if len(self.corpus.valid) == 0:
            return
        with self.average.applied(self.model) if self.average else nullcontext():
            score = evaluate(self.model, self.corpus.valid, streams=settings.batch_size)
            if not math.isfinite(score.nats):
                raise NotFiniteError(f"step {progress.step}: the validation loss is {score.nats}")
            progress.evaluated_step = progress.step
            is_best = progress.best_nats is None or score.nats < progress.best_nats
            if is_best:
                progress.best_nats, progress.best_step = score.nats, progress.step
                progress.evaluations_since_best = 0
                write_checkpoint(self.folder.best, self._checkpoint(self._weights()))
            else:
                progress.evaluations_since_best += 1
        patient = progress.evaluations_since_best % settings.decay_patience != 0
        if settings.schedule == "plateau" and not is_best and not patient:
            progress.plateau_factor *= settings.decay
        progress.seconds = time.perf_counter() - self.began
        event = Evaluated(progress.step, score, is_best, progress.seconds)
        line = {"step": event.step, "is_best": is_best, "seconds": event.seconds}
        self.folder.log({"event": "evaluated", **line, **score.to_json()})
        yield event

    def _save(self) -> Saved:
        """Write everything that resuming needs."""
        tensors = self._weights()
        for name, tensor in optimizer_tensors(self.optimizer, self.model).items():
            tensors[f"optimizer.{name}"] = tensor
        if self.average:
            tensors |= {f"average.{name}": w for name, w in self.average.weights.items()}
        if self.state:
            tensors |= {"state.h": self.state[0], "state.c": self.state[1]}
        tensors["random.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
        return Saved(self.progress.step, self.folder.save_last(self._checkpoint(tensors)))

    def _weights(self) -> dict[str, Tensor]:
        return {WEIGHTS + name: p.detach() for name, p in self.model.named_parameters()}

    def _checkpoint(self, tensors: dict[str, Tensor]) -> Checkpoint:
        extra = {"progress": asdict(self.progress), "fingerprint": self.corpus.fingerprint}
        return Checkpoint(self.config, self.corpus.vocab, tensors, extra)

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Go on where a checkpoint was written."""
        _check_resumable(self.config, self.corpus, checkpoint, self.folder.path)
        tensors = checkpoint.tensors

        def under(prefix: str) -> dict[str, Tensor]:
            # Copied into memory of torch's own: a tensor of the file stands at any address, and
            # a product of matrices rounds differently where its operands are not aligned.
            return {
                name.removeprefix(prefix): tensor.to(self.device, copy=True)
                for name, tensor in tensors.items()
                if name.startswith(prefix)
            }

        self.model.load_state_dict(under(WEIGHTS))
        load_optimizer_tensors(self.optimizer, self.model, under("optimizer."))
        if self.average and (averaged := under("average.")):
            self.average.weights = averaged
        if carried := under("state."):
            self.state = (carried["h"], carried["c"])
        self.progress = Progress(**checkpoint.extra["progress"])
        torch.set_rng_state(tensors["random.cpu"])
        if self.device.type == "cuda" and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], self.device)

    def _limit(self) -> str | None:
        """Why the training is over, or None while it is not."""
        settings, progress = self.config.train, self.progress
        if self.total_steps is not None and progress.step >= self.total_steps:
            return f"all {self.total_steps:,} steps are done"
        if settings.max_minutes is not None and progress.seconds >= 60 * settings.max_minutes:
            return f"{settings.max_minutes:g} minutes are over"
        if settings.patience is not None and progress.evaluations_since_best >= settings.patience:
            return f"no better validation loss in {settings.patience} evaluations"
        return None

    def _seconds_left(self) -> float | None:
        settings, progress = self.config.train, self.progress
        left = []
        if self.total_steps is not None:
            left.append((self.total_steps - progress.step) * progress.seconds / progress.step)
        if settings.max_minutes is not None:
            left.append(max(0.0, 60 * settings.max_minutes - progress.seconds))
        return min(left) if left else None

    def _diagnosis(self, batch: Batch, loss: float) -> str:
        inputs = torch.from_numpy(batch.inputs).to(self.device)
        details = diagnose(self.model, inputs, self.state, loss)
        kept = self.folder.last if self.folder.last.exists() else "none was written yet"
        return (
            f"step {self.progress.step + 1}: training went wrong and was stopped before it could"
            f" spoil the weights\n{details}\nlast good checkpoint: {kept}\n"
            "try a lower train.learning_rate or train.clip_norm, then --resume"
        )


def _total_steps(settings: TrainConfig, steps_per_epoch: int) -> int | None:
    """The updates after which max_steps or max_epochs ends the training, the first that does."""
    limits = []
    if settings.max_steps is not None:
        limits.append(settings.max_steps)
    if settings.max_epochs is not None:
        limits.append(math.ceil(settings.max_epochs * steps_per_epoch))
    return min(limits) if limits else None


def _check_validation(settings: TrainConfig, corpus: Corpus) -> None:
    """What needs a validation loss is refused where there is no text to measure it on."""
    if len(corpus.valid) == 0:
        for name, needs in (
            ("train.patience", settings.patience is not None),
            ("train.schedule plateau", settings.schedule == "plateau"),
        ):
            if needs:
                raise CharseqError(f"{name} needs validation text: raise data.split's second share")
    elif len(corpus.valid) < 2:
        raise CharseqError(
            "the validation text has one character; give it more, or none, of the text"
        )


def _check_resumable(config: Config, corpus: Corpus, checkpoint: Checkpoint, run: Path) -> None:
    """A run goes on with the text and the network that it began with.

    Raises:
        CharseqError: names what has changed.
    """
    if checkpoint.extra.get("fingerprint") != corpus.fingerprint:
        raise CharseqError(
            f"{run}: the text, or how it is read and split, has changed since this run began;"
            " train in another folder with --run"
        )
    before = checkpoint.config
    pairs: list[tuple[str, Any, Any]] = [
        *(
            (f"model.{name}", getattr(before.model, name), getattr(config.model, name))
            for name in ("hidden_size", "num_layers")
        ),
        *(
            (f"train.{name}", getattr(before.train, name), getattr(config.train, name))
            for name in ("batch_size", "seq_len")
        ),
    ]
    changed = [f"{name} was {old} and is {new}" for name, old, new in pairs if old != new]
    if changed:
        raise CharseqError(
            f"{run}: cannot go on: {'; '.join(changed)}; set it back, or train in another folder"
            " with --run"
        )

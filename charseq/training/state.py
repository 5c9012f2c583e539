"""Everything that changes while a training runs, and its way into a checkpoint and back.

A batch is a function of its step, so the position in the text is the step itself. With the rest,
the weights after 60 steps are those of 30 steps, a stop, and 30 more, bit for bit.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import Tensor

from charseq.config.difference import changes
from charseq.config.schema import Config, LMConfig
from charseq.errors import CharseqError
from charseq.lstm.cell import State
from charseq.models.build import build_model
from charseq.models.checkpoint import Checkpoint
from charseq.models.checkpoint_file import WEIGHTS, AnyVocab, CheckpointError
from charseq.models.init_from import SHAPES, Origin, begin_with
from charseq.training.optim import (
    Average,
    load_optimizer_tensors,
    make_optimizer,
    optimizer_tensors,
)
from charseq.training.spikes import Usual

# What decides the shapes of the weights, what a run began with, or what a step is: the same all
# through a run.
KEPT = (
    *SHAPES,
    ("train", "init_from"),
    ("train", "batch_size"),
    ("train", "seq_len"),
    ("train", "shift_streams"),
    ("train", "spliced_pairs"),
    ("train", "seed"),
)


@dataclass
class Progress:
    """The counters of a run; all of them go into its checkpoints."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    step: int = 0
    seconds: float = 0.0
    monitor: str | None = None  # train.monitor, by which the best was chosen
    judged: int | None = None  # validation sources that it was chosen on: train.eval_limit
    best_value: list[float] | None = None  # of train.monitor, then the loss; lower is better
    best_score: str | None = None  # in words
    best_step: int | None = None
    validates: bool = False  # on data: a share of very little of them may be empty
    evaluated_step: int = 0
    evaluations_since_best: int = 0
    plateau_factor: float = 1.0
    rollbacks: int = 0  # after a NaN; each halves the learning rate
    usual: Usual = field(default_factory=Usual)  # loss of a step
    # since the last evaluation, and the worst that these came to: nats per symbol, and when
    evaluation_loss_sum: float = 0.0
    evaluation_symbols: int = 0
    worst_loss: float = 0.0
    worst_step: int = 0
    # since the last line of the log
    loss_sum: float = 0.0
    symbols: int = 0
    busy_seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As ``dataclasses.asdict``, which leaves a tuple at each save to Python's free lists."""
        return {**vars(self), "usual": {**vars(self.usual)}}

    def forget_best(self) -> None:
        """Values of another measure cannot be compared with those to come."""
        self.monitor = self.judged = self.best_value = self.best_score = self.best_step = None
        self.evaluations_since_best = 0


class TrainingState:
    """A model, its optimizer, its averaged weights, the state it carries on, and the counters."""

    def __init__(
        self,
        config: Config,
        vocab: AnyVocab,
        fingerprint: str,
        device: torch.device,
        origin: Origin | None = None,
    ) -> None:
        torch.manual_seed(config.train.seed)
        self.config, self.vocab, self.fingerprint, self.device = config, vocab, fingerprint, device
        model = build_model(config, vocab)
        self.taken = begin_with(model, vocab, origin) if origin else None
        # What the checkpoints say of it, from then on.
        self.init_from = asdict(self.taken) if self.taken else None
        self.model = model.to(device)
        self.optimizer = make_optimizer(self.model, config.train)
        decay = config.train.average_decay
        self.average = Average(self.model, decay) if decay is not None else None
        self.carried: State | None = None
        self.progress = Progress()

    def weights(self) -> Checkpoint:
        """The weights as they are now: for ``best``."""
        return self._checkpoint(
            {WEIGHTS + name: p.detach() for name, p in self.model.named_parameters()}
        )

    def everything(self) -> Checkpoint:
        """The weights and all that resuming needs: for ``last``."""
        tensors = self.weights().tensors
        for name, tensor in optimizer_tensors(self.optimizer, self.model).items():
            tensors[f"optimizer.{name}"] = tensor
        if self.average:
            tensors |= {f"average.{name}": w for name, w in self.average.weights.items()}
        if self.carried:
            tensors |= {"state.h": self.carried[0], "state.c": self.carried[1]}
        return self._checkpoint(tensors | _generators(self.device))

    def restore(self, checkpoint: Checkpoint, where: str) -> None:
        """Go on where ``everything`` was written; ``where`` names the run in errors.

        Raises:
            CharseqError: the text or the network is not the one that the run began with.
        """
        self._check_same(checkpoint, where)

        def under(prefix: str) -> dict[str, Tensor]:
            # Copied into memory of torch's own: a tensor of the file stands at any address, and
            # a product of matrices rounds differently where its operands are not aligned.
            return {
                name.removeprefix(prefix): tensor.to(self.device, copy=True)
                for name, tensor in checkpoint.tensors.items()
                if name.startswith(prefix)
            }

        self._check_tensors(checkpoint, where)
        self.model.load_state_dict(under(WEIGHTS))
        self.optimizer.state.clear()
        load_optimizer_tensors(self.optimizer, self.model, under("optimizer."))
        if self.average:  # begun only now, it begins with the weights as they are
            begun = Average(self.model, self.average.decay).weights
            self.average.weights = under("average.") or begun
        carried = under("state.")
        self.carried = (carried["h"], carried["c"]) if carried else None
        self.progress = read_progress(checkpoint, where)
        self.init_from = checkpoint.extra.get("init_from")
        if self.progress.monitor != self.config.train.monitor:
            self.progress.forget_best()
        try:
            torch.set_rng_state(checkpoint.tensors["random.cpu"])
            if self.device.type == "cuda" and "random.cuda" in checkpoint.tensors:
                torch.cuda.set_rng_state(checkpoint.tensors["random.cuda"], self.device)
        except RuntimeError:
            raise CheckpointError(
                f"{where}: not what resuming needs: the state of its random generator is none"
            ) from None

    def _checkpoint(self, tensors: dict[str, Tensor]) -> Checkpoint:
        extra = {"progress": self.progress.to_json(), "fingerprint": self.fingerprint}
        if self.init_from is not None:
            extra["init_from"] = self.init_from
        return Checkpoint(self.config, self.vocab, tensors, extra)

    def not_finite(self) -> str | None:
        """The first weight, or number of its optimizer, that is NaN or infinite."""
        for name, parameter in self.model.named_parameters():
            if not parameter.isfinite().all():
                return f"the weight {name}"
        for name, tensor in optimizer_tensors(self.optimizer, self.model).items():
            if not tensor.isfinite().all():
                return f"the optimizer's {name}"
        return None

    def _check_tensors(self, checkpoint: Checkpoint, where: str) -> None:
        """Whatever the file says, nothing but numbers of the right shapes goes into a training.

        Raises:
            CheckpointError: a tensor is missing, or not of its shape.
        """
        kinds = {name: _kind_of(p) for name, p in self.model.named_parameters()}
        wanted = {WEIGHTS + name: kind for name, kind in kinds.items()}
        names = checkpoint.tensors
        for prefix in ("optimizer.exp_avg.", "optimizer.exp_avg_sq.", "average."):
            if any(name.startswith(prefix) for name in names):
                wanted |= {prefix + name: kind for name, kind in kinds.items()}
        if any(name.startswith("optimizer.") for name in names):
            wanted |= {f"optimizer.step.{name}": (torch.float32, ()) for name in kinds}
        if isinstance(self.config, LMConfig) and "state.h" in names:
            model, batch = self.config.model, self.config.train.batch_size
            shape = model.num_layers, batch, model.hidden_size
            wanted |= dict.fromkeys(("state.h", "state.c"), (torch.float32, shape))
        generators = _generators(self.device)
        known = wanted | {name: _kind_of(one) for name, one in generators.items()}
        if "random.cuda" in names:  # of another device, it is not read
            known.setdefault("random.cuda", _kind_of(names["random.cuda"]))
        for name in sorted(wanted.keys() | names.keys()):
            found = _kind_of(names[name]) if name in names else None
            if found != known.get(name):
                raise CheckpointError(
                    f"{where}: not what resuming needs: {name} is {_told(found)}, not"
                    f" {_told(known.get(name))}"
                )

    def _check_same(self, checkpoint: Checkpoint, where: str) -> None:
        if "random.cpu" not in checkpoint.tensors:
            raise CheckpointError(
                f"{where}: last.safetensors holds weights only, not what resuming needs"
            )
        other_data = checkpoint.extra.get("fingerprint") != self.fingerprint
        found = changes(checkpoint.config, self.config)
        if other_data:
            found.pop("model.copy", None)  # what auto comes to follows from the data
        kept = [f"{section}.{name}" for section, name in KEPT]
        if changed := [found[key] for key in kept if key in found]:
            raise CharseqError(
                f"{where}: cannot go on: {'; '.join(changed)}; set it back, in config.yaml or by"
                " leaving --set out, or train in another folder with --run"
            )
        if other_data:
            raise CharseqError(
                f"{where}: the data, or how it is read and split, has changed since this run"
                " began; train in another folder with --run, with train.init_from to begin with"
                " what this one has learned"
            )


Kind: TypeAlias = tuple[torch.dtype, tuple[int, ...]]


def _kind_of(tensor: Tensor) -> Kind:
    return tensor.dtype, tuple(tensor.shape)


def _told(kind: Kind | None) -> str:
    """``float32 (4, 3)``."""
    return "None" if kind is None else f"{str(kind[0]).removeprefix('torch.')} {kind[1]}"


def _generators(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's random generators that a training draws from."""
    states = {"random.cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["random.cuda"] = torch.cuda.get_rng_state(device)
    return states


def read_progress(checkpoint: Checkpoint, where: str) -> Progress:
    """The counters of a checkpoint. Raises CheckpointError where they cannot be read."""
    try:
        return TypeAdapter(Progress).validate_python(checkpoint.extra.get("progress"))
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"])) or "progress"
        raise CheckpointError(
            f"{where}: not what resuming needs: its counters cannot be read ({place}:"
            f" {error.errors()[0]['msg']})"
        ) from None

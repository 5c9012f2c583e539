"""Settings that both tasks have: most of the network, and of the training."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, model_validator

from charseq.config.schema.section import Backend, Section


class ModelConfig(Section):
    """The network, as far as both tasks have it."""

    hidden_size: int = Field(
        256, ge=1, le=65536, description="width of h and c", json_schema_extra={"unit": "units"}
    )
    num_layers: int = Field(1, ge=1, le=64, description="LSTM layers on top of each other")
    embedding_size: int | None = Field(
        None,
        ge=1,
        le=65536,
        description="symbols enter as vectors of this width that are learned; null: as one-hot",
        json_schema_extra={"unit": "units"},
    )
    dropout: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="probability of dropping an output of a layer",
        json_schema_extra={"unit": "probability"},
    )
    input_dropout: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="probability of dropping a unit of an embedding, or a whole one-hot symbol",
        json_schema_extra={"unit": "probability"},
    )
    locked_dropout: bool = Field(
        False,
        description="one dropout mask for all time steps of a sequence (Gal and Ghahramani 2016)",
    )
    weight_drop: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="probability of dropping a recurrent weight for a whole batch (Merity 2018)",
        json_schema_extra={"unit": "probability"},
    )
    zoneout: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="probability with which a unit keeps its cell state for a step (Krueger 2017)",
        json_schema_extra={"unit": "probability"},
    )
    forget_bias: float = Field(
        1.0, ge=-10.0, le=10.0, description="initial bias of the forget gate (Jozefowicz 2015)"
    )
    backend: Backend = Field(
        "auto",
        description="fused: compiled; manual: hand-derived backward in torch; reference: autograd; "
        "torch: nn.LSTM; auto: fused where it can be built, else manual; on a GPU torch",
    )

    def _mistakes(self) -> Iterator[str]:
        if self.zoneout > 0.0 and self.backend == "torch":
            yield "backend: torch has no zoneout; choose auto, fused, manual or reference"


class TrainConfig(Section):
    """The training run: batches, optimizer, schedule, when to look and when to stop."""

    max_steps: int | None = Field(
        5000,
        ge=1,
        description="stop after so many updates; null once another limit is set",
        json_schema_extra={"unit": "steps"},
    )
    max_epochs: float | None = Field(
        None,
        gt=0.0,
        description="stop after so many passes over the training data",
        json_schema_extra={"unit": "epochs"},
    )
    max_minutes: float | None = Field(
        None,
        gt=0.0,
        description="stop after so long, all sessions of the run together; the evaluation at the "
        "end may take a tenth longer, then it is given up",
        json_schema_extra={"unit": "minutes"},
    )
    precision: Literal["fp32", "bf16", "auto"] = Field(
        "fp32",
        description="bf16: the LSTM and a text's output layer multiply bfloat16 numbers and sum in "
        "float32, in training; weights stay float32; needs backend fused and AVX512-BF16, or a GPU "
        "(there all but the LSTM by autocast); auto: bf16 where it runs, else fp32",
    )
    learning_rate: float = Field(5e-3, gt=0.0, le=10.0, description="peak learning rate of AdamW")
    schedule: Literal["constant", "cosine", "step", "plateau"] = Field(
        "cosine", description="how the learning rate falls after the warm-up"
    )
    warmup_steps: int = Field(
        100,
        ge=0,
        description="the learning rate rises linearly over so many updates",
        json_schema_extra={"unit": "steps"},
    )
    final_learning_rate: float = Field(
        0.0, ge=0.0, description="the learning rate never falls below this"
    )
    decay: float = Field(
        0.5, gt=0.0, lt=1.0, description="step, plateau: factor of each fall of the learning rate"
    )
    decay_every: int = Field(
        1000,
        ge=1,
        description="step: updates between two falls",
        json_schema_extra={"unit": "steps"},
    )
    decay_patience: int = Field(
        1,
        ge=1,
        description="plateau: evaluations without a better `monitor` before a fall",
        json_schema_extra={"unit": "evaluations"},
    )
    beta1: float = Field(
        0.9, ge=0.0, lt=1.0, description="AdamW: decay of the mean of the gradient"
    )
    beta2: float = Field(0.99, ge=0.0, lt=1.0, description="AdamW: decay of the mean of its square")
    weight_decay: float = Field(
        0.01,
        ge=0.0,
        le=10.0,
        description="AdamW: decoupled decay of the weight matrices, not the biases",
    )
    clip_norm: float | None = Field(
        1.0, gt=0.0, description="gradients are scaled down to this Euclidean norm; null: never"
    )
    gradient_noise: float = Field(
        0.0,
        ge=0.0,
        le=100.0,
        description="variance of noise that is added to gradients; it falls with the steps "
        "(Neelakantan 2015); 0 for none",
    )
    label_smoothing: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="share of the target probability spread over all symbols",
        json_schema_extra={"unit": "probability"},
    )
    average_decay: float | None = Field(
        None,
        gt=0.0,
        lt=1.0,
        description="moving average of the weights, used to evaluate and sample; null: none",
    )
    eval_every: int = Field(
        500,
        ge=1,
        description="updates between two evaluations",
        json_schema_extra={"unit": "steps"},
    )
    save_every: int = Field(
        500,
        ge=1,
        description="updates between two checkpoints",
        json_schema_extra={"unit": "steps"},
    )
    log_every: int = Field(
        20,
        ge=1,
        description="updates between two lines of metrics",
        json_schema_extra={"unit": "steps"},
    )
    on_save_error: Literal["stop", "continue"] = Field(
        "stop",
        description="a checkpoint that cannot be written, on a full disk: stop, or go on and try "
        "again at the next one",
    )
    on_nan: Literal["stop", "rollback"] = Field(
        "stop",
        description="NaN or infinity in a loss, gradient or weight: stop with a diagnosis, or go "
        "back to the last checkpoint with half the learning rate",
    )
    max_rollbacks: int = Field(
        3, ge=1, le=30, description="rollback: stop at the NaN after so many of them"
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="stop after so many evaluations without a better `monitor`; null: never",
        json_schema_extra={"unit": "evaluations"},
    )
    init_from: str | None = Field(
        None,
        min_length=1,
        description="fine-tuning: a checkpoint, or a run folder with its best, whose weights a new "
        "training begins with; null: random weights",
    )
    seed: int = Field(
        0,
        ge=0,
        lt=2**63,
        description="seed of the initial weights, of dropout, of which pairs are spliced and in "
        "what order all come, and of where a pass over a text begins",
    )

    def epochs(self, steps_per_epoch: int) -> float | None:
        """After how many passes over the data max_steps or max_epochs ends it; None: neither."""
        limits = (self.max_steps and self.max_steps / steps_per_epoch, self.max_epochs)
        return min((limit for limit in limits if limit is not None), default=None)

    @model_validator(mode="before")
    @classmethod
    def _default_limit_yields(cls, data: Any) -> Any:
        """A file that says max_epochs or max_minutes, and only that, means just that."""
        if isinstance(data, dict) and "max_steps" not in data:
            others = (data.get("max_epochs"), data.get("max_minutes"))
            if any(limit is not None for limit in others):
                return {**data, "max_steps": None}
        return data

    def _mistakes(self) -> Iterator[str]:
        if self.max_steps is None and self.max_epochs is None and self.max_minutes is None:
            yield "max_steps: set max_steps, max_epochs or max_minutes, or training never ends"
        if self.final_learning_rate > self.learning_rate:
            yield "final_learning_rate: is above learning_rate"


def validation_mistakes(train: TrainConfig, share: float, own: str | None) -> Iterator[str]:
    """What needs validation data where it has neither a ``share`` nor a file of its ``own``."""
    if share == 0.0 and own is None:
        needs = "needs validation data, and data.split has no share for it"
        if train.patience is not None:
            yield f"train.patience: {needs}"
        if train.schedule == "plateau":
            yield f"train.schedule: plateau {needs}"

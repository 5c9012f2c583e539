"""Every setting of charseq: its name, type, bound, default, unit and one-line doc.

This is the only place where a default stands. The same fields make the errors, the JSON Schema, the
comments that ``charseq init`` writes and the table in ``docs/config.md``.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)


class Section(BaseModel):
    """A group of settings. Frozen: a run's settings never change while it runs."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def _mistakes(self) -> Iterator[str]:
        """Settings that do not go together, each as ``setting: why``."""
        return iter(())

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if mistakes := list(self._mistakes()):
            raise ValueError("\n".join(mistakes))
        return self


def _split_from_text(value: Any) -> Any:
    """Accept ``0.9/0.1/0`` as well as a list; a wrong type is left for the validator to name."""
    if not isinstance(value, str):
        return tuple(value) if isinstance(value, list) else value
    try:
        return tuple(float(part) for part in value.split("/"))
    except ValueError:
        return value


Share = Annotated[float, Field(ge=0.0, le=1.0)]
Split = Annotated[
    tuple[Share, Share, Share],
    BeforeValidator(_split_from_text),
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "array",
                    "items": {"type": "number", "minimum": 0, "maximum": 1},
                    "minItems": 3,
                    "maxItems": 3,
                },
                {"type": "string", "pattern": "^[0-9.eE+-]+(/[0-9.eE+-]+){2}$"},
            ]
        }
    ),
]
Backend = Literal["auto", "manual", "reference", "torch"]


class DataConfig(Section):
    """The text: where it comes from, how it becomes numbers, how it is split."""

    text: str = Field(
        description="training text: a file, relative to the current folder, or dataset:NAME from "
        "`charseq data list`",
        min_length=1,
    )
    valid_text: str | None = Field(
        None, description="validation text; taken from the end of `text` when null"
    )
    test_text: str | None = Field(
        None, description="test text; taken from the end of `text` when null"
    )
    split: Split = Field(
        (0.9, 0.05, 0.05),
        description="shares of `text` for train/valid/test, in that order, contiguous",
    )
    vocabulary: Literal["char", "byte"] = Field(
        "char", description="a symbol is a Unicode character, or one of 256 bytes"
    )
    min_count: int = Field(
        1,
        ge=1,
        description="characters seen less often than this are unknown",
        json_schema_extra={"unit": "occurrences"},
    )
    unknown: Literal["error", "skip", "replace"] = Field(
        "error",
        description="a character outside the vocabulary: refuse it, drop it, or read it as U+FFFD",
    )
    errors: Literal["raise", "replace"] = Field(
        "raise", description="bytes that are not UTF-8: refuse them, or read each as U+FFFD"
    )
    newlines: Literal["keep", "unix"] = Field(
        "keep", description="line endings: keep them, or turn CRLF and CR into LF"
    )

    def _mistakes(self) -> Iterator[str]:
        total = sum(self.split)
        if abs(total - 1.0) > 1e-6:
            yield f"split: the shares add up to {total:g}, not to 1"
        if self.split[0] == 0.0:
            yield "split: the share for training is 0"
        if self.vocabulary == "byte" and self.min_count > 1:
            yield "min_count: bytes are never unknown; remove it or use vocabulary: char"
        elif self.min_count > 1 and self.unknown == "error":
            yield "unknown: min_count makes rare characters unknown; set it to skip or replace"


class ModelConfig(Section):
    """The network: a stack of LSTM layers over one-hot characters, and a softmax."""

    hidden_size: int = Field(
        256, ge=1, le=65536, description="width of h and c", json_schema_extra={"unit": "units"}
    )
    num_layers: int = Field(1, ge=1, le=64, description="LSTM layers on top of each other")
    dropout: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="probability of dropping an output of a layer",
        json_schema_extra={"unit": "probability"},
    )
    locked_dropout: bool = Field(
        False,
        description="one dropout mask for all time steps of a window (Gal and Ghahramani 2016)",
    )
    forget_bias: float = Field(
        1.0, ge=-10.0, le=10.0, description="initial bias of the forget gate (Jozefowicz 2015)"
    )
    backend: Backend = Field(
        "auto",
        description="manual: hand-derived backward; reference: autograd; torch: nn.LSTM; "
        "auto: manual, on a GPU torch",
    )


class TrainConfig(Section):
    """The training run: batches, optimizer, schedule, when to look and when to stop."""

    batch_size: int = Field(
        64, ge=1, description="parallel streams of text", json_schema_extra={"unit": "streams"}
    )
    seq_len: int = Field(
        128,
        ge=1,
        description="characters between two updates (truncated BPTT)",
        json_schema_extra={"unit": "characters"},
    )
    max_steps: int | None = Field(
        5000,
        ge=1,
        description="stop after so many updates; null once another limit is set",
        json_schema_extra={"unit": "steps"},
    )
    max_epochs: float | None = Field(
        None,
        gt=0.0,
        description="stop after so many passes over the training text",
        json_schema_extra={"unit": "epochs"},
    )
    max_minutes: float | None = Field(
        None,
        gt=0.0,
        description="stop after so long, all sessions of the run together",
        json_schema_extra={"unit": "minutes"},
    )
    learning_rate: float = Field(2e-3, gt=0.0, le=10.0, description="peak learning rate of AdamW")
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
        description="plateau: evaluations without a better loss before a fall",
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
    patience: int | None = Field(
        None,
        ge=1,
        description="stop after so many evaluations without a better loss; null: never",
        json_schema_extra={"unit": "evaluations"},
    )
    seed: int = Field(0, ge=0, lt=2**63, description="seed of the initial weights and of dropout")

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


class SampleConfig(Section):
    """How `charseq sample` writes when its options say nothing else."""

    length: int = Field(
        500, ge=1, description="characters to write", json_schema_extra={"unit": "characters"}
    )
    temperature: float = Field(
        0.8, ge=0.0, le=100.0, description="0 takes the likeliest symbol; 1 samples from the model"
    )
    top_k: int | None = Field(
        None,
        ge=1,
        description="sample among the k likeliest symbols; null: all",
        json_schema_extra={"unit": "symbols"},
    )
    top_p: float | None = Field(
        None,
        gt=0.0,
        le=1.0,
        description="sample among the likeliest symbols that hold this probability (Holtzman 2020)",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="the same seed writes the same text")
    prime: str = Field("\n", description="text the model reads before it writes")


class Config(Section):
    """A whole run, as a YAML file states it."""

    task: Literal["lm"] = Field("lm", description="lm: a language model of a text")
    data: DataConfig
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    sample: SampleConfig = SampleConfig()

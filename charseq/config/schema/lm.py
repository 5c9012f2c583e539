"""``task: lm``: a language model of one text."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from charseq.config.schema.section import Section, Split, Unknown, split_mistakes
from charseq.config.schema.shared import ModelConfig, TrainConfig, validation_mistakes


class TextDataConfig(Section):
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
    unknown: Unknown = Field(
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
        yield from split_mistakes(self.split)
        if self.vocabulary == "byte" and self.min_count > 1:
            yield "min_count: bytes are never unknown; remove it or use vocabulary: char"
        elif self.min_count > 1 and self.unknown == "error":
            yield "unknown: min_count makes rare characters unknown; set it to skip or replace"


class LMModelConfig(ModelConfig):
    """The network: a stack of LSTM layers over characters, and a softmax."""


class _Windows(Section):
    batch_size: int = Field(
        64, ge=1, description="parallel streams of text", json_schema_extra={"unit": "streams"}
    )
    seq_len: int = Field(
        128,
        ge=1,
        description="characters between two updates (truncated BPTT)",
        json_schema_extra={"unit": "characters"},
    )


# The bases stand in this order because pydantic lists the settings of the last one first.
class LMTrainConfig(TrainConfig, _Windows):
    """The training run: batches, optimizer, schedule, when to look and when to stop."""

    shift_streams: bool = Field(
        False,
        description="each pass over the text begins elsewhere, so that it is never cut at the same "
        "places; for small texts that are passed over often",
    )
    monitor: Literal["loss", "accuracy"] = Field(
        "loss", description="the best checkpoint has the best validation value of this"
    )


class LMSampleConfig(Section):
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


class LMConfig(Section):
    """A whole run, as a YAML file states it."""

    task: Literal["lm"] = Field("lm", description="lm: a language model of a text")
    data: TextDataConfig
    model: LMModelConfig = LMModelConfig()
    train: LMTrainConfig = LMTrainConfig()
    sample: LMSampleConfig = LMSampleConfig()

    def _mistakes(self) -> Iterator[str]:
        yield from validation_mistakes(self.train, self.data.split[1], self.data.valid_text)

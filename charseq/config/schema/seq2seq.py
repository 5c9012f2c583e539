"""``task: seq2seq``: a model that reads a source and writes its target."""

import warnings
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, model_validator

from charseq.config.schema.section import Section, Split, Unknown, split_mistakes
from charseq.config.schema.shared import ModelConfig, TrainConfig, validation_mistakes


class PairDataConfig(Section):
    """The pairs: tab-separated files, one pair a line, and how a line becomes symbols."""

    train: str = Field(
        description="training pairs, a line each, source⇥target: a file (.gz too), relative to the "
        "current folder, or dataset:NAME/FILE from `charseq data list`",
        min_length=1,
    )
    valid: str | None = Field(None, description="validation pairs; a share of `train` when null")
    test: str | None = Field(None, description="test pairs; a share of `train` when null")
    split: Split = Field(
        (0.9, 0.05, 0.05),
        description="shares of the sources of `train` for train/valid/test; a random draw puts "
        "no source in two of them",
    )
    split_seed: int = Field(0, ge=0, lt=2**63, description="seed of that draw")
    source_column: int | str = Field(
        1, description="the column of the source: its number from 1, or its name in a header line"
    )
    target_column: int | str = Field(2, description="the column of the target, as `source_column`")
    features_column: int | str | None = Field(
        None, description="the column of tags, separated by ';', that the model reads too"
    )
    further_targets: bool = Field(
        False, description="the columns after the target's are further right answers"
    )
    source_separator: str = Field(
        "", description='what separates the symbols of a source; "": each character is one'
    )
    target_separator: str = Field(
        "", description='what separates the symbols of a target; "": each character is one'
    )
    normalize: Literal["none", "NFC", "NFD", "NFKC", "NFKD"] = Field(
        "none",
        description="Unicode normalization of sources; NFD takes é and 한 apart",
    )
    reverse_source: bool = Field(
        False, description="read sources from their end to their start (Sutskever 2014)"
    )
    max_source_length: int = Field(
        200,
        ge=1,
        description="a longer source is a mistake of the data: see `errors`",
        json_schema_extra={"unit": "symbols"},
    )
    max_target_length: int = Field(
        200,
        ge=1,
        description="a longer target is such a mistake too; what the model writes is cut off there",
        json_schema_extra={"unit": "symbols"},
    )
    min_count: int = Field(
        1,
        ge=1,
        description="symbols seen less often than this in training are unknown",
        json_schema_extra={"unit": "occurrences"},
    )
    unknown: Unknown = Field(
        "skip",
        description="a source symbol that training lacks, in validation and `charseq eval`: refuse "
        "it, drop it where there are others, or read it as the unknown symbol, which training has "
        "with `min_count` above 1 alone: then that is the default; `charseq sample` has its own "
        "--unknown",
    )
    errors: Literal["raise", "skip"] = Field(
        "raise",
        description="lines without a tab, with an empty side, too long, twice there: refuse the "
        "file, or leave them out and count them",
    )

    @model_validator(mode="before")
    @classmethod
    def _unknown_where_it_is_trained(cls, data: Any) -> Any:
        """Rare symbols, which training has as the unknown one, are read so afterwards."""
        if isinstance(data, dict) and "unknown" not in data:
            rare = data.get("min_count")
            if isinstance(rare, int) and rare > 1:
                return {**data, "unknown": "replace"}
        return data

    def _mistakes(self) -> Iterator[str]:
        yield from split_mistakes(self.split)
        columns = {
            "source_column": self.source_column,
            "target_column": self.target_column,
            "features_column": self.features_column,
        }
        for name, column in columns.items():
            if column == "" or (isinstance(column, int) and column < 1):
                yield f"{name}: is neither a number from 1 nor a name"
        for name, column in columns.items():
            same = next((other for other in columns if columns[other] == column), name)
            if column is not None and same != name:
                yield f"{name}: is the column of {same} too"
        for name in ("source_separator", "target_separator"):
            if len(getattr(self, name)) > 1 or getattr(self, name) in ("\t", "\n"):
                yield f"{name}: must be one character, or none, but not a tab or a line end"
        if self.min_count > 1 and self.unknown == "error":
            yield "unknown: min_count makes rare symbols unknown; set it to skip or replace"


with warnings.catch_warnings():  # `copy` hides a method that pydantic has given up
    warnings.simplefilter("ignore", UserWarning)

    class Seq2SeqModelConfig(ModelConfig):
        """The network: an LSTM reads the source, another with attention writes the target."""

        bidirectional: bool = Field(
            True, description="the encoder reads both ways, each with half of `hidden_size`"
        )
        attention: Literal["none", "dot", "general", "additive", "monotonic"] = Field(
            "general",
            description="how the decoder looks back at the source (Luong 2015; additive: Bahdanau "
            "2015; monotonic: at one place, which never moves back, Wu and Cotterell 2019)",
        )
        input_feeding: bool = Field(
            False, description="what attention found enters the next step (Luong 2015); slower"
        )
        coverage: bool = Field(
            False, description="attention sees what it has looked at before (See 2017); slower"
        )
        copy: bool | Literal["auto"] = Field(  # type: ignore[assignment]
            False,
            description="symbols may be copied from the source (See 2017); auto: where at "
            "least three quarters of the different target symbols are source symbols too",
        )

        def _mistakes(self) -> Iterator[str]:
            yield from super()._mistakes()
            if self.bidirectional and self.hidden_size % 2:
                yield "hidden_size: must be even for an encoder that reads both ways"
            if self.attention == "none" and self.copy is True:
                yield "copy: needs attention; set model.attention"
            for name in ("input_feeding", "coverage"):
                if getattr(self, name) and self.attention in ("none", "monotonic"):
                    yield f"{name}: needs attention that weighs places: dot, general or additive"


class _PairBatches(Section):
    batch_size: int = Field(
        64, ge=1, description="pairs between two updates", json_schema_extra={"unit": "pairs"}
    )


# The bases stand in this order because pydantic lists the settings of the last one first.
class Seq2SeqTrainConfig(TrainConfig, _PairBatches):
    """The training run: batches, optimizer, schedule, when to look and when to stop."""

    scheduled_sampling: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="share of the decoder's inputs that are its own predictions (Bengio 2015)",
        json_schema_extra={"unit": "probability"},
    )
    spliced_pairs: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="at most so many further pairs to train on, of the beginning of one and the "
        "end of another, cut where both have the same symbols (Ryan and Hulden 2020); for few "
        "pairs whose targets are in the order of their sources",
        json_schema_extra={"unit": "pairs"},
    )
    monitor: Literal["loss", "accuracy", "ser"] = Field(
        "accuracy",
        description="the best checkpoint has the best validation value of this; ser: symbol "
        "error rate",
    )
    eval_limit: int | None = Field(
        1000,
        ge=1,
        description="validation sources, a fixed random choice, that an evaluation converts",
        json_schema_extra={"unit": "sources"},
    )


class Seq2SeqSampleConfig(Section):
    """How `charseq sample` converts when its options say nothing else."""

    beam: int = Field(5, ge=1, le=1000, description="hypotheses that the search keeps; 1: greedy")
    length_penalty: float = Field(
        0.0, ge=0.0, le=10.0, description="favours longer targets; alpha of Wu 2016, eq. 14"
    )
    seed: int = Field(0, ge=0, lt=2**63, description="seed of sampling with --temperature")


class Seq2SeqConfig(Section):
    """A whole run, as a YAML file states it."""

    task: Literal["seq2seq"] = Field(
        "seq2seq", description="seq2seq: a model that turns sources into targets"
    )
    data: PairDataConfig
    model: Seq2SeqModelConfig = Seq2SeqModelConfig()
    train: Seq2SeqTrainConfig = Seq2SeqTrainConfig()
    sample: Seq2SeqSampleConfig = Seq2SeqSampleConfig()

    def _mistakes(self) -> Iterator[str]:
        yield from validation_mistakes(self.train, self.data.split[1], self.data.valid)
        if self.train.spliced_pairs and self.data.reverse_source:
            yield (
                "train.spliced_pairs: needs targets in the order of their sources, and "
                "data.reverse_source turns the sources: set only one of them"
            )

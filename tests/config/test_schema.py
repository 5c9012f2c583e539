"""What the schema itself promises: frozen settings, and combinations that cannot be."""

import pytest
from pydantic import ValidationError

from charseq.config.schema.lm import LMConfig, LMTrainConfig, TextDataConfig
from charseq.config.schema.seq2seq import PairDataConfig, Seq2SeqConfig, Seq2SeqModelConfig


def test_settings_do_not_change_while_a_run_uses_them() -> None:
    config = LMConfig(data=TextDataConfig(text="book.txt"))
    with pytest.raises(ValidationError, match="frozen"):
        config.train.batch_size = 8  # type: ignore[misc]


def test_a_split_is_written_as_a_list_or_with_slashes() -> None:
    for split in ([0.9, 0.1, 0], "0.9/0.1/0", (0.9, 0.1, 0.0)):
        assert TextDataConfig.model_validate({"text": "a", "split": split}).split == (0.9, 0.1, 0.0)


@pytest.mark.parametrize(
    ("settings", "setting"),
    [
        ({"split": "0.9/0.2/0"}, "split"),
        ({"split": "0/0.5/0.5"}, "split"),
        ({"vocabulary": "byte", "min_count": 2}, "min_count"),
        ({"min_count": 2}, "unknown"),
    ],
)
def test_settings_of_the_text_that_contradict_each_other(
    settings: dict[str, object], setting: str
) -> None:
    with pytest.raises(ValidationError, match=f"Value error, {setting}: "):
        TextDataConfig.model_validate({"text": "a", **settings})


@pytest.mark.parametrize(
    ("settings", "setting"),
    [
        ({"max_steps": None}, "max_steps"),
        ({"final_learning_rate": 0.1}, "final_learning_rate"),
    ],
)
def test_settings_of_the_training_that_contradict_each_other(
    settings: dict[str, object], setting: str
) -> None:
    with pytest.raises(ValidationError, match=f"Value error, {setting}: "):
        LMTrainConfig.model_validate(settings)


@pytest.mark.parametrize(
    ("settings", "setting"),
    [
        ({"split": "0.9/0.2/0"}, "split"),
        ({"source_column": 0}, "source_column"),
        ({"features_column": ""}, "features_column"),
        ({"features_column": 2}, "features_column"),
        ({"source_column": "word", "target_column": "word"}, "target_column"),
        ({"target_separator": "\t"}, "target_separator"),
        ({"source_separator": "--"}, "source_separator"),
        ({"min_count": 2, "unknown": "error"}, "unknown"),
    ],
)
def test_settings_of_pairs_that_contradict_each_other(
    settings: dict[str, object], setting: str
) -> None:
    with pytest.raises(ValidationError, match=f"Value error, {setting}: "):
        PairDataConfig.model_validate({"train": "a", **settings})


@pytest.mark.parametrize(
    ("settings", "setting"),
    [
        ({"hidden_size": 7}, "hidden_size"),
        ({"attention": "none", "input_feeding": True}, "input_feeding"),
        ({"attention": "none", "copy": True}, "copy"),
        ({"attention": "none", "coverage": True}, "coverage"),
        ({"attention": "monotonic", "coverage": True}, "coverage"),
        ({"attention": "monotonic", "input_feeding": True}, "input_feeding"),
    ],
)
def test_settings_of_an_encoder_and_decoder_that_contradict_each_other(
    settings: dict[str, object], setting: str
) -> None:
    with pytest.raises(ValidationError, match=f"Value error, {setting}: "):
        Seq2SeqModelConfig.model_validate(settings)


@pytest.mark.parametrize(
    ("train", "setting"),
    [({"patience": 2}, "train.patience"), ({"schedule": "plateau"}, "train.schedule")],
)
def test_what_needs_validation_data_where_there_is_none(
    train: dict[str, object], setting: str
) -> None:
    text = {"text": "a", "split": "1/0/0"}
    pairs = {"train": "a", "split": "0.9/0/0.1"}
    with pytest.raises(ValidationError, match=f"Value error, {setting}: .*needs validation data"):
        LMConfig.model_validate({"data": text, "train": train})
    with pytest.raises(ValidationError, match=f"Value error, {setting}: .*needs validation data"):
        Seq2SeqConfig.model_validate({"data": pairs, "train": train})
    LMConfig.model_validate({"data": {**text, "valid_text": "b"}, "train": train})
    Seq2SeqConfig.model_validate({"data": {**pairs, "valid": "b"}, "train": train})


def test_all_contradictions_are_named_together() -> None:
    with pytest.raises(ValidationError, match=r"max_steps: [^\n]*\nfinal_learning_rate: "):
        LMTrainConfig(max_steps=None, final_learning_rate=1)


def test_the_default_number_of_steps_yields_to_another_limit() -> None:
    assert LMTrainConfig().max_steps == 5000
    assert LMTrainConfig(max_minutes=5).max_steps is None
    assert LMTrainConfig(max_epochs=2).max_steps is None
    assert LMTrainConfig(max_steps=10, max_minutes=5).max_steps == 10
    assert LMTrainConfig(max_minutes=None).max_steps == 5000

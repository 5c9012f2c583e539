"""What the schema itself promises: frozen settings, and combinations that cannot be."""

import pytest
from pydantic import ValidationError

from charseq.config.schema import Config, DataConfig, TrainConfig


def test_settings_do_not_change_while_a_run_uses_them() -> None:
    config = Config(data=DataConfig(text="book.txt"))
    with pytest.raises(ValidationError, match="frozen"):
        config.train.batch_size = 8  # type: ignore[misc]


def test_a_split_is_written_as_a_list_or_with_slashes() -> None:
    for split in ([0.9, 0.1, 0], "0.9/0.1/0", (0.9, 0.1, 0.0)):
        assert DataConfig.model_validate({"text": "a", "split": split}).split == (0.9, 0.1, 0.0)


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
        DataConfig.model_validate({"text": "a", **settings})


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
        TrainConfig.model_validate(settings)


def test_all_contradictions_are_named_together() -> None:
    with pytest.raises(ValidationError, match=r"max_steps: [^\n]*\nfinal_learning_rate: "):
        TrainConfig(max_steps=None, final_learning_rate=1)


def test_the_default_number_of_steps_yields_to_another_limit() -> None:
    assert TrainConfig().max_steps == 5000
    assert TrainConfig(max_minutes=5).max_steps is None
    assert TrainConfig(max_epochs=2).max_steps is None
    assert TrainConfig(max_steps=10, max_minutes=5).max_steps == 10
    assert TrainConfig(max_minutes=None).max_steps == 5000

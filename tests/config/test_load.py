"""From a YAML file and ``--set`` options to settings, and back; what is said about mistakes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from charseq.config import config_from_json, config_to_json, dump_config, load_config
from charseq.config.schema.lm import (
    LMConfig,
    LMModelConfig,
    LMSampleConfig,
    LMTrainConfig,
    TextDataConfig,
)
from charseq.config.schema.seq2seq import PairDataConfig
from charseq.errors import ConfigError

SHORT = "data:\n  text: book.txt\n"
COMPLETE = dump_config(LMConfig(data=TextDataConfig(text="book.txt")))


def lm_config(file: Path) -> LMConfig:
    config = load_config(file)
    assert isinstance(config, LMConfig)
    return config


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration file that a test fills."""
    path = tmp_path / "run.yaml"
    path.write_text(SHORT)
    return path


def problems(path: Path, *overrides: str) -> list[str]:
    """What is reported, without the name of the file."""
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return [problem.removeprefix(f"{path}:") for problem in caught.value.problems]


# Reading a file


@pytest.mark.parametrize(
    ("name", "what", "option"),
    [("words.tsv", "a file of pairs", "--pairs"), ("words.txt", "a text", "--text")],
)
def test_data_is_told_from_a_configuration(
    name: str, what: str, option: str, tmp_path: Path
) -> None:
    data = tmp_path / name
    data.write_text("cat\tk æ t\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(data)
    assert str(caught.value) == (
        f"{data}: is {what}, not a configuration; "
        f"`charseq init words.yaml {option} {data}` writes one for it"
    )
    data.write_text(SHORT, encoding="utf-8")
    assert lm_config(data).data.text == "book.txt"  # a name alone says little


def test_what_a_file_leaves_out_has_its_default(file: Path) -> None:
    assert lm_config(file) == LMConfig(data=TextDataConfig(text="book.txt"))


def test_settings_are_read_in_every_notation(file: Path) -> None:
    file.write_text(
        "task: lm\n"
        "data: {text: 'no', valid_text: no, split: 0.9/0.1/0}\n"
        "model:\n"
        "  hidden_size: 1e2   # a whole number all the same\n"
        "  dropout: 0\n"
        "train:\n"
        "  learning_rate: 3e-4\n"
        "  max_steps: ~\n"
        "  max_epochs: 2\n"
        'sample: {prime: "Ā\\n"}\n'
    )
    config = lm_config(file)
    assert config.data.text == config.data.valid_text == "no"
    assert config.data.split == (0.9, 0.1, 0.0)
    assert config.model.hidden_size == 100
    assert type(config.model.hidden_size) is int
    assert type(config.model.dropout) is float
    assert config.train.learning_rate == 0.0003
    assert config.train.max_steps is None
    assert config.train.max_epochs == 2.0
    assert config.sample.prime == "Ā\n"


def test_a_section_with_every_setting_commented_out_is_empty(file: Path) -> None:
    file.write_text(SHORT + "train:\n  # batch_size: 32\n")
    assert load_config(file).train == LMTrainConfig()


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"---\n", b"# notes\r\n", b"%YAML 1.2\n---\n"])
def test_marks_before_the_settings_do_no_harm(file: Path, before: bytes) -> None:
    file.write_bytes(before + SHORT.replace("\n", "\r\n").encode())
    assert lm_config(file).data.text == "book.txt"


def test_paths_stay_as_they_are_written(file: Path) -> None:
    file.write_text("data: {text: ../texts/./book.txt}")
    assert lm_config(file).data.text == "../texts/./book.txt"


def test_a_quoted_number_is_text(file: Path) -> None:
    file.write_text("data: {text: '1984'}\nmodel: {hidden_size: '64'}")
    assert problems(file) == [
        "2:22: model.hidden_size: expected a whole number, found the text '64' (did you mean 64?)"
    ]


def test_the_byte_after_a_byte_order_mark_is_counted_right(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfdata: {text: caf\xe9}\n")
    assert problems(file) == ["1:17: byte 0xe9 is not UTF-8; save the file as UTF-8"]


# Files that cannot be read


def test_a_misspelled_file_name_is_guessed(file: Path) -> None:
    wrong = file.with_name("rum.yaml")
    assert problems(wrong) == [f" no such file (did you mean '{file}'?)"]
    other = file.with_name("poem.yaml")  # they share no more than the ending
    assert problems(other) == [f" no such file; `charseq init {other}` writes one"]


def test_without_any_file_init_is_named(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    assert problems(file) == [f" no such file; `charseq init {file}` writes one"]


def test_a_run_folder_holds_the_configuration_that_is_meant(tmp_path: Path) -> None:
    assert problems(tmp_path) == [" is a folder; name a file in it"]
    inside = tmp_path / "config.yaml"
    inside.write_text(SHORT)
    assert problems(tmp_path) == [f" is a folder (did you mean '{inside}'?)"]


def test_a_path_through_a_file_is_reported(file: Path) -> None:
    assert problems(file / "run.yaml") == [" cannot be read: Not a directory"]


def test_a_file_that_never_ends_is_refused() -> None:
    zero = Path("/dev/zero")
    assert problems(zero) == [" is larger than 1 MiB; this is not a configuration"]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 500_000,
        "{" * 500_000,
        "- " * 500_000,
        "? " * 500_000,
        "a:\n" + "".join(f"{' ' * i}- a:\n" for i in range(1, 1000)),
        "[" + "1," * 500_000,
        "".join(f"setting{i}: 1\n" for i in range(50_000)),
        'data: {text: "\\UFFFFFFFF"}',
        "%YAML 1." + "1" * 5000 + "\n---\n",
    ],
    ids=lambda text: text[:9],
)
def test_a_hostile_file_is_refused_at_once(file: Path, text: str) -> None:
    file.write_text(text)
    assert len(problems(file)) < 1000


def test_a_huge_number_is_out_of_range_and_not_a_crash(file: Path) -> None:
    file.write_text(SHORT + f"train: {{seed: {'9' * 5000}, batch_size: -{'9' * 200}}}")
    assert [problem.partition("train.")[2] for problem in problems(file)] == [
        "seed: must be a finite number, found inf",
        "batch_size: must be at least 1, found -10^20 or beyond",
    ]


def test_a_terminal_is_not_controlled_by_a_message(file: Path) -> None:
    file.write_text(SHORT + '"\\e[31mred": 1\ntrain: {schedule: "\\e[2J"}')
    assert "\x1b" not in "".join(problems(file))


# Characters that mean something in YAML, and damaged pieces of a good file.
indicators = st.text("ab:-[]{}&*!|>'\"%#@,? \n\t1.e~<\\")
damaged = st.builds(
    lambda at, length, text: COMPLETE[:at] + text + COMPLETE[at + length :],
    st.integers(0, len(COMPLETE)),
    st.integers(0, 20),
    indicators,
)


@given(st.text() | indicators | damaged)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_at_all_is_settings_or_mistakes(file: Path, text: str) -> None:
    file.write_bytes(text.encode())
    try:
        load_config(file)
    except ConfigError as error:
        for problem in error.problems:
            assert problem.startswith(f"{file}:")
            assert problem.isprintable()


# Overrides


def test_overrides_win_over_the_file_and_later_ones_over_earlier(file: Path) -> None:
    file.write_text(SHORT + "train: {batch_size: 32, seed: 1}\nmodel:\n")
    config = load_config(
        file,
        [
            "train.batch_size=16",
            "train.batch_size=8",
            "train.max_steps=null",
            "train.max_epochs=2",
            "data.split=0.9/0.1/0",
            "model.dropout = .5",
            "sample.prime='a = b'",
        ],
    )
    assert config == LMConfig(
        data=TextDataConfig(text="book.txt", split=(0.9, 0.1, 0.0)),
        model=LMModelConfig(dropout=0.5),
        train=LMTrainConfig(batch_size=8, seed=1, max_steps=None, max_epochs=2.0),
        sample=LMSampleConfig(prime="a = b"),
    )


def test_an_override_mends_a_mistake_of_the_file(file: Path) -> None:
    file.write_text("data: {text: book.txt, split: [0.9, 7, 0]}\ntrain: {batch_size: many}")
    config = load_config(file, ["train.batch_size=8", "data.split=[0.5, 0.25, 0.25]"])
    assert (config.train.batch_size, config.data.split) == (8, (0.5, 0.25, 0.25))


@pytest.mark.parametrize(
    ("override", "why"),
    [
        ("train.batch_size", "expected key=value, as in --set train.max_steps=1000"),
        ("=5", "expected key=value, as in --set train.max_steps=1000"),
        (
            "train={batch_size: 5}",
            "train: is a section; set one of its settings, as in --set train.batch_size=…",
        ),
        (
            "learning_rate=1",
            "learning_rate: unknown key (did you mean 'train.learning_rate'?)",
        ),
        ("train.lr=1", "train.lr: unknown key (did you mean 'train.learning_rate'?)"),
        ("train.seed.first=1", "train.seed.first: unknown key (did you mean 'train.seed'?)"),
        ("trian.seed=1", "trian.seed: unknown key (did you mean 'train.seed' or 'sample.seed'?)"),
        (
            "train.batch_size=many",
            "train.batch_size: expected a whole number, found the text 'many'",
        ),
        ("sample.prime=", "sample.prime: expected text, found nothing (null)"),
        (
            "train.monitor=wer",
            "train.monitor: expected loss or accuracy, found the text 'wer' (did you mean"
            " accuracy?)",
        ),
        ("sample.prime=a: b", "sample.prime: expected text, found a group of settings"),
        ("sample.prime='a", "this quote is never closed"),
        (
            "data.text=!!str 5",
            "data.text: the tag !!str is refused; write the plain value without it",
        ),
        ("model.dropout=1", "model.dropout: must be below 1, found 1"),
        ("data.split=0.9/0.2/0", "data.split: the shares add up to 1.1, not to 1"),
        ("data.split=0.9/2/0", "data.split: each must be at most 1, found 2"),
        ("data.split=[0.9, 2, 0]", "data.split: each must be at most 1, found 2"),
    ],
)
def test_a_wrong_override_is_named_as_it_was_typed(file: Path, override: str, why: str) -> None:
    file.write_text("data: {text: book.txt, split: [0.9, 0.1, 0]}\n")
    assert problems(file, override) == [f"--set {override}: {why}"]


def test_an_empty_text_is_not_what_nothing_is(file: Path) -> None:
    file.write_text("task: seq2seq\ndata: {train: pairs.tsv, target_separator: ' '}\n")
    name = "data.target_separator"
    assert problems(file, f"{name}=") == [
        f'--set {name}=: {name}: expected text, found nothing (null) (did you mean ""?)'
    ]
    data = load_config(file, [f'{name}=""']).data
    assert isinstance(data, PairDataConfig)
    assert data.target_separator == ""


def test_mistakes_of_the_file_come_before_those_of_the_overrides(file: Path) -> None:
    file.write_text(SHORT + "colour: red\ntrain: {seed: x}\n")
    found = problems(file, "train.zeal=1", "model.num_layers=0")
    assert [problem.split(": ")[0] for problem in found] == [
        "3:1",
        "4:15",
        "--set train.zeal=1",
        "--set model.num_layers=0",
    ]


def test_an_override_is_checked_even_if_the_file_is_not_yaml(file: Path) -> None:
    file.write_text("data: [")
    assert [problem.split(": ")[0] for problem in problems(file, "train.lr=1")] == [
        "1:8",
        "--set train.lr=1",
    ]


def test_an_override_does_not_hide_that_a_section_is_no_section(file: Path) -> None:
    file.write_text("data: book.txt\n")
    assert problems(file, "data.text=other.txt") == [
        "1:7: data: expected settings below it, such as 'text: book.txt', found the text 'book.txt'"
    ]


# Writing settings, and reading them again

shares = st.sampled_from([(0.9, 0.05, 0.05), (1.0, 0.0, 0.0), (0.5, 0.25, 0.25), (1 / 3,) * 3])
seeds = st.integers(0, 2**63 - 1)
counts = st.integers(1, 10**12)
positive = st.floats(0, exclude_min=True, allow_infinity=False, allow_nan=False)
below_one = st.floats(0, 1, exclude_max=True)
texts = st.builds(
    TextDataConfig,
    text=st.text(min_size=1),
    valid_text=st.none() | st.text(),
    split=shares,
    min_count=counts,
    unknown=st.sampled_from(["skip", "replace"]),
    newlines=st.sampled_from(["keep", "unix"]),
)


def config_of(data: TextDataConfig) -> st.SearchStrategy[LMConfig]:
    validates = data.split[1] > 0 or data.valid_text is not None
    return st.builds(
        LMConfig,
        data=st.just(data),
        model=st.builds(
            LMModelConfig,
            hidden_size=st.integers(1, 65536),
            dropout=below_one,
            locked_dropout=st.booleans(),
            forget_bias=st.floats(-10, 10),
        ),
        train=st.builds(
            LMTrainConfig,
            batch_size=counts,
            max_epochs=st.none() | positive,
            max_minutes=st.none() | positive,
            learning_rate=st.floats(0, 10, exclude_min=True),
            clip_norm=st.none() | positive,
            patience=st.none() | counts if validates else st.none(),
            seed=seeds,
        ),
        sample=st.builds(LMSampleConfig, top_k=st.none() | counts, prime=st.text(), seed=seeds),
    )


configs = texts.flatmap(config_of)


@given(config=configs)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_written_settings_are_read_back(file: Path, config: LMConfig) -> None:
    file.write_text(dump_config(config), encoding="utf-8")
    assert load_config(file) == config


@given(config=configs)
@hypothesis_settings(deadline=None)
def test_settings_pass_through_a_checkpoint_as_json(config: LMConfig) -> None:
    assert (
        config_from_json(json.loads(json.dumps(config_to_json(config))), "a.safetensors") == config
    )


@pytest.mark.parametrize(
    "text", ["no", "null", "1e3", "010", " ", "a\nb", "- a", "é\u2028\x07", "#"]
)
def test_a_strange_text_survives_the_run_folder(file: Path, text: str) -> None:
    config = LMConfig(data=TextDataConfig(text=text), sample=LMSampleConfig(prime=text))
    file.write_text(dump_config(config), encoding="utf-8")
    assert lm_config(file).sample.prime == text


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ([], "expected the settings of a configuration"),
        (
            {"data": {"text": "a"}, "train": {"zeal": 1}},
            "train.zeal: unknown key",
        ),
        (
            {"data": {"text": "a"}, "model": {"hidden_size": "64"}},
            "model.hidden_size: expected a whole number, found the text '64' (did you mean 64?)",
        ),
        (
            {"data": {"text": "a"}, "train": {"final_learning_rate": 1.0}},
            "train.final_learning_rate: is above learning_rate",
        ),
    ],
)
def test_a_damaged_configuration_in_a_checkpoint_is_named(data: Any, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_from_json(data, "runs/a/last.safetensors: config")
    assert caught.value.problems == [f"runs/a/last.safetensors: config: {why}"]


def test_settings_come_without_torch() -> None:
    """A mistake in a configuration is reported before anything heavy is imported."""
    code = "import sys, charseq.config.template; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_json_escapes_what_is_above_u_ffff_as_a_pair(tmp_path: Path) -> None:
    """PyYAML reads the halves of a surrogate pair as two characters that no file name has."""
    path = tmp_path / "a.json"
    path.write_text(
        json.dumps({"data": {"text": "my \U0001f4d6.txt"}, "sample": {"prime": "\U0001f600é"}})
    )
    assert "\\ud83d\\udcd6" in path.read_text()
    config = load_config(path)
    assert isinstance(config, LMConfig)
    assert (config.data.text, config.sample.prime) == ("my \U0001f4d6.txt", "\U0001f600é")
    path.write_text('data: {text: "a\\ud83d.txt"}\n')
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == (
        f"{path}:1:14: data.text: \\ud83d is half of a surrogate pair; write the character itself"
    )

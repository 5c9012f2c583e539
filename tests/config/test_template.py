"""The commented file, the JSON Schema and the table say what the schema says."""

import json
from pathlib import Path

import pytest

from charseq.config import load_config
from charseq.config.schema.lm import LMConfig, LMTrainConfig, TextDataConfig
from charseq.config.schema.seq2seq import PairDataConfig, Seq2SeqConfig
from charseq.config.template import commented_config, json_schema, reference_table
from charseq.errors import CharseqError


def test_the_commented_file_holds_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "charseq.yaml"
    file.write_text(commented_config(None))
    assert load_config(file) == LMConfig(data=TextDataConfig(text="dataset:stdlib"))


@pytest.mark.parametrize("text", ["book.txt", "no", "a: b # c.txt", "Ā\n.txt", "x" * 200])
def test_any_text_can_be_trained_on(tmp_path: Path, text: str) -> None:
    file = tmp_path / "charseq.yaml"
    file.write_text(commented_config(text), encoding="utf-8")
    assert load_config(file) == LMConfig(data=TextDataConfig(text=text))


def test_a_long_value_has_its_remark_above_it() -> None:
    lines = commented_config("x" * 80).splitlines()
    at = lines.index(f"  text: {'x' * 80}")
    assert lines[at - 1].endswith("[text, not empty; required]")
    assert max(map(len, lines)) <= 100


def test_a_setting_stands_with_its_doc_unit_bound_and_default() -> None:
    lines = commented_config(None).splitlines()
    assert lines[0] == "# yaml-language-server: $schema=./charseq.schema.json"
    batch = lines.index("train:") + 1
    assert lines[batch : batch + 2] == [
        "  # parallel streams of text",
        "  batch_size: 64                        # whole number >= 1 (streams); default 64",
    ]
    facts = [line.split("#")[1].strip() for line in lines if line.startswith("  ") and ":" in line]
    for expected in (
        "text, not empty; required",
        "3 numbers >= 0, <= 1; default [0.9, 0.05, 0.05]",
        "constant | cosine | step | plateau; default cosine",
        "true or false; default false",
        "number > 0, < 1 or null; default null",
        "whole number >= 0, < 2^63; default 0",
    ):
        assert expected in facts


def test_every_line_fits_on_a_screen_and_every_remark_is_aligned() -> None:
    lines = commented_config(None).splitlines()
    assert max(map(len, lines)) <= 100
    settings = [line for line in lines if ": " in line.split("#")[0]]
    assert {line.index("  # ") for line in settings} == {38}


def test_the_commands_to_type_next_name_the_file_and_its_run() -> None:
    head = commented_config(None, file="books/my book.yaml")
    assert "#   charseq train 'books/my book.yaml' " in head
    assert "#   charseq sample 'runs/my book' " in head
    tagged = commented_config("p.tsv", "seq2seq", found={("data", "features_column"): 3})
    assert '#   charseq sample runs/charseq "a source" --features TAGS ' in tagged


def test_a_line_break_in_the_name_of_the_file_stays_out_of_the_comments(tmp_path: Path) -> None:
    file = tmp_path / "charseq.yaml"
    file.write_text(commented_config(None, file="a\nb: c.yaml"))
    assert load_config(file).data == TextDataConfig(text="dataset:stdlib")


def test_an_unknown_task_is_refused() -> None:
    for make in (lambda: commented_config(None, "lmm"), lambda: json_schema("lmm")):
        with pytest.raises(CharseqError, match=r"unknown task 'lmm' \(did you mean 'lm'\?\)"):
            make()


def test_an_editor_learns_types_bounds_defaults_and_docs_from_the_json_schema() -> None:
    schema = json_schema("lm")
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "charseq configuration"
    assert schema["required"] == ["data"]
    assert schema["properties"]["task"]["const"] == "lm"
    assert schema["properties"]["train"] == {
        "anyOf": [{"$ref": "#/$defs/LMTrainConfig"}, {"type": "null"}],
        "description": LMTrainConfig.__doc__,
    }
    train = schema["$defs"]["LMTrainConfig"]["properties"]
    assert train["batch_size"] == {
        "type": "integer",
        "minimum": 1,
        "default": 64,
        "description": "parallel streams of text (streams)",
    }
    assert train["max_epochs"]["anyOf"] == [
        {"type": "number", "exclusiveMinimum": 0.0},
        {"type": "null"},
    ]
    assert schema["$defs"]["TextDataConfig"]["required"] == ["text"]
    assert [
        one["type"] for one in schema["$defs"]["TextDataConfig"]["properties"]["split"]["anyOf"]
    ] == [
        "array",
        "string",
    ]
    parts = [schema, *schema["$defs"].values()]
    assert [part["additionalProperties"] for part in parts] == [False] * 5
    assert all(
        setting["description"] for part in parts[1:] for setting in part["properties"].values()
    )
    assert json.loads(json.dumps(schema)) == schema


def test_a_schema_for_every_task_chooses_by_the_task() -> None:
    schema = json_schema()
    assert schema["if"]["properties"]["task"] == {"const": "seq2seq"}
    assert schema["then"]["properties"]["data"] == {"$ref": "#/$defs/PairDataConfig"}
    assert schema["else"]["properties"]["data"] == {"$ref": "#/$defs/TextDataConfig"}
    assert schema["then"]["required"] == ["task", "data"]
    assert schema["else"]["required"] == ["data"]


def test_the_commented_file_of_pairs_holds_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "charseq.yaml"
    file.write_text(commented_config("pairs.tsv", "seq2seq"))
    assert load_config(file) == Seq2SeqConfig(data=PairDataConfig(train="pairs.tsv"))


def test_every_setting_has_a_row_in_the_docs() -> None:
    table = reference_table()
    assert table.startswith("# Configuration\n")
    assert (
        "| `max_steps` | whole number or null | `5000` | >= 1, steps "
        "| stop after so many updates; null once another limit is set |"
    ) in table
    assert "| `vocabulary` | char \\| byte | `char` |  |" in table
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    settings = [
        line
        for task in ("lm", "seq2seq")
        for line in commented_config(None, task).splitlines()
        if ": " in line.split("#")[0] and not line.startswith("task:")
    ]
    assert [row.split("`")[1] for row in rows] == [line.split(":")[0].strip() for line in settings]

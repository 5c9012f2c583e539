"""Configurations broken on purpose: each is refused, and these are all the lines that say why.

A new file in ``tests/broken_configs`` needs its lines here.
"""

from pathlib import Path

import pytest

from charseq.config import load_config
from charseq.errors import ConfigError

FOLDER = Path(__file__).parent.parent / "broken_configs"

WRITE_OUT = "write the value out where it is needed"
COLON = (
    "this colon does not fit: put a text that holds one in quotes, or check the indentation "
    "and the space after each colon"
)

REPORTED = {
    "alias.yaml": [
        f"3:8: model: the anchor &small is refused; {WRITE_OUT}",
        f"5:8: train: the alias *small is refused; {WRITE_OUT}",
    ],
    "alias_bomb.yaml": [
        f"1:4: a: the anchor &a is refused; {WRITE_OUT}",
        f"2:4: b: the anchor &b is refused; {WRITE_OUT}",
        *(f"2:{8 + 4 * i}: b: the alias *a is refused; {WRITE_OUT}" for i in range(9)),
        f"3:4: c: the anchor &c is refused; {WRITE_OUT}",
        *(f"3:{8 + 4 * i}: c: the alias *b is refused; {WRITE_OUT}" for i in range(9)),
        f"4:4: d: the anchor &d is refused; {WRITE_OUT}",
        *(f"4:{8 + 4 * i}: d: the alias *c is refused; {WRITE_OUT}" for i in range(9)),
        f"6:9: data.text: the alias *d is refused; {WRITE_OUT}",
    ],
    "colon_in_text.yaml": [
        f"2:14: {COLON}",
    ],
    "control_character.yaml": [
        "2:13: the character U+0000 is not allowed in YAML",
    ],
    "deep.yaml": [
        "2:15: nested more than 8 levels deep; settings need two",
    ],
    "duplicate_keys.yaml": [
        "6:3: train.batch_size: is given twice; the first is on line 4; remove one",
        "7:1: data: is given twice; the first is on line 1; remove one",
    ],
    "empty.yaml": [
        "1:1: holds no settings; `charseq init` writes a complete file",
    ],
    "impossible_combinations.yaml": [
        "1:1: data.unknown: min_count makes rare characters unknown; set it to skip or replace",
        "3:10: data.split: the shares add up to 1.1, not to 1",
        "5:18: model.backend: torch has no zoneout; choose auto, fused, manual or reference",
        "8:14: train.max_steps: set max_steps, max_epochs or max_minutes, or training never ends",
        "10:24: train.final_learning_rate: is above learning_rate",
    ],
    "indentation.yaml": [
        (
            "3:2: this does not fit the lines above: compare their indentation, look for a "
            "missing colon"
        ),
    ],
    "item_of_list.yaml": [
        "3:10: data.split: expected 3 numbers such as 0.9/0.05/0.05, found [0.9, many, 0.1]",
    ],
    "large_numbers.yaml": [
        "4:16: model.hidden_size: must be a finite number, found inf",
        "5:12: model.dropout: must be a finite number, found nan",
        "7:9: train.seed: must be below 9223372036854775808, found 9223372036854775808",
    ],
    "latin1.yaml": [
        "2:12: byte 0xe9 is not UTF-8; save the file as UTF-8",
    ],
    "list.yaml": [
        "2:1: expected settings such as 'task: lm', found a list",
    ],
    "merge_key.yaml": [
        f"6:3: train: the merge key << is refused; {WRITE_OUT}",
        "7:12: train.seq_len: expected a whole number, found the text 'long'",
    ],
    "missing_space.yaml": [
        (
            "2:3: data: expected settings below it, such as 'text: book.txt', found the "
            "text 'text:book.txt' (is the space after the colon missing?)"
        ),
    ],
    "missing_text.yaml": [
        (
            "3:1: data.text: is missing (training text: a file, relative to the current "
            "folder, or dataset:NAME from `charseq data list`)"
        ),
    ],
    "only_comments.yaml": [
        "1:1: holds no settings; `charseq init` writes a complete file",
    ],
    "other_task.yaml": [
        "4:3: data.text: is a setting of `task: lm`, and this is `task: seq2seq`",
        "5:18: data.source_column: expected a whole number or text, found [1]",
        (
            "7:14: model.attention: expected none, dot, general, additive or "
            "monotonic, found the text 'luong'"
        ),
        (
            "8:9: model.copy: expected true, false or auto, found the text 'Auto' (did you mean "
            "auto?)"
        ),
        "10:3: train.seq_len: is a setting of `task: lm`, and this is `task: seq2seq`",
    ],
    "out_of_range.yaml": [
        "2:9: data.text: must not be empty",
        "3:10: data.split: each must be at most 1, found 1.1",
        "3:10: data.split: each must be at least 0, found -1",
        "5:16: model.hidden_size: must be at least 1, found 0",
        "6:15: model.num_layers: must be at most 64, found 65",
        "7:12: model.dropout: must be below 1, found 1",
        "9:18: train.learning_rate: must be above 0, found 0",
        "10:15: train.max_epochs: must be above 0, found -2",
        "12:10: sample.top_p: must be at most 1, found 1.5",
    ],
    "python_tag.yaml": [
        (
            "1:7: data: the tag !!python/object/apply:os.system is refused; write the plain"
            " value without it"
        ),
        "3:16: model.hidden_size: the tag !!int is refused; write the plain value without it",
        "4:12: model.backend: the tag !fast is refused; write the plain value without it",
    ],
    "section_is_a_value.yaml": [
        (
            "3:8: model: expected settings below it, such as 'hidden_size: 256', found the "
            "text 'small'"
        ),
        "5:3: train: expected settings below it, such as 'batch_size: 64', found a list of 1",
    ],
    "spliced_and_reversed.yaml": [
        "6:18: train.spliced_pairs: needs targets in the order of their sources, and "
        "data.reverse_source turns the sources: set only one of them",
    ],
    "tab.yaml": [
        "2:1: a tab; YAML is indented with spaces",
    ],
    "task_not_named.yaml": [
        "1:1: task: is missing; the settings are those of `task: seq2seq`",
    ],
    "two_documents.yaml": [
        "4:1: a second document begins here; keep one, and one '---' at most",
    ],
    "unclosed_bracket.yaml": [
        "3:10: this [ is not closed, or a comma is missing in it",
    ],
    "unclosed_quote.yaml": [
        "2:9: this quote is never closed",
    ],
    "unknown_keys.yaml": [
        "3:1: learning_rate: unknown key (did you mean 'train.learning_rate'?)",
        "4:1: seed: unknown key (did you mean 'train.seed' or 'sample.seed'?)",
        "5:1: trian: unknown key (did you mean 'train'?)",
        (
            "7:1: train.patience: unknown key (write 'patience:' on a line of its own below"
            " 'train:')"
        ),
        "9:3: model.hiden_size: unknown key (did you mean 'model.hidden_size'?)",
        "10:3: model.batch-size: unknown key (did you mean 'train.batch_size'?)",
        "11:3: model.layers: unknown key (did you mean 'model.num_layers'?)",
        "12:3: model.colour: unknown key",
        "14:3: train.lr: unknown key (did you mean 'train.learning_rate'?)",
    ],
    "unnamed_keys.yaml": [
        "3:1: a key must be a name, found 1",
        "4:1: a key must be a name, found true",
        "5:3: a key must be a name, not a list or a mapping",
        "7:1: a key must be a name, found null",
    ],
    "utf16.yaml": [
        "1:1: is UTF-16 text; save it as UTF-8",
    ],
    "wrong_types.yaml": [
        "1:7: task: expected lm or seq2seq, found the text 'sec2seq' (did you mean seq2seq?)",
        "3:9: data.text: expected text, found the number 2024 (put it in quotes)",
        "4:15: data.valid_text: expected text or null, found true (put it in quotes)",
        "5:10: data.split: expected 3 numbers such as 0.9/0.05/0.05, found the text '0.9/0.1'",
        (
            "6:15: data.vocabulary: expected char or byte, found the text 'chars' (did you "
            "mean char?)"
        ),
        "7:14: data.min_count: expected a whole number, found the number 1.5",
        (
            "9:16: model.hidden_size: expected a whole number, found the text '1_024' (did "
            "you mean 1024?)"
        ),
        ("10:15: model.num_layers: expected a whole number, found the text '2' (did you mean 2?)"),
        (
            "11:19: model.locked_dropout: expected true or false, found the text 'yes' (did"
            " you mean true?)"
        ),
        "12:11: model.dropout: expected a number, found nothing (null)",
        "14:15: train.batch_size: expected a whole number, found the text 'many'",
        (
            "15:14: train.max_steps: expected a whole number or null, found the text 'None'"
            " (did you mean null?)"
        ),
        (
            "16:17: train.warmup_steps: expected a whole number, found the text '010' (did "
            "you mean 10?)"
        ),
        "17:16: train.max_minutes: expected a number or null, found the text '1:30'",
        "18:15: train.eval_every: expected a whole number, found [100]",
        "19:3: train.save_every: expected a whole number, found a group of settings",
        "20:9: train.seed: expected a whole number, found false",
    ],
}


@pytest.mark.parametrize("name", REPORTED)
def test_every_mistake_is_reported_at_its_line(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(FOLDER / name)
    assert caught.value.problems == [f"{FOLDER / name}:{line}" for line in REPORTED[name]]


def test_no_broken_configuration_is_without_a_test() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(REPORTED)

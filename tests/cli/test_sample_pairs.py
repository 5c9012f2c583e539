"""``charseq sample`` with models of pairs: what is read, what is written, what is refused."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from pair_runs import LONGEST, make_config, make_run
from pair_sampling import app, load_pairs, refused, run, targets
from typer.testing import CliRunner

from charseq.inference.trained_seq2seq import TrainedSeq2Seq
from charseq.models.checkpoint import read_checkpoint, write_checkpoint
from charseq.text.pair_vocab import PairVocab
from charseq.training.files import write_config

pytest_plugins = ["pair_models"]


def test_the_output_never_takes_the_place_of_the_input(
    letters: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "sources.txt"
    file.write_text("abc\n")
    same = str(tmp_path / "." / "sources.txt")
    assert "is the --input too" in refused(letters, "--input", str(file), "--output", same)
    monkeypatch.setenv("HOME", str(tmp_path))  # --output=~/… comes as it is typed
    for one, other in ((same, "~/sources.txt"), ("~/sources.txt", "~/./sources.txt")):
        assert "is the --input too" in refused(letters, "--input", one, "--output", other)
    assert file.read_text() == "abc\n"


def test_each_source_gives_a_line_in_its_place(letters: str) -> None:
    sources = ["abc", "de f", "é", "abcdef", "a"]
    assert run(letters, *sources) == targets(letters, *sources)
    assert len(set(run(letters, *sources).splitlines())) > 2


def test_lines_come_from_a_file_or_a_pipe_and_go_to_a_file(letters: str, tmp_path: Path) -> None:
    file, output = tmp_path / "in.txt", tmp_path / "out.txt"
    file.write_bytes(b"\xef\xbb\xbfabc\r\nde\xc3\xa9\r\nf")  # a byte-order mark, no last line end
    expected = targets(letters, "abc", "deé", "f")
    assert run(letters, "--input", str(file)) == expected
    assert run(letters, "--input", "-", given=file.read_bytes()) == expected
    assert run(letters, "-", given=file.read_bytes()) == expected
    assert run(letters, "--input", str(file), "--output", str(output)) == ""
    assert output.read_bytes().decode() == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out.txt"]
    assert run(letters, "-", given=b"") == ""


def test_a_bad_line_is_named_and_no_file_is_left(letters: str, tmp_path: Path) -> None:
    file, output = tmp_path / "in.txt", tmp_path / "out.txt"
    output.write_text("of yesterday")
    for text, message in (
        ("abc\nabX\nY\n", "in.txt:2: 'X' (U+0058 LATIN CAPITAL LETTER X) at position"),
        ("abc\n\nab", "in.txt:2: is empty"),
        ("abc\tN\n", "in.txt:1: a tab follows the source, and this model reads no tags"),
    ):
        file.write_text(text)
        arguments = (letters, "--input", str(file), "--output", str(output))
        assert message in refused(*arguments)
        assert output.read_text() == "of yesterday"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out.txt"]
    file.write_bytes(b"abc\nab\xff\n")
    assert "in.txt:2: byte 0xff at byte offset 6 is not UTF-8" in refused(
        letters, "--input", str(file)
    )
    file.write_bytes(b"\x1f\x8b\x08\x00")
    assert "gzip -dc" in refused(letters, "--input", str(file))
    assert "there is no such file" in refused(letters, "--input", str(tmp_path / "none"))
    assert "is a folder" in refused(letters, "--input", str(tmp_path))
    assert "is a folder" in refused(letters, "a", "--output", str(tmp_path))
    assert "cannot be written" in refused(letters, "a", "--output", str(tmp_path / "no/out"))
    assert "standard input:2: 'X'" in refused(letters, "-", given=b"a\nX\n")


def test_symbols_that_the_model_never_saw(letters: str) -> None:
    assert "source 2: 'µ' (U+00B5 MICRO SIGN) at position" in refused(letters, "ab", "aµ")
    assert "`--unknown skip`" in refused(letters, "aµ")
    assert run(letters, "aµb", "--unknown", "skip") == targets(letters, "ab")
    replaced = next(load_pairs(letters).convert(["aµb"], unknown="replace")).outputs[0].text
    assert run(letters, "aµb", "--unknown", "replace") == replaced + "\n"
    assert "nothing is left" in refused(letters, "µ", "--unknown", "skip")


def test_columns_of_the_best_targets(letters: str) -> None:
    lines = run(letters, "abc", "d", "--n-best", "2", "--beam", "4").splitlines()
    expected = [
        [conversion.source, output.text, f"{output.log_probability:.4f}"]
        for conversion in load_pairs(letters).convert(["abc", "d"], beam=4, n_best=2)
        for output in conversion.outputs
    ]
    assert [line.split("\t") for line in lines] == expected
    assert len(expected) == 4
    (line,) = run(letters, "d", "--log-probabilities").splitlines()
    (conversion,) = load_pairs(letters).convert(["d"])
    best = conversion.outputs[0]
    assert line == f"d\t{best.text}\t{best.log_probability:.4f}"


def test_a_length_penalty_makes_targets_longer(letters: str) -> None:
    options = ["--beam", "20", "--n-best", "3"]
    (conversion,) = load_pairs(letters).convert(["abc"], beam=20, n_best=3, length_penalty=10.0)
    lines = run(letters, "abc", *options, "--length-penalty", "10").splitlines()
    assert [line.split("\t")[1] for line in lines] == [o.text for o in conversion.outputs]
    without = run(letters, "abc", *options).splitlines()
    assert len(lines[0].split("\t")[1]) > len(without[0].split("\t")[1])


def test_tags_stand_behind_a_tab_or_in_an_option(phones: str, tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_text("ab\tN;PL\ncd\nba\t\n")
    lines = run(phones, "--input", str(file), "--features", "V", "--log-probabilities")
    cells = [line.split("\t") for line in lines.splitlines()]
    assert [row[:2] for row in cells] == [["ab", "N;PL"], ["cd", "V"], ["ba", ""]]
    sources = [("ab", ("N", "PL")), ("cd", ("V",)), ("ba", ())]
    expected = [c.outputs[0].text for c in load_pairs(phones).convert(sources)]
    assert [row[2] for row in cells] == expected
    assert "the tag 'X' is not among the 3 tags" in refused(phones, "ab", "--features", "X")
    why = "the source: has 3 columns; a source and its tags are two; `cut -f 1,3` leaves them of"
    assert refused(phones, "ab\tN\tPL").startswith(why)
    assert refused(phones, str(file), "--unknown", "error").endswith(
        f"; `--input {file}` converts the lines of that file"
    )


def train_on(run: str, folder: Path, text: str) -> str:
    """The same model, as if trained on these pairs."""
    folder.mkdir()
    (folder / "pairs.tsv").write_text(text)
    trained = load_pairs(run)
    data = make_config(folder / "pairs.tsv", trained.vocab).data
    checkpoint = read_checkpoint(Path(run) / "best.safetensors")
    config = trained.config.model_copy(update={"data": data})
    write_checkpoint(folder / "best.safetensors", replace(checkpoint, config=config))
    write_config(folder, config)
    return str(folder)


def test_a_source_without_tags_is_refused_where_training_had_none_such(
    phones: str, tmp_path: Path
) -> None:
    tagged = train_on(phones, tmp_path / "tagged", "ab\ta b\tV;PL\nb\ta\tN\n")
    why = "has no tags, and all pairs of the training had some, such as V;PL; give them as"
    assert refused(tagged, "cd", "--unknown", "skip") == (
        f'the source: {why} --features "V;PL" (--features "" if there are none)'
    )
    assert f"source 2: {why}" in refused(tagged, "cd\tN", "ab")
    file = tmp_path / "in.txt"
    file.write_text("cd\tN\nab\n")
    assert refused(tagged, "--input", str(file)).startswith(
        f'{file}:2: {why} --features "V;PL", or as a second column (--features "" if there are '
    )
    plain = run(phones, "cd\tN", "ab\t")  # an empty cell is meant
    assert run(tagged, "cd\tN", "ab\t") == plain
    assert run(tagged, "cd\tN", "ab", "--features", "") == plain
    mixed = train_on(phones, tmp_path / "mixed", "ab\ta b\tV;PL\nb\ta\t\n")
    result = CliRunner().invoke(app, [mixed, "cd\tN", "ab"], catch_exceptions=False)
    assert result.stdout == plain
    assert "had no tags" not in result.stderr
    result = CliRunner().invoke(app, [phones, "cd\tN", "ab"], catch_exceptions=False)
    assert result.stdout == plain
    assert result.stderr.splitlines()[0] == (
        "note: 1 of 2 sources had no tags, and this model reads some (N, PL, V); give them as "
        "--features TAGS"
    )


def test_lines_that_cannot_be_read_leave_empty_ones(letters: str, tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_bytes(b"X\nabc\n\nab\xff\nd\nef\na\tN\n")
    abc, d, ef = targets(letters, "abc", "d", "ef").splitlines()
    assert refused(letters, "--input", str(file)).endswith(
        "; `--skip-errors` writes an empty line for such"
    )

    def skipping(*arguments: str) -> tuple[str, str]:
        result = CliRunner().invoke(
            app, [letters, *arguments, "--skip-errors"], input=file.read_bytes()
        )
        assert result.exit_code == 0
        return result.stdout, result.stderr.splitlines()[0]

    for arguments, name in ((["--input", str(file)], str(file)), (["-"], "standard input")):
        written, note = skipping(*arguments)
        assert written.split("\n") == ["", abc, "", "", d, ef, "", ""]
        start = f"note: 4 lines are empty, as the source could not be read; {name}:1: 'X' (U+0058"
        assert note.startswith(start)
        records = json.loads(skipping(*arguments, "--json")[0])
        assert [record and record["source"] for record in records] == [
            *(None, "abc", None, None, "d", "ef", None)
        ]
        assert [record["outputs"][0]["target"] for record in records if record] == [abc, d, ef]
    file.write_text("X\n")
    written, note = skipping("--input", str(file))
    assert written == "\n"
    assert note.startswith("note: a line is empty, as the source could not be read; ")
    assert json.loads(skipping("--input", str(file), "--json")[0]) == [None]


def test_every_source_is_encoded_once(letters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []
    encode = PairVocab.encode_source

    def noted(vocab: PairVocab, text: str, *rest: Any, **options: Any) -> Any:
        encoded.append(text)
        return encode(vocab, text, *rest, **options)

    monkeypatch.setattr(PairVocab, "encode_source", noted)
    run(letters, "abc", "d")
    run(letters, "-", given=b"ef\na\n")
    assert encoded == ["abc", "d", "ef", "a"]


def test_sampling_and_its_seed(letters: str) -> None:
    options = ["--temperature", "2", "--top-k", "5", "--top-p", "0.99", "--n-best", "3"]
    (conversion,) = load_pairs(letters).convert(
        ["abc"], temperature=2.0, top_k=5, top_p=0.99, n_best=3, seed=7
    )
    lines = run(letters, "abc", *options, "--seed", "7").splitlines()
    assert [line.split("\t")[1] for line in lines] == [o.text for o in conversion.outputs]
    assert len(lines) > 1
    nats = [float(line.split("\t")[2]) for line in lines]
    assert nats == sorted(nats, reverse=True)
    again = run(letters, "abc", "--temperature", "0", "--n-best", "3").splitlines()
    assert len(again) == 1  # three times the same
    assert run(letters, "abc", *options) == run(letters, "abc", *options, "--seed", "3")
    assert run(letters, "abc", *options) != run(letters, "abc", *options, "--seed", "4")


def test_an_ensemble_averages_probabilities(letters: str, tmp_path: Path) -> None:
    other = make_run(tmp_path, seed=1)
    expected = load_pairs(letters, other).convert(["abcd", "fé"])
    written = run(letters, "abcd", "fé", "--ensemble", other)
    assert written == "".join(f"{c.outputs[0].text}\n" for c in expected)
    alone = {run(letters, "abcd", "fé"), run(other, "abcd", "fé")}
    assert written not in alone


def test_json_is_one_list_whose_items_are_lines(phones: str) -> None:
    written = run(phones, "ab", "c", "--features", "N", "--n-best", "2", "--attention", "--json")
    assert len(written.splitlines()) == 4
    records = json.loads(written)
    conversions = load_pairs(phones).convert(
        [("ab", ("N",)), ("c", ("N",))], n_best=2, with_attention=True
    )
    for record, conversion in zip(records, conversions, strict=True):
        assert (record["source"], record["features"]) == (conversion.source, ["N"])
        assert record["source_symbols"] == ["N", *conversion.source]
        for shown, output in zip(record["outputs"], conversion.outputs, strict=True):
            assert shown["target"] == output.text == " ".join(shown["symbols"])
            assert shown["log_probability"] == output.log_probability
            assert shown["finished"] == output.finished
            assert output.attention is not None
            assert np.allclose(shown["attention"], output.attention, atol=1e-5)
    assert json.loads(run(phones, "-", "--json", given=b"")) == []


def test_targets_that_do_not_end_are_counted(tmp_path: Path) -> None:
    endless = make_run(tmp_path, endless=True)
    result = CliRunner().invoke(app, [endless, "abc", "d"], catch_exceptions=False)
    assert result.stderr.startswith("note: 2 of 2 targets had not ended after 12 symbols")
    assert all(len(target) >= LONGEST for target in result.stdout.splitlines())
    records = json.loads(run(endless, "abc", "--json"))
    assert records[0]["outputs"][0]["finished"] is False


def test_the_alignment_is_drawn_below_its_target(letters: str) -> None:
    shown = run(letters, "abé", "--attention").splitlines()
    (conversion,) = load_pairs(letters).convert(["abé"], with_attention=True)
    output = conversion.outputs[0]
    assert shown[0] == output.text
    assert shown[1].split() == ["a", "b", "é"]
    assert output.attention is not None
    assert len(shown) == 2 + len(output.attention) + 1
    assert shown[2].split()[0] == output.symbols[0]


def test_the_alignment_as_a_file(letters: str, tmp_path: Path) -> None:
    for name in ("a.svg", "a.html", "a.png"):
        file = tmp_path / name
        assert run(letters, "abc", "d<e", "--unknown", "skip", "--attention-file", str(file))
        data = file.read_bytes()
        if name.endswith("svg"):
            assert ElementTree.fromstring(data).tag.endswith("svg")  # noqa: S314
        assert data.startswith({"s": b"<?xml", "h": b"<!DOCTYPE", "p": b"\x89PNG"}[name[2]])
    message = refused(letters, "a", "--attention-file", str(tmp_path / "a.jpg"))
    assert "name a file that ends in .png, .svg, .html" in message
    twice = ["--attention-file", str(tmp_path / "b.html"), "--beam", "2", "--n-best", "2"]
    with pytest.MonkeyPatch.context() as patch:  # refused before anything is converted
        patch.setattr(TrainedSeq2Seq, "convert", None)
        message = refused(letters, *["a"] * 13, *twice)
    assert "a file holds 24 pictures; give fewer sources" in message
    message = refused(letters, "-", *twice, given=b"a\n" * 13)  # whose number nobody knew
    assert "a file holds 24 pictures; give fewer sources" in message
    assert not (tmp_path / "b.html").exists()


def test_a_model_without_attention_has_none_to_draw(tmp_path: Path) -> None:
    folder = make_run(tmp_path, attention="none")
    output = tmp_path / "out.json"
    output.write_text("of yesterday")
    for option in (("--attention",), ("--attention-file", str(tmp_path / "a.svg"))):
        for others in ((), ("--json",), ("--json", "--output", str(output))):
            arguments = [folder, "ab", *option, *others]
            result = CliRunner().invoke(app, arguments)
            assert str(result.exception) == (
                f"{option[0]}: there is none to draw; the run has `model.attention: none`"
            )
            assert result.stdout == ""
    assert output.read_text() == "of yesterday"


def test_a_source_that_cannot_be_read_leaves_no_half_a_list(letters: str) -> None:
    for arguments in ([letters, "X"], [letters, "a", "X"], [letters, "-"]):
        result = CliRunner().invoke(app, [*arguments, "--json"], input="X\n")
        assert "'X' (U+0058" in str(result.exception)
        assert result.stdout == ""


def test_what_does_not_go_together_is_refused(letters: str, phones: str) -> None:
    for arguments, message in (
        ([letters], 'as in `charseq sample RUN "3 May 1979"`'),
        ([letters, "a", "--input", "f"], "give sources or --input, not both"),
        ([letters, "-", "a"], "'-' reads every source from standard input; it goes alone"),
        ([letters, "a", "--features", "N"], "--features: this model reads no tags"),
        ([letters, "a", "--top-k", "2"], "--top-k: goes with --temperature"),
        ([letters, "a", "--seed", "2"], "--seed: goes with --temperature"),
        ([letters, "a", "--temperature", "1", "--beam", "2"], "--beam: is for the search"),
        ([letters, "a", "--attention", "--output", "f"], "--attention: draws on the terminal"),
        ([letters, "a\nb"], "holds a line end"),
        ([letters, ""], "the source: is empty"),
        ([letters, "a", "--prime", "x"], "--prime: is for language models; this run converts"),
        ([letters, "a", "--count", "2"], "--count: is for language models"),
        ([letters, "a", "--top-p", "2", "--temperature", "1"], "top_p: must be"),
        ([letters, "a", "--ensemble", phones], "its symbols are not those of"),
        ([letters, "\udcff"], "half of a surrogate pair"),
    ):
        assert message in refused(*arguments)


def test_log_probabilities_are_in_nats(letters: str) -> None:
    """The best of all targets have at most all of the probability."""
    lines = run(letters, "a", "--n-best", "50", "--beam", "50").splitlines()
    total = sum(math.exp(float(line.split("\t")[2])) for line in lines)
    assert 0 < total < 1.001

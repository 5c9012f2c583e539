"""``charseq data stats`` of pairs, for people and for scripts."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from typer.testing import CliRunner

from charseq.cli.data import data_app
from charseq.cli.stats_tables import bar, quoted
from charseq.errors import CharseqError

PAIRS = "ab\tx y\nab\tx\nabcd\ty\nabcd\ty\nno tab\n한\tz z z\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs.tsv").write_text(PAIRS, encoding="utf-8")
    return tmp_path


def stats(*arguments: str, columns: int = 80) -> str:
    runner = CliRunner(env={"COLUMNS": str(columns)})
    result = runner.invoke(data_app, ["stats", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def lines(output: str) -> list[str]:
    return [" ".join(line.split()) for line in output.splitlines()]


def below(shown: list[str], heading: str) -> list[str]:
    start = shown.index(heading) + 1
    return shown[start : shown.index("", start)]


def test_a_file_of_pairs_is_counted_and_its_wrong_lines_named() -> None:
    shown = lines(stats("pairs.tsv"))
    assert shown[0] == "pairs.tsv"
    assert shown[1] == "pairs sources several answers unseen symbols"
    assert shown[2] == "file 4 3 1 0"
    assert below(shown, "Left out") == [
        "duplicate 1",
        "no tab 1",
        "pairs.tsv:4: the same source and target stand in line 3 already",
        "pairs.tsv:5: there is no tab between a source and a target",
    ]
    assert below(shown, "Several right answers") == ["ab → x y | x"]
    lengths = below(shown, "Symbols of a source")
    assert lengths[0] == "mean 2.2, median 2, longest 4"
    assert [line.split()[:2] for line in lengths[1:]] == [
        ["1", "1"],
        ["2", "2"],
        ["3", "0"],
        ["4", "1"],
    ]
    assert lengths[2].split()[2] == "█" * 30
    assert lengths[1].split()[2] == "█" * 15
    assert "Source symbols by count: 5" in shown
    symbols = below(shown, "Source symbols by count: 5")
    assert " ".join(symbols) == "'a' 3 'b' 3 'c' 1 'd' 1 '한' 1"


def test_pairs_may_have_any_name() -> None:
    for name in ("pairs.txt", "pairs.yaml"):
        Path(name).write_text(PAIRS, encoding="utf-8")
        assert stats(name, "--pairs").splitlines()[0] == name
        report, expected = (
            json.loads(stats(*arguments, "--json"))
            for arguments in ((name, "--pairs"), ("pairs.tsv",))
        )
        assert report.pop("source") == name
        assert expected.pop("source") == "pairs.tsv"
        mistakes = [line.replace(name, "pairs.tsv") for line in report.pop("mistakes")]
        assert mistakes == expected.pop("mistakes")
        assert report == expected
    assert "characters" in json.loads(stats("pairs.txt", "--json"))


def test_what_nobody_sees_in_a_file_is_named() -> None:
    text = "ab\tx\ncd\tx \nef\tx\ty\n\xe9\t\xe9\ne\u0301g\te\u0301\n"
    Path("odd.tsv").write_text(text, encoding="utf-8")
    said = json.loads(stats("odd.tsv", "--json"))["noticed"]
    assert [line.partition(":")[0] for line in said] == ["line 3", "line 2", "line 5", "line 5"]
    assert "a space at an end of the target" in stats("odd.tsv")


def test_spaces_between_symbols_are_noticed() -> None:
    Path("words.tsv").write_text("ab\tone word\ncd\tan other\n")
    assert "separator" not in stats("words.tsv")
    Path("phones.tsv.gz").write_bytes(gzip.compress(b"ab\tx y z\ncd\tz y x\n"))
    shown = " ".join(stats("phones.tsv.gz").split())
    assert 'if they separate symbols, set `data.target_separator: " "`' in shown
    assert "data.source_separator" not in shown


def test_a_file_is_counted_as_its_first_lines_ask_for_and_this_is_said() -> None:
    rows = [f"w{n}\tt͡ʃ a k\t{'N;PL' if n % 2 else 'V'}\n" for n in range(20)]
    Path("words.tsv").write_text("".join(["word\tpron\tx\n", *rows]), encoding="utf-8")
    shown = lines(stats("words.tsv", columns=100))
    assert shown[:6] == [
        "words.tsv",
        "noticed: the first line names the columns: data.source_column: word, "
        "data.target_column: pron",
        "noticed: column 3 holds tags: data.features_column: x",
        'noticed: spaces separate the symbols of a target: data.target_separator: " "',
        "pairs sources several answers unseen symbols",
        "file 20 20 0 0",
    ]
    assert " ".join(below(shown, "Tags by count: 3")) == "'N' 10 'PL' 10 'V' 10"
    report = json.loads(stats("words.tsv", "--json"))
    assert report["target_symbols"] == {"a": 20, "k": 20, "t͡ʃ": 20}
    assert [line.split(":")[0] for line in report["noticed"]] == [
        "the first line names the columns",
        "column 3 holds tags",
        "spaces separate the symbols of a target",
    ]
    assert json.loads(stats("pairs.tsv", "--json"))["noticed"] == []


def test_a_configuration_of_pairs_shows_its_parts_and_what_they_share() -> None:
    Path("valid.tsv").write_text("ab\tx\tN\nqq\ty\tV;[/N]\n")
    Path("train.tsv").write_text("ab\tx\tN\nbb\ty\tV\ncb\tx\t\n")
    Path("run.yaml").write_text(
        "task: seq2seq\n"
        "data: {train: train.tsv, valid: valid.tsv, features_column: 3, split: 1/0/0}\n"
        "train: {batch_size: 2, max_steps: 10}\n"
    )
    shown = lines(stats("run.yaml"))
    assert shown[1:6] == [
        "pairs sources several answers unseen symbols",
        "train 3 3 0 0",
        "valid 2 2 0 3",
        "valid: unseen in train, source: 1: 'q' 2",
        "valid: unseen in train, tags: 1: '[/N]' 1",
    ]
    assert below(shown, "In two parts") == ["train and valid 1 source"]
    assert " ".join(below(shown, "Tags by count: 2")) == "'N' 1 'V' 1"
    training = shown[shown.index("Training") :]
    assert "a step 2 pairs" in training
    assert "an epoch 2 steps" in training
    assert "the training at most 5 epochs" in training
    report = json.loads(stats("run.yaml", "--json"))
    assert report["parts"]["valid"]["unknown_tags"] == {"[/N]": 1}
    assert report["overlaps"][0]["sources"] == 1
    assert report["training"]["epochs"] == 5.0
    Path("valid.tsv").write_text("bc\tx\tN\n")
    assert below(lines(stats("run.yaml")), "In two parts") == ["no source"]


def test_json_of_a_file_holds_all_that_is_shown() -> None:
    written = stats("pairs.tsv", "--json")
    assert '"한": 1' in written
    report = json.loads(written)
    assert report["skipped"] == {"duplicate": 1, "no tab": 1}
    assert report["source_symbols"] == {"a": 3, "b": 3, "c": 1, "d": 1, "한": 1}
    assert report["parts"]["file"]["source_lengths"]["histogram"] == [0, 1, 2, 0, 1]
    assert report["training"] is None


def test_hostile_pairs_send_nothing_to_the_terminal() -> None:
    Path("\x1b[31m[red].tsv").write_text("\x1b[2J\u202e\t[bold]\nsame\t\x1b\nsame\t\x9b\nbad\n")
    for arguments in ((), ("--json",)):
        output = stats("\x1b[31m[red].tsv", *arguments)
        assert all(c.isprintable() or c == "\n" for c in output)
    assert r"same → \x1b | \x9b" in stats("\x1b[31m[red].tsv")


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    letters = map(chr, range(0x4E00, 0x4E00 + 400))
    rows = [f"{letter * (number % 90 + 1)}\t{letter}" for number, letter in enumerate(letters)]
    Path("wide.tsv").write_text("\n".join(rows))
    output = stats("wide.tsv", columns=columns)
    assert max(cell_len(line.rstrip()) for line in output.splitlines()) <= columns
    assert "and 200 more, which --json lists" in output


def test_files_that_cannot_be_counted() -> None:
    Path("bad.tsv").write_text("a\nb\n")
    for name, message in (
        ("bad.tsv", "bad.tsv:1: there is no tab"),
        ("none.tsv", "there is no such file"),
    ):
        result = CliRunner().invoke(data_app, ["stats", name])
        assert isinstance(result.exception, CharseqError)
        assert message in str(result.exception)


@given(st.floats(0, 1), st.integers(1, 60))
def test_a_bar_is_as_long_as_its_share_to_an_eighth_of_a_cell(share: float, width: int) -> None:
    drawn = bar(share, width)
    ends = {"▏": 1, "▎": 2, "▍": 3, "▌": 4, "▋": 5, "▊": 6, "▉": 7}
    eighths = sum(8 if cell == "█" else ends[cell] for cell in drawn)
    assert abs(eighths - share * width * 8) <= 0.5 or (eighths == 1 and share > 0)
    assert (drawn == "") == (share == 0)


def test_symbols_in_quotes_stand_for_themselves() -> None:
    shown = ["'a'", "' '", "'◌́'", r"'\x1b'", "'ㅏ'", "'t͡ʃ'"]
    assert [quoted(symbol) for symbol in ("a", " ", "\u0301", "\x1b", "ᅡ", "t͡ʃ")] == shown

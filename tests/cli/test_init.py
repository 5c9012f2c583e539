"""``charseq init`` as a newcomer types it."""

import json
import subprocess
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from charseq.cli.config import config_app
from charseq.cli.init import init
from charseq.config import load_config
from charseq.config.schema import LMConfig, Seq2SeqConfig
from charseq.errors import CharseqError

app = typer.Typer(rich_markup_mode="rich")
app.command()(init)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty folder in which the commands are typed."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(*arguments: str) -> str:
    with pytest.raises(CharseqError) as caught:
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    return str(caught.value)


def load_text(path: Path) -> str:
    config = load_config(path)
    assert isinstance(config, LMConfig)
    return config.data.text


def test_init_writes_a_file_that_loads_and_the_schema_it_names(folder: Path) -> None:
    result = CliRunner().invoke(app, [], catch_exceptions=False)
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "wrote charseq.yaml and charseq.schema.json",
        "next: charseq train charseq.yaml",
    ]
    assert load_text(Path("charseq.yaml")) == "dataset:stdlib"
    named = Path("charseq.yaml").read_text().splitlines()[0].partition("$schema=./")[2]
    assert json.loads((folder / named).read_text())["title"] == "charseq configuration"


def test_init_fills_in_the_text_and_says_that_it_is_not_there_yet(folder: Path) -> None:
    result = CliRunner().invoke(app, ["book.yaml", "--text", "my[book].txt"])
    assert load_text(Path("book.yaml")) == "my[book].txt"
    assert "note: my[book].txt: there is no such file" in result.stderr
    Path("my[book].txt").write_text("once upon a time" * 20)
    assert "note" not in CliRunner().invoke(app, ["2.yaml", "--text", "my[book].txt"]).stderr


def test_init_says_what_is_wrong_with_a_text(folder: Path) -> None:
    for data, why in (
        (b"", "the file is empty"),
        (b"a" * 70_000 + b"\xff", "byte 0xff at byte offset 70000 is not UTF-8"),
        ("caf\u00e9".encode("utf-16"), "it begins as UTF-16 does"),
    ):
        Path("book.txt").write_bytes(data)
        result = CliRunner().invoke(app, ["--force", "--text", "book.txt"])
        assert "note: book.txt:" in result.stderr
        assert why in result.stderr
        assert load_text(Path("charseq.yaml")) == "book.txt"


def test_init_overwrites_only_with_force(folder: Path) -> None:
    Path("charseq.yaml").write_text("mine")
    assert refusal() == "charseq.yaml exists; add --force to overwrite it"
    assert Path("charseq.yaml").read_text() == "mine"
    assert not Path("charseq.schema.json").exists()
    CliRunner().invoke(app, ["--force"], catch_exceptions=False)
    assert load_config(Path("charseq.yaml")).task == "lm"


def test_a_dash_writes_to_standard_output_and_no_file(folder: Path) -> None:
    result = CliRunner().invoke(app, ["-", "--text", "Ā.txt"])
    assert result.stdout.startswith("# yaml-language-server: ")
    assert 'text: "Ā.txt"' in result.stdout
    assert result.stderr == ""
    assert list(folder.iterdir()) == []


def test_the_home_folder_is_looked_into_before_it_is_written_to(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder))
    Path("mine.yaml").write_text("task: lm\n")
    Path("mine.yaml").chmod(0o600)
    assert refusal("~/mine.yaml").endswith("mine.yaml exists; add --force to overwrite it")
    CliRunner().invoke(app, ["~/mine.yaml", "--force"], catch_exceptions=False)
    assert Path("mine.yaml").read_text() != "task: lm\n"
    assert Path("mine.yaml").stat().st_mode & 0o777 == 0o600


def test_a_configuration_that_cannot_be_written_anew_stays_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mine.yaml").write_text("task: lm  # and much work\n")

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("charseq.files.os.fsync", full)
    assert refusal("mine.yaml", "--force") == (
        "mine.yaml: cannot be written: No space left on device"
    )
    assert Path("mine.yaml").read_text() == "task: lm  # and much work\n"


def test_what_cannot_be_written_is_said(folder: Path) -> None:
    Path("runs").mkdir()
    assert refusal("runs") == "runs is a folder; name a file in it"
    assert refusal("nowhere/a.yaml") == (
        "nowhere/a.yaml: cannot be written: No such file or directory"
    )
    assert refusal("--text", "").startswith("--text is empty")
    assert refusal("--task", "lmm").startswith("unknown task 'lmm' (did you mean 'lm'?)")
    assert [path.name for path in folder.iterdir()] == ["runs"]


def test_init_for_pairs_fills_in_their_file_and_implies_the_task(folder: Path) -> None:
    result = CliRunner().invoke(app, ["words.yaml", "--pairs", "words.tsv"])
    config = load_config(Path("words.yaml"))
    assert isinstance(config, Seq2SeqConfig)
    assert config.data.train == "words.tsv"
    assert "note: words.tsv: there is no such file" in result.stderr
    assert "noticed" not in result.stderr
    assert "next: when that is right, do this again with --force" in result.stderr
    Path("words.tsv").write_text("a\tb\n")
    assert "note" not in CliRunner().invoke(app, ["2.yaml", "--pairs", "words.tsv"]).stderr
    schema = json.loads((folder / "charseq.schema.json").read_text())
    assert "source_column" in schema["$defs"]["PairDataConfig"]["properties"]


def test_init_for_pairs_without_a_file_begins_with_the_dates(folder: Path) -> None:
    result = CliRunner().invoke(app, ["--task", "seq2seq"])
    config = load_config(Path("charseq.yaml"))
    assert isinstance(config, Seq2SeqConfig)
    assert "note: data/dates/train.tsv: there is no such file" in result.stderr
    assert config.data.train == "data/dates/train.tsv"


def test_init_looks_at_the_pairs_and_says_what_it_noticed(folder: Path) -> None:
    rows = [f"{'ab' * (n % 3 + 1)}{n}\tt͡ʃ a b\tN;{'PL' if n % 2 else 'SG'}" for n in range(50)]
    Path("words.tsv").write_text("\n".join(["Word\tPron\t:tag:[b]", *rows]), encoding="utf-8")
    result = CliRunner().invoke(app, ["words.yaml", "--pairs", "words.tsv"])
    noticed = [
        "the first line names the columns: data.source_column: Word, data.target_column: Pron",
        'column 3 holds tags: data.features_column: ":tag:[b]"',
        'spaces separate the symbols of a target: data.target_separator: " "',
        "the first pair is ab0, N;SG → t͡ʃ a b",
        "50 pairs, fewer than 2,500: `model` and `train` as in configs/g2p_ady.yaml, made for 800;"
        " where a target does not follow the order of its source, set model.attention: general,"
        " train.spliced_pairs: 0",
        'a twentieth of 50 pairs to validate says little: data.split: "0.8/0.1/0.1"',
    ]
    said = [line for line in result.stderr.splitlines() if line.startswith("noticed: ")]
    assert said == [f"noticed: {one}" for one in noticed]
    config = load_config(Path("words.yaml"))
    assert isinstance(config, Seq2SeqConfig)
    assert (config.data.source_column, config.data.target_column) == ("Word", "Pron")
    assert (config.data.features_column, config.data.target_separator) == (":tag:[b]", " ")
    assert (config.model.dropout, config.train.batch_size, config.train.monitor) == (0.4, 16, "ser")
    assert config.data.split == (0.8, 0.1, 0.1)
    head = Path("words.yaml").read_text(encoding="utf-8").partition("\ntask:")[0]
    flowing = " ".join(head.replace("\n#", "").split())  # long lines are folded
    assert flowing.endswith(
        "What was noticed in the data, and so set; correct the settings where it is wrong: "
        + " ".join(noticed)
        + " seq2seq: a model that turns sources into targets"
    )
    piped = CliRunner().invoke(app, ["-", "--pairs", "words.tsv"])
    assert piped.stderr.splitlines() == said
    assert '\n  features_column: ":tag:[b]"' in piped.stdout


def test_a_file_with_wrong_lines_is_to_be_checked_before_it_is_trained_on(folder: Path) -> None:
    Path("words.tsv").write_text("cat\tk\ndog\n\ncow\tc\n")
    result = CliRunner().invoke(app, ["w.yaml", "--pairs", "words.tsv"], catch_exceptions=False)
    *_, last = result.stderr.splitlines()
    assert last == "next: charseq config check w.yaml names what is wrong"


def test_a_file_without_tabs_is_not_ready_to_be_trained_on(folder: Path) -> None:
    for separator in ",;":
        name = Path("it's.csv")
        name.write_text(f'"cat{separator} a"{separator}k\ndog{separator}d\n')
        result = CliRunner().invoke(app, ["w.yaml", "--pairs", str(name), "--force"])
        _, noticed, after, command = result.stderr.splitlines()
        assert noticed == "noticed: no line has a tab between a source and a target"
        assert after == "next: save it's.csv with a tab between source and target:"
        subprocess.run(["/bin/sh", "-c", command], check=True)
        assert Path("it's.tsv").read_text() == f"cat{separator} a\tk\ndog\td\n"
        Path("it's.tsv").unlink()
    name.write_text("cat dog\n")
    result = CliRunner().invoke(app, ["w.yaml", "--pairs", str(name), "--force"])
    assert result.stderr.splitlines()[-1].endswith("with a tab between source and target")


def test_init_writes_a_configuration_for_data_that_it_cannot_look_at(folder: Path) -> None:
    Path("broken.tsv.gz").write_bytes(b"\x1f\x8bbroken")
    Path("latin.tsv").write_bytes("a\tb\né\tb\n".encode("latin-1"))
    Path("wide.tsv").write_bytes("a\tb\n".encode("utf-16"))
    for option, name, why in (
        ("--pairs", "broken.tsv.gz", "broken.tsv.gz: is a damaged gzip archive"),
        ("--pairs", "latin.tsv", "latin.tsv:2: byte 0xe9 at byte offset 4 is not UTF-8"),
        ("--pairs", "wide.tsv", "it begins as UTF-16 does"),
        ("--pairs", "dataset:cmudict_g2p/none", "cmudict_g2p has no file of that name"),
        ("--pairs", "x" * 300, "cannot be read: File name too long"),
        ("--text", "x" * 300, "cannot be read: File name too long"),
        ("--text", ".", ".: is a folder"),
    ):
        result = CliRunner().invoke(app, ["--force", option, name], catch_exceptions=False)
        assert f"note: {name}"[:20] in result.stderr
        assert why in result.stderr
        assert "next: when that is right, do this again" in result.stderr
        data = load_config(Path("charseq.yaml")).data
        assert name in (getattr(data, "text", None), getattr(data, "train", None))


def test_init_refuses_data_of_another_task(folder: Path) -> None:
    assert refusal("--pairs", "a", "--task", "lm") == (
        "--pairs goes with --task seq2seq, not with --task lm"
    )
    assert refusal("--text", "a", "--task", "seq2seq").startswith("--text goes with --task lm")
    assert refusal("--text", "a", "--pairs", "b").startswith("give --text or --pairs, not both")
    assert refusal("--pairs", "").startswith("--pairs is empty")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("characters", [300, 3_000, 30_000])
def test_what_init_writes_for_a_short_text_can_be_trained(folder: Path, characters: int) -> None:
    Path("t.txt").write_text(("the cat sat on the mat. " * 2000)[:characters], newline="")
    result = CliRunner().invoke(app, ["t.yaml", "--text", "t.txt"], catch_exceptions=False)
    assert f"noticed: {characters:,} characters, fewer than " in result.stderr
    checked = CliRunner().invoke(config_app, ["check", "t.yaml"], catch_exceptions=False)
    assert checked.stdout == "t.yaml is valid\n"


def test_a_text_too_short_for_any_training_is_refused_and_nothing_written(folder: Path) -> None:
    Path("short.txt").write_text("the cat sat")
    with pytest.raises(CharseqError, match="has 11 characters, too few to train on"):
        CliRunner().invoke(app, ["s.yaml", "--text", "short.txt"], catch_exceptions=False)
    assert not Path("s.yaml").exists()


def test_the_command_for_a_table_overwrites_nothing(folder: Path) -> None:
    for name in ("words.tsv", "words.csv"):
        Path(name).write_text("cat, a;k\ndog;d\n")
        result = CliRunner().invoke(app, ["w.yaml", "--pairs", name, "--force"])
        command = result.stderr.splitlines()[-1]
        assert command.endswith("words-tabs.tsv")
        subprocess.run(["/bin/sh", "-c", command], check=True)
        assert Path("words-tabs.tsv").read_text() == "cat, a\tk\ndog\td\n"
        assert Path("words.tsv").read_text() == "cat, a;k\ndog;d\n"
        Path("words-tabs.tsv").unlink()


def test_where_every_line_is_wrong_that_is_said(folder: Path) -> None:
    Path("empty.tsv").write_text("cat\t\ndog\t\n")
    result = CliRunner().invoke(app, ["w.yaml", "--pairs", "empty.tsv"])
    assert "line 1: the target is empty (and 1 more); mend" in result.stderr
    assert result.stderr.splitlines()[-1].endswith("names what is wrong")

"""``charseq train`` as it is stopped, resumed by its folder, and told that it went wrong."""

import json
import math
import re
import shlex
import signal
from io import StringIO
from pathlib import Path

import pytest
import torch
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from charseq.cli.console import TrainingDisplay
from charseq.cli.next_commands import command_line
from charseq.cli.train import train
from charseq.config import load_config
from charseq.errors import CharseqError
from charseq.models.checkpoint import read_checkpoint
from charseq.training.events import Event, Step, Stopped

app = typer.Typer()
app.command()(train)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands are typed: a text and a configuration, each in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("texts", "configs"):
        Path(name).mkdir()
    Path("texts/cat.txt").write_text("the cat sat on the mat. " * 200)
    Path("configs/cat.yaml").write_text(
        "data: {text: texts/cat.txt}\n"
        "model: {hidden_size: 8, dropout: 0.2}\n"
        "train: {batch_size: 4, seq_len: 8, max_steps: 30, eval_every: 10, save_every: 10,"
        " log_every: 5}\n"
        "sample: {length: 20}\n"
    )
    return tmp_path


def charseq(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["--device", "cpu", *arguments], catch_exceptions=False)


def refusal(*arguments: str) -> str:
    with pytest.raises(CharseqError) as caught:
        charseq(*arguments)
    return str(caught.value)


def interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C once the screen shows that step."""
    show = TrainingDisplay.show

    def shown(self: TrainingDisplay, event: Event) -> None:
        show(self, event)
        if isinstance(event, Step) and event.step == step:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(TrainingDisplay, "show", shown)


def test_what_ctrl_c_says_to_type_goes_on_as_if_nothing_had_been(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = ["configs/cat.yaml", "--set", "model.hidden_size=9", "--set", "train.seed=3"]
    whole = charseq(*first, "--run", "whole")
    assert whole.exit_code == 0
    with monkeypatch.context() as patch:
        interrupt_at(15, patch)
        stopped = charseq(*first)
    assert stopped.exit_code == 130
    said = stopped.output.splitlines()[-1]
    assert said.startswith("go on with: ")
    _, _, command = said.partition(" train ")
    assert command == "runs/cat --resume --device cpu"
    resumed = charseq(*shlex.split(command))
    assert resumed.exit_code == 0
    assert "resumed after step 15" in resumed.output
    expected = read_checkpoint(Path("whole/last.safetensors")).tensors
    found = read_checkpoint(Path("runs/cat/last.safetensors")).tensors
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert Path("runs/cat/config.yaml").read_bytes() == Path("whole/config.yaml").read_bytes()


def test_a_changed_setting_is_kept_and_a_refused_one_leaves_no_trace() -> None:
    charseq("configs/cat.yaml", "--set", "train.max_steps=5", "--set", "train.learning_rate=0.01")
    longer = charseq("runs/cat", "--resume", "--set", "train.max_steps=20")
    assert "all 20 steps are done" in longer.output
    again = charseq("runs/cat", "--resume")
    assert "resumed after step 20" in again.output
    assert "all 20 steps are done" in again.output
    why = refusal("runs/cat", "--resume", "--set", "model.hidden_size=9")
    assert (
        "model.hidden_size was 8 and is 9; set it back, in config.yaml or by leaving --set" in why
    )
    kept = load_config(Path("runs/cat/config.yaml"))
    assert (kept.model.hidden_size, kept.train.max_steps) == (8, 20)
    assert kept.train.learning_rate == 0.01


def test_a_fine_tuning_says_what_it_took_and_what_is_new() -> None:
    charseq("configs/cat.yaml")
    Path("texts/katze.txt").write_text("die Katze saß\t\n" * 200)
    told = ["--set", "data.text=texts/katze.txt", "--set", "train.init_from=runs/cat"]
    lines = charseq("configs/cat.yaml", *told, "--run", "runs/katze").output.splitlines()
    assert lines[2] == (
        "begins with runs/cat/best.safetensors, step 30: 5 tensors taken, 3 of them wider for new"
        " symbols"
    )
    assert lines[3] == r"text: 11 symbols taken, 7 new: \t \n K d i z ß"
    assert not re.search("begins with", charseq("runs/katze", "--resume").output)
    again = charseq("configs/cat.yaml", "--set", "train.init_from=runs/cat", "--run", "runs/on")
    assert ": 5 tensors taken\ntext: 11 symbols taken, none new\n" in again.output


def test_a_text_that_is_another_one_in_another_place_is_not_trained_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    charseq("configs/cat.yaml")
    elsewhere = folder / "elsewhere"
    (elsewhere / "texts").mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    assert refusal("../runs/cat", "--resume").startswith("texts/cat.txt: there is no such file in ")
    Path("texts/cat.txt").write_text("a dog. " * 200)
    assert "the data, or how it is read and split, has changed" in refusal(
        "../runs/cat", "--resume"
    )


def test_a_folder_is_a_run_to_resume_or_a_mistake() -> None:
    charseq("configs/cat.yaml", "--set", "train.max_steps=2")
    go_on = command_line("train", "runs/cat", "--resume")
    anew = command_line("train", "runs/cat/config.yaml")
    assert refusal("runs/cat/") == (
        f"runs/cat: is the folder of a run: `{go_on}` goes on with it, `{anew} --run DIR` trains"
        " anew with its settings"
    )
    Path("swept").mkdir()
    Path("swept/sweep.json").write_text("{}")
    assert command_line("sweep", "swept") in refusal("swept", "--resume")
    assert "--run other: runs/cat is the folder of the run already" in refusal(
        "runs/cat", "--resume", "--run", "other"
    )
    assert "texts: is a folder, but not of a run" in refusal("texts", "--resume")
    assert "texts: is a folder, but not of a run" in refusal("texts")
    assert charseq("runs/cat/config.yaml", "--run", "anew").exit_code == 0


def test_a_training_that_diverges_ends_with_a_warning() -> None:
    rate = ["--set", "train.learning_rate=9", "--set", "train.warmup_steps=0"]
    result = charseq("configs/cat.yaml", *rate)
    assert result.exit_code == 0
    warning = result.output.splitlines()[-1]
    assert warning.startswith("warning: the training diverged")
    assert "lower train.learning_rate (now 9) or train.clip_norm (now 1)" in warning
    symbols = len(set("the cat sat on the mat. "))
    assert f"ln {symbols} = {math.log(symbols):.1f}" in warning
    told = charseq("runs/cat", "--resume", "--json", "--quiet")
    assert f"warning: {json.loads(told.stdout)['warning']}" == warning
    healthy = charseq("configs/cat.yaml", "--run", "healthy", "--json")
    assert json.loads(healthy.stdout)["warning"] is None
    assert not re.search("diverged|warning:", healthy.stderr)


def test_what_a_training_of_pairs_shows_at_its_end_is_not_of_the_test(tmp_path: Path) -> None:
    """Who looks at test pairs while settings are chosen, chooses by them."""
    for name, letters in (("train", "abc"), ("valid", "bca"), ("test", "cab")):
        words = [f"{letters}{one}{other}" for one in "abc" for other in "abc"]
        Path(f"{name}.tsv").write_text("".join(f"{word}\t{word}\n" for word in words))
    Path("pairs.yaml").write_text(
        "task: seq2seq\n"
        "data: {train: train.tsv, valid: valid.tsv, test: test.tsv}\n"
        "model: {hidden_size: 4, backend: torch}\n"
        "train: {batch_size: 4, max_steps: 2, eval_every: 1}\n"
    )
    shown = charseq("pairs.yaml", "--run", "held").stdout.partition("some conversions, ")[2]
    assert shown.startswith("of the validation pairs:\nbca")
    assert shown.count("bca") >= 8
    assert "\ncab" not in shown
    assert "are trained on too" not in charseq("pairs.yaml", "--run", "held", "--resume").stdout
    leaking = charseq("pairs.yaml", "--run", "leak", "--set", "data.valid=train.tsv").stdout
    assert "\n9 of the sources to validate are trained on too: what is measured" in leaking
    leaking = charseq("pairs.yaml", "--run", "test", "--set", "data.test=train.tsv").stdout
    assert "\n9 of the sources to test are trained on too: what is measured" in leaking
    alone = ["--set", "data.valid=null", "--set", "data.split=1/0/0"]
    shown = charseq("pairs.yaml", "--run", "none", *alone).stdout.partition("conversions, ")[2]
    assert shown.startswith("of the training pairs, which are trained on: none are held back:\nabc")
    assert " eval " not in shown  # there is nothing to evaluate it on
    assert " eval " in charseq("pairs.yaml", "--run", "some").stdout
    Path("train.tsv").write_text(Path("train.tsv").read_text() + "abd\nabe\t\n\nabf\t\n")
    skipping = charseq("pairs.yaml", "--run", "dirty", "--set", "data.errors=skip").stdout
    assert "\nleft out of the data: no tab 1, empty target 2, empty line 1\n" in skipping


def test_lines_of_a_training_end_between_words_on_a_terminal_and_not_in_a_file() -> None:
    said = "stopped after 1 steps and 0:01: " + "word " * 20 + "end"
    event = Stopped(1, said.removeprefix("stopped after 1 steps and 0:01: "), True, None, None, 1.0)
    for is_terminal in (True, False):
        file = StringIO()
        TrainingDisplay(
            Console(file=file, width=30, force_terminal=is_terminal, color_system=None)
        ).show(event)
        lines = file.getvalue().splitlines()
        assert " ".join(line.strip() for line in lines) == said
        assert max(map(len, lines)) <= 30 if is_terminal else lines == [said]


def test_a_finished_training_is_done_also_when_its_data_has_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("pairs.tsv").write_text("".join(f"{a}{b}\t{b}{a}\n" for a in "abcd" for b in "abcd"))
    Path("pairs.yaml").write_text(
        "task: seq2seq\ndata: {train: pairs.tsv}\nmodel: {hidden_size: 4, backend: torch}\n"
        "train: {batch_size: 4, max_steps: 2}\n"
    )
    show = TrainingDisplay.show

    def shown(self: TrainingDisplay, event: Event) -> None:
        show(self, event)
        Path("pairs.tsv").unlink(missing_ok=True)

    monkeypatch.setattr(TrainingDisplay, "show", shown)
    result = charseq("pairs.yaml")
    assert result.exit_code == 0
    assert result.output.splitlines()[-1].startswith("note: no example can be shown: pairs.tsv: ")


def test_what_auto_comes_to_and_what_a_resumed_training_changes_are_shown() -> None:
    lines = "".join(f"{a}{b}\t{b}{a}X\n" for a in "abcd" for b in "abcd")
    Path("pairs.tsv").write_text(lines)
    Path("pairs.yaml").write_text(
        "task: seq2seq\ndata: {train: pairs.tsv}\n"
        "model: {hidden_size: 4, backend: torch, copy: auto}\n"
        "train: {batch_size: 4, max_steps: 2}\n"
    )
    auto = "\nmodel.copy auto: 4 of 5 target symbols are source symbols: they may be copied\n"
    shown = charseq("pairs.yaml").stdout
    assert auto in shown
    assert "changed" not in shown
    shown = charseq("runs/pairs", "--resume", "--set", "train.max_steps=3").stdout
    assert auto in shown
    assert "\nresumed after step 2\nchanged: train.max_steps was 2 and is 3\n" in shown
    Path("pairs.tsv").write_text(lines.replace("X", "XYZ"))
    shown = charseq("pairs.yaml", "--run", "few").stdout
    assert "\nmodel.copy auto: 4 of 7 target symbols are source symbols: too few to copy\n" in shown
    begun = charseq("pairs.yaml", "--run", "on", "--set", "train.init_from=runs/pairs").stdout
    assert "\nmodel.copy auto: as the model that it begins with, which copies\n" in begun
    begun = charseq("pairs.yaml", "--run", "on-few", "--set", "train.init_from=few").stdout
    assert "\nmodel.copy auto: as the model that it begins with, which does not copy\n" in begun


def test_a_text_to_validate_that_is_the_one_to_train_on_is_told() -> None:
    Path("texts/copy.txt").write_bytes(Path("texts/cat.txt").read_bytes())
    told = "the text to validate is the one to train on: what is measured on it says nothing"
    for name, same in (("texts/cat.txt", True), ("texts/copy.txt", True), ("other.txt", False)):
        Path("other.txt").write_text("the cat sat on a mat. " * 20)
        settings = ("--set", f"data.valid_text={name}", "--set", "train.max_steps=1")
        shown = charseq("configs/cat.yaml", *settings, "--run", f"runs/{Path(name).stem}-2").stdout
        assert (told in shown) is same


def test_the_configuration_in_a_run_folder_stands_for_the_run() -> None:
    charseq("configs/cat.yaml", "--set", "train.max_steps=3")
    go_on = command_line("train", "runs/cat", "--resume")
    assert f"is the folder of a run: `{go_on}`" in refusal("runs/cat/config.yaml")
    shown = charseq("runs/cat/config.yaml", "--resume", "--set", "train.max_steps=5").stdout
    assert "resumed after step 3" in shown
    assert not Path("runs/config").exists()
    assert "no such configuration (did you mean 'runs/cat'?)" in refusal("cat", "--resume")
    again = charseq(
        "runs/cat/config.yaml", "--run", "runs/anew", "--set", "train.max_steps=1"
    ).stdout
    assert "resumed" not in again

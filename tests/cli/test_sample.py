"""``charseq sample`` as a person, a pipe and a script use it."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from charseq.cli.sample import sample
from charseq.cli.sample_text import RULE
from charseq.cli.writing import harmless
from charseq.config import config_from_json
from charseq.errors import CharseqError
from charseq.inference.load import load
from charseq.inference.trained_lm import TrainedLanguageModel
from charseq.models.build import build_model
from charseq.models.checkpoint import Checkpoint, write_checkpoint
from charseq.models.checkpoint_file import WEIGHTS
from charseq.text.vocab import Vocab

app = typer.Typer()
app.command()(sample)
PROGRAM = "import typer; from charseq.cli.sample import sample; typer.run(sample)"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model with random weights of the letters, with an escape character among them."""
    return make_checkpoint(tmp_path_factory.mktemp("run"), "\n\x1babcdefgh é")


def make_checkpoint(folder: Path, symbols: str) -> str:
    config = config_from_json(
        {
            "data": {"text": "none.txt", "newlines": "unix"},
            "model": {"hidden_size": 8},
            "sample": {"length": 50, "temperature": 1.0, "seed": 3},
        },
        where="a test",
    )
    vocab = Vocab("char", tuple(sorted(symbols)))
    torch.manual_seed(0)
    parameters = build_model(config, vocab).named_parameters()
    tensors = {WEIGHTS + name: parameter * 4 for name, parameter in parameters}
    write_checkpoint(folder / "best.safetensors", Checkpoint(config, vocab, tensors, {}))
    return str(folder)


def load_text(run: str) -> TrainedLanguageModel:
    trained = load(run)
    assert isinstance(trained, TrainedLanguageModel)
    return trained


def run(*arguments: str, given: bytes | None = None) -> str:
    result = CliRunner().invoke(app, list(arguments), input=given, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    return result.stdout_bytes.decode()


def refused(*arguments: str) -> str:
    with pytest.raises(CharseqError) as caught:
        CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    return str(caught.value)


def test_a_pipe_gets_the_prime_and_the_text_and_nothing_else(checkpoint: str) -> None:
    written = load_text(checkpoint).sample("abc")
    assert len(written) == 50
    assert run(checkpoint, "--prime", "abc") == "abc" + written


def test_without_a_prime_the_one_of_the_run_is_read_and_not_printed(checkpoint: str) -> None:
    assert run(checkpoint) == load_text(checkpoint).sample("\n")


def test_options_go_before_the_settings_of_the_run(checkpoint: str) -> None:
    options = ["--length", "9", "--temperature", "0.5", "--top-k", "4", "--top-p", "0.9"]
    expected = load_text(checkpoint).sample(
        "a", length=9, temperature=0.5, top_k=4, top_p=0.9, seed=1, stop="b"
    )
    assert run(checkpoint, "--prime", "a", *options, "--seed", "1", "--stop", "b") == "a" + expected


def test_a_text_ends_at_the_first_of_several_strings(checkpoint: str) -> None:
    whole = run(checkpoint, "--prime", "a", "--length", "200", "--seed", "1")[1:]
    stops = whole[60:63], whole[40:42], whole[90:91] * 30
    options = [part for stop in stops for part in ("--stop", stop)]
    written = run(checkpoint, "--prime", "a", "--length", "200", "--seed", "1", *options)
    assert written == "a" + whole[: min(whole.find(stop) for stop in stops[:2])]
    result = CliRunner().invoke(app, [checkpoint, "--prime", "a", "--stop", "aö"])
    assert result.stderr == (
        "note: --stop aö: the model never writes 'ö' (U+00F6 LATIN SMALL LETTER O WITH DIAERESIS)\n"
    )


def test_the_prime_comes_from_a_file_or_a_pipe(checkpoint: str, tmp_path: Path) -> None:
    file = tmp_path / "prime.txt"
    file.write_bytes(b"\xef\xbb\xbfab\r\ncd")  # with a byte-order mark; line ends made LF
    expected = run(checkpoint, "--prime", "ab\ncd")
    assert run(checkpoint, "--prime-file", str(file)) == expected
    assert run(checkpoint, "--prime-file", "-", given=file.read_bytes()) == expected
    assert run(checkpoint, "-", given=file.read_bytes()) == expected
    assert run(checkpoint, "-", given=b"").startswith(load_text(checkpoint).sample(""))
    with pytest.raises(CharseqError, match="0xff at byte offset 2 is not UTF-8"):
        CliRunner().invoke(app, [checkpoint, "-"], input=b"ab\xff", catch_exceptions=False)


def test_several_texts_have_a_rule_between_them(checkpoint: str) -> None:
    trained = load_text(checkpoint)
    texts = ["ab" + trained.sample("ab", seed=seed).removesuffix("\n") for seed in (7, 8, 9)]
    written = run(checkpoint, "--prime", "ab", "--seed", "7", "--count", "3")
    assert written.removesuffix("\n") == f"\n{RULE}\n".join(texts)


def test_json_has_what_the_text_costs_the_model(checkpoint: str) -> None:
    trained = load_text(checkpoint)
    records = json.loads(run(checkpoint, "--prime", "ab", "--count", "2", "--json"))
    assert [record["seed"] for record in records] == [3, 4]
    for record in records:
        text = trained.sample("ab", seed=record["seed"])
        assert (record["prime"], record["text"]) == ("ab", text)
        assert record["nats"] == pytest.approx(trained.surprisal("ab" + text)[1:].mean(), rel=1e-6)
    (record,) = json.loads(
        run(checkpoint, "--stop", records[0]["text"][0], "--prime", "ab", "--json")
    )
    assert (record["text"], record["nats"]) == ("", None)


@pytest.mark.kernel
def test_nothing_imports_torch_to_write(checkpoint: str) -> None:
    program = f"""import atexit, sys
atexit.register(lambda: print("torch" in sys.modules, file=sys.stderr))
{PROGRAM}"""
    asked = [checkpoint, "--prime", "abc", "--count", "2", "--seed", "5"]
    written = {}
    for setting in ("on", "off"):
        done = subprocess.run(
            [sys.executable, "-c", program, *asked],
            capture_output=True,
            check=True,
            env={**os.environ, "CHARSEQ_KERNEL": setting},
            text=True,
        )
        written[setting] = done.stdout
        assert done.stderr == f"{setting == 'off'}\n"
    assert written["on"] == written["off"] == run(*asked)


@pytest.mark.kernel("avx512_bf16")
def test_bfloat16_is_an_option(checkpoint: str) -> None:
    long = ["--prime", "a", "--length", "3000"]
    expected = load_text(checkpoint).sample("a", length=3000, precision="bf16")
    assert run(checkpoint, *long, "--precision", "bf16") == "a" + expected
    assert run(checkpoint, *long, "--precision", "fp32") == run(checkpoint, *long)
    assert run(checkpoint, *long) != "a" + expected


def test_an_unknown_character_of_the_prime(checkpoint: str) -> None:
    message = refused(checkpoint, "--prime", "abµ")
    assert "'µ' (U+00B5 MICRO SIGN) at position" in message
    assert "--unknown skip" in message
    written = run(checkpoint, "--prime", "abµ", "--unknown", "skip")
    assert written == "abµ" + load_text(checkpoint).sample("ab")


def test_two_primes_and_stray_arguments_are_refused(checkpoint: str, tmp_path: Path) -> None:
    for two in (["-", "--prime", "a"], ["--prime", "a", "--prime-file", "f"]):
        assert "more than one prime" in refused(checkpoint, *two)
    assert "'abc' is one argument too many for a language model" in refused(checkpoint, "abc")
    assert "'b' is one argument too many" in refused(checkpoint, "-", "b")
    assert "more than one prime" in refused(checkpoint, "-", "-")
    assert "holds no checkpoint" in refused(str(tmp_path))
    assert "top_p: must be above 0 and at most 1, not 2.0" in refused(checkpoint, "--top-p", "2")
    assert "the stop string is empty" in refused(checkpoint, "--stop", "x", "--stop", "")


def test_options_for_pairs_are_refused(checkpoint: str) -> None:
    for option in ("--beam", "--n-best", "--input", "--features", "--attention-file"):
        message = refused(checkpoint, option, "2")
        assert message == f"{option}: is for models of pairs; this run writes text"
    for flag in ("--attention", "--skip-errors"):
        assert f"{flag}: is for models of pairs" in refused(checkpoint, flag)
    assert "an ensemble is made of models of pairs" in refused(checkpoint, "--ensemble", checkpoint)


def test_help_shows_an_example() -> None:
    shown = " ".join(run("--help").split())
    assert 'Example: charseq sample runs/dates "3 May 1979"' in shown
    assert "Example: charseq sample runs/stdlib --prime" in shown


def test_a_terminal_is_spared_control_characters(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, "\x1b\x07")
    command = [sys.executable, "-c", PROGRAM, folder, "--prime", "\x1b", "--length", "5"]
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        subprocess.run(command, stdout=theirs, check=True, stdin=subprocess.DEVNULL)
        os.close(theirs)
        shown = screen.read(1000)
    assert b"\x1b" not in shown
    assert shown.startswith(b"\\x1b\\x")
    assert shown.endswith(b"\r\n")  # so that the prompt begins a line
    piped = subprocess.run(command, capture_output=True, check=True)
    assert len(piped.stdout) == 6
    assert set(piped.stdout) <= {0x1B, 0x07}


def test_only_control_characters_are_escaped() -> None:
    assert harmless("a\tb\n\u00a0é👩\u200d🚀") == "a\tb\n\u00a0é👩\u200d🚀"
    assert harmless("\x1b[2J\r\x9b\x7f") == "\\x1b[2J\\r\\x9b\\x7f"


def test_a_reader_that_has_enough_ends_it_quietly(checkpoint: str) -> None:
    command = [sys.executable, "-c", PROGRAM, checkpoint, "--length", "1000000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        assert len(process.stdout.read(20)) == 20
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) != 0


def test_ctrl_c_ends_it_quietly(checkpoint: str) -> None:
    command = [sys.executable, "-c", PROGRAM, checkpoint, "--length", "1000000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.read(20)
        process.send_signal(2)
        while process.stdout.read(1 << 16):
            pass
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 130

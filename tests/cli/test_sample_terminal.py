"""``charseq sample`` with models of pairs at a terminal, in a pipe, and interrupted."""

import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from pair_runs import CONTROLS, make_run
from pair_sampling import PROGRAM, load_pairs, run, targets

from charseq.cli.confidence import confidence

pytest_plugins = ["pair_models"]


def test_a_terminal_is_spared_control_characters(tmp_path: Path) -> None:
    folder = make_run(tmp_path, CONTROLS, endless=True)
    expected = targets(folder, "abc", "b")
    assert "\x1b" in expected or "\x07" in expected
    assert run(folder, "abc", "b") == expected
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        command = [sys.executable, "-c", PROGRAM, folder, "abc", "b"]
        subprocess.run(command, stdout=theirs, stderr=subprocess.DEVNULL, check=True)
        os.close(theirs)
        shown = screen.read(10_000).decode()
    visible = expected.replace("\x1b", "\\x1b").replace("\x07", "\\x07")
    assert [line.split("\t")[0] for line in shown.split("\r\n")] == visible.split("\n")


def next_line(stream: IO[bytes]) -> str:
    """A line that is to come by itself, without a buffer."""
    assert select.select([stream], [], [], 30)[0], "no line comes"
    return stream.readline().decode()


@contextmanager
def typing(folder: str, *options: str) -> Iterator[tuple[IO[bytes], IO[bytes], IO[bytes]]]:
    """The keyboard, the standard output and error of a command that reads a terminal."""
    ours, theirs = pty.openpty()
    settings = termios.tcgetattr(theirs)
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(theirs, termios.TCSANOW, settings)
    with (
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, folder, "-", *options],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        ) as process,
        os.fdopen(ours, "wb", buffering=0) as keyboard,
    ):
        os.close(theirs)
        assert process.stdout
        assert process.stderr
        yield keyboard, process.stdout, process.stderr
        keyboard.write(b"\x04")  # the end of the input
        assert process.wait(timeout=60) == 0


def test_lines_typed_at_a_terminal_are_answered_one_by_one(letters: str) -> None:
    with typing(letters) as (keyboard, answers, errors):
        for typed, wrong in (
            (b"abc", None),
            (b"dX", "standard input:2: 'X'"),
            (b"d\xff", "standard input:3: byte 0xff at byte offset 8"),
            (b"de", None),
        ):
            keyboard.write(typed + b"\n")
            if wrong:
                assert wrong in next_line(errors)
            else:
                assert next_line(answers) == targets(letters, typed.decode())


def test_what_is_drawn_for_a_typed_source_is_that_of_its_number(letters: str) -> None:
    sources = ["abc", "abc", "abc"]
    expected = targets(letters, *sources, temperature=2.0, seed=0).splitlines(keepends=True)
    assert len(set(expected)) > 1
    with typing(letters, "--temperature", "2", "--seed", "0") as (keyboard, answers, _):
        for source, answer in zip(sources, expected, strict=True):
            keyboard.write(source.encode() + b"\n")
            assert next_line(answers) == answer


def test_a_pipe_gets_what_is_done_while_more_is_to_come(letters: str) -> None:
    """And a reader that has enough ends the command quietly."""
    command = [sys.executable, "-c", PROGRAM, letters, "-", "--beam", "1"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(b"abc\n" * 600)
        process.stdin.flush()
        line = next_line(process.stdout)
        (conversion,) = load_pairs(letters).convert(["abc"], beam=1)
        assert line == conversion.outputs[0].text + "\n"
        assert process.poll() is None
        process.stdout.close()
        process.stdin.write(b"abc\n" * 5000)
        process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) != 0


def test_ctrl_c_ends_it_quietly_and_leaves_no_half_a_file(letters: str, tmp_path: Path) -> None:
    output = tmp_path / "out.txt"
    command = [sys.executable, "-c", PROGRAM, letters, "-", "--output", str(output)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write(b"abc\n" * 5000)
        process.stdin.flush()
        while not (temporary := list(tmp_path.iterdir())) or not temporary[0].stat().st_size:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(2)
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "is_shown"), [("--confidence", True), ("--no-confidence", False)]
)
def test_a_terminal_is_told_in_percent(letters: str, option: str, is_shown: bool) -> None:
    output = next(load_pairs(letters).convert(["abc"])).outputs[0]
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        command = [sys.executable, "-c", PROGRAM, letters, "abc", option]
        subprocess.run(command, stdout=theirs, stderr=subprocess.DEVNULL, check=True)
        os.close(theirs)
        shown = screen.read(10_000).decode()
    assert shown == output.text + is_shown * f"\t{confidence(output)}" + "\r\n"

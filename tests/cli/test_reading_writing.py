"""Lines into a command, and files out of it that are whole or not there."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.cli.options import refuse_options
from charseq.cli.reading import read_lines
from charseq.cli.writing import json_text, whole_file
from charseq.errors import CharseqError

LINES = st.lists(st.text(st.characters(exclude_characters="\n\ufeff", exclude_categories=["Cs"])))


@given(LINES, st.sampled_from(["", "\n"]))
def test_a_file_is_cut_at_line_feeds_alone(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], end: str
) -> None:
    """Not at the other characters, such as U+2028, that ``str.splitlines`` knows."""
    file = tmp_path_factory.mktemp("lines") / "in.txt"
    whole = "\n".join(texts) + end
    file.write_bytes(whole.encode())
    expected = whole.removesuffix("\n").split("\n") if whole else []
    found = list(read_lines(str(file)))
    assert [line for _, line in found] == [line.removesuffix("\r") for line in expected]
    assert [where for where, _ in found] == [f"{file}:{n + 1}" for n in range(len(found))]


def test_a_pipe_is_read_too(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("a\nb",))
    writer.start()
    assert [line for _, line in read_lines(str(pipe))] == ["a", "b"]
    writer.join()


def test_a_file_is_replaced_when_all_is_written(tmp_path: Path) -> None:
    file, link = tmp_path / "out", tmp_path / "link"
    file.write_text("old")
    link.symlink_to(file)
    with whole_file(str(link)) as out:
        out.write(b"new")
        out.flush()
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "out"]


def test_a_folder_that_is_not_there_is_no_file(tmp_path: Path) -> None:
    name = f"{tmp_path}/there/"
    with pytest.raises(CharseqError, match="is a folder; name a file in it"), whole_file(name):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_not_finished_is_not_there(tmp_path: Path) -> None:
    def interrupted() -> None:
        with whole_file(str(tmp_path / "out")) as out:
            out.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_device_is_written_to_as_it_goes(tmp_path: Path) -> None:
    with whole_file("/dev/null") as out:
        out.write(b"gone")
    assert not Path("/dev/.null.tmp").exists()
    assert Path("/dev/null").is_char_device()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with whole_file(str(pipe)) as out:
        out.write(b"through")
    reader.join()
    assert read == [b"through"]
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_by_its_name_is_added_to(name: str, tmp_path: Path) -> None:
    """A file that it goes to is neither emptied nor replaced; a pipe is written to."""
    program = (
        "from charseq.cli.writing import whole_file\n"
        f"print('before')\nwith whole_file({name!r}) as out: out.write(b'table\\n')\nprint('after')"
    )
    command = [sys.executable, "-c", program]
    log = tmp_path / "log.txt"
    log.write_text("precious\n")
    with log.open("a") as file:
        subprocess.run(command, stdout=file, check=True)
    assert log.read_text() == "precious\nbefore\ntable\nafter\n"
    piped = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    assert piped.stdout == b"before\ntable\nafter\n"
    none = pytest.raises(CharseqError, match="/dev/fd/999: cannot be written: Bad file")
    with none, whole_file("/dev/fd/999"):
        pass


def test_a_full_disk_is_told() -> None:
    with (
        pytest.raises(CharseqError, match="/dev/full: cannot be written: No space left"),
        whole_file("/dev/full") as out,
    ):
        out.write(b"x")


def test_an_option_is_given_when_it_is_not_its_default() -> None:
    refuse_options({"--a": None, "--b": False, "--c": []}, "why")
    for value in (0, 0.0, "", True, "x"):
        with pytest.raises(CharseqError, match=r"^--b: why$"):
            refuse_options({"--a": None, "--b": value}, "why")


@given(st.text(st.characters(exclude_categories=[])))
def test_json_reads_well_and_gives_a_terminal_nothing_to_obey(text: str) -> None:
    for indent in (None, 2):
        written = json_text({"text": text}, indent)
        assert json.loads(written) == {"text": text}
        assert all(line.isprintable() for line in written.split("\n"))
    assert json_text("mañana ʎ t͡ɕ͈", None) == '"mañana ʎ t͡ɕ͈"'
    assert json_text("\x9b31m", None) == r'"\u009b31m"'


def test_json_has_neither_nan_nor_infinity() -> None:
    found = json_text({"nats": float("nan"), "each": [1.5, float("-inf"), (float("inf"), 2)]})
    read = json.loads(found, parse_constant=pytest.fail)
    assert read == {"nats": None, "each": [1.5, None, [None, 2]]}

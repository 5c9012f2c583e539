"""The kernel is built once, by whoever comes first; where it cannot be, a sentence says why.

The compilers here are shell scripts: most only write down what they were asked to do.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from charseq.lstm import compiler, kernel
from charseq.lstm.compiler import UnavailableError, build, usable_instructions
from charseq.lstm.layer import LSTM

Patch = pytest.MonkeyPatch

FAKE = """#!/bin/sh
case "$*" in *--version) echo "fake 1.0"; exit; esac
echo "$@" >> {log}
while [ "$1" != -o ]; do shift; done
echo "not a library" > "$2"
"""


@pytest.fixture(autouse=True)
def untouched(tmp_path: Path, monkeypatch: Patch) -> Iterator[None]:
    """An empty cache, a plain environment, and a kernel that nobody has looked for yet."""
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("CXX", "CXXFLAGS", "CHARSEQ_KERNEL"):
        monkeypatch.delenv(name, raising=False)
    forget()
    yield
    forget()


def forget() -> None:
    kernel.look_for.cache_clear()


@pytest.fixture
def script(tmp_path: Path, monkeypatch: Patch) -> Path:
    """Where $CXX is; the test writes it."""
    path = tmp_path / "compiler"
    monkeypatch.setenv("CXX", str(path))
    return path


@pytest.fixture
def log(tmp_path: Path, script: Path) -> Path:
    """A compiler that writes down its arguments, a line each time it compiles."""
    log = tmp_path / "log"
    log.touch()
    write(script, FAKE.format(log=log))
    return log


def write(script: Path, text: str) -> None:
    script.write_text(text)
    script.chmod(0o755)


def compiled(log: Path) -> int:
    return len(log.read_text().splitlines())


def test_it_is_compiled_once(log: Path) -> None:
    library = build("plain")
    assert library.read_text() == "not a library\n"
    assert build("plain") == library
    assert compiled(log) == 1
    # under another name: whoever comes meanwhile must not find half of it
    assert log.read_text().split()[-1] != str(library)
    assert sorted(file.suffix for file in library.parent.iterdir()) == [".lock", ".so"]


@pytest.mark.kernel
def test_a_damaged_library_is_compiled_again() -> None:
    library = build("plain")
    whole = library.stat().st_size
    library.write_bytes(b"")
    assert kernel.load("plain").path == library
    assert library.stat().st_size == whole


def test_a_library_in_a_cache_that_cannot_be_written_is_found(
    log: Path, monkeypatch: Patch
) -> None:
    library = build("plain")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(compiler, "locked", refuse)
    assert build("plain") == library


def test_the_name_of_a_build_holds_all_that_it_depends_on(
    log: Path, script: Path, tmp_path: Path, monkeypatch: Patch
) -> None:
    names = [build("plain"), build("avx2")]
    monkeypatch.setenv("CXXFLAGS", "-O1")
    names.append(build("plain"))
    assert log.read_text().splitlines()[-1].split()[-4] == "-O1"
    monkeypatch.delenv("CXXFLAGS")
    write(script, FAKE.format(log=log).replace("fake 1.0", "fake 1.1"))
    names.append(build("plain"))
    monkeypatch.setenv("CXX", f"{script} -pipe")
    names.append(build("plain"))
    monkeypatch.setenv("CXX", str(script))
    sources = tmp_path / "csrc"
    shutil.copytree(compiler._SOURCES, sources)
    monkeypatch.setattr(compiler, "_SOURCES", sources)
    assert build("plain") == names[3]  # where the sources lie does not matter
    for source in sorted(sources.iterdir()):
        source.write_text(source.read_text() + "\n")
        names.append(build("plain"))
    assert len(set(names)) == len(names) > 6
    assert compiled(log) == len(names)


def test_each_build_may_use_its_instructions_and_no_others(log: Path) -> None:
    for name in compiler.INSTRUCTIONS:
        build(name)
    machine = [
        {flag for flag in line.split() if flag.startswith("-m")}
        for line in log.read_text().splitlines()
    ]
    avx512 = {"-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mfma"}
    assert machine == [avx512 | {"-mavx512bf16"}, avx512, {"-mavx2", "-mfma"}, set()]


@pytest.mark.parametrize(
    ("flags", "usable"),
    [
        ("flags : fpu sse2", ["plain"]),
        ("flags : fpu avx2", ["plain"]),
        ("flags\t\t: fma avx2 sse2", ["avx2", "plain"]),
        (
            "processor : 0\nflags : fma avx2 avx512f avx512bw avx512vl avx512dq\nflags : fpu",
            ["avx512", "avx2", "plain"],
        ),
        (
            "flags : fma avx2 avx512f avx512bw avx512vl avx512dq avx512_bf16",
            ["avx512_bf16", "avx512", "avx2", "plain"],
        ),
        ("Features : fp asimd evtstrm", ["plain"]),
        (None, ["plain"]),
    ],
)
def test_what_a_processor_can_is_read_from_cpuinfo(
    flags: str | None, usable: list[str], tmp_path: Path, monkeypatch: Patch
) -> None:
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(flags + "\n")
    monkeypatch.setattr(compiler, "Path", lambda path: tmp_path / Path(path).name)
    assert usable_instructions() == usable


# -- where there is no kernel


def test_a_compiler_that_is_not_there_is_named(monkeypatch: Patch) -> None:
    monkeypatch.setenv("CXX", "/nonexistent -O2")
    with pytest.raises(UnavailableError, match=r"\$CXX, /nonexistent -O2, is not installed; "):
        kernel.load()


@pytest.mark.parametrize(
    ("system", "help_words"), [("linux", "apt install g"), ("darwin", "xcode-select --install")]
)
def test_without_any_compiler_it_says_how_to_get_one(
    system: str, help_words: str, monkeypatch: Patch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "platform", system)
    with pytest.raises(UnavailableError, match=r"a C\+\+ compiler is not installed; ") as caught:
        kernel.load()
    assert help_words in str(caught.value)


def test_any_compiler_with_one_of_the_usual_names_will_do(
    log: Path, script: Path, tmp_path: Path, monkeypatch: Patch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "clang++"):
        (folder / name).symlink_to(script if name == "clang++" else shutil.which("sh") or "")
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(folder))
    build("plain")
    assert compiled(log) == 1


FAILING = """#!/bin/sh
if [ "$1" = --version ]; then exit; fi
while [ "$1" != -o ]; do shift; done
echo "half a libr" > "$2"
echo "In file included from lstm.cpp:" >&2
echo "layer.h:1: error: unknown type name" >&2
echo "layer.h:2: error: too many errors" >&2
exit 1
"""


def test_a_compiler_that_fails_is_quoted_and_leaves_nothing(script: Path, tmp_path: Path) -> None:
    write(script, FAILING)
    with pytest.raises(UnavailableError) as caught:
        build("plain")
    words = f"{script} failed: layer.h:1: error: unknown type name; $CXX names another compiler"
    assert str(caught.value) == words
    assert [file.suffix for file in (tmp_path / "cache" / "kernels").iterdir()] == [".lock"]


def test_a_compiler_that_failed_is_not_asked_again(script: Path, tmp_path: Path) -> None:
    """By whoever else wants the kernel in this process: every sample of a model does."""
    asked = tmp_path / "asked"
    write(script, f"#!/bin/sh\necho >> {asked}\nexit 1")
    with pytest.raises(UnavailableError) as first:
        kernel.load()
    count = len(asked.read_text())
    assert count > 0
    with pytest.raises(UnavailableError) as again:
        kernel.load()
    assert str(again.value) == str(first.value) == kernel.why_not()
    assert len(asked.read_text()) == count


@pytest.mark.parametrize(
    "text",
    [
        "#!/bin/sh\n[ $1 = --version ]",  # fails without a word
        "#!/bin/sh\nexit 0",  # makes nothing, and is content
        "\x7fELF of another processor",
        "#!/bin/sh\nkill -9 $$",
    ],
)
def test_whatever_a_compiler_does_is_a_reason_and_no_crash(text: str, script: Path) -> None:
    write(script, text)
    assert kernel.why_not()
    with pytest.raises(UnavailableError, match=r"\w"):
        kernel.load("plain")


@pytest.mark.parametrize("name", ["CXX", "CXXFLAGS"])
def test_a_quotation_that_does_not_end_is_a_reason_and_no_crash(
    name: str, log: Path, monkeypatch: Patch
) -> None:
    monkeypatch.setenv(name, "'-O2")
    with pytest.raises(UnavailableError, match=rf"\$?{name}"):
        kernel.load()


def test_what_cannot_be_loaded_is_a_reason(log: Path) -> None:
    with pytest.raises(UnavailableError, match=r"lstm-\w+\.so"):
        kernel.load()


def test_a_cache_that_cannot_be_written_is_named(
    log: Path, tmp_path: Path, monkeypatch: Patch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(UnavailableError, match=rf"{tmp_path}/file/kernels cannot be written: "):
        kernel.load()
    with pytest.raises(UnavailableError, match="CHARSEQ_CACHE_DIR names another folder"):
        kernel.load()
    assert compiled(log) == 0


def test_it_can_be_switched_off(log: Path, monkeypatch: Patch) -> None:
    monkeypatch.setenv("CHARSEQ_KERNEL", "off")
    assert kernel.why_not() == "CHARSEQ_KERNEL=off is set in the environment; unset it"
    assert compiled(log) == 0


def test_instructions_that_the_processor_lacks_are_refused(log: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(kernel, "usable_instructions", lambda: ["avx2", "plain"])
    with pytest.raises(UnavailableError, match="has no avx512, only avx2, plain"):
        kernel.load("avx512")
    assert compiled(log) == 0


def test_without_a_kernel_auto_is_manual_and_fused_says_why(monkeypatch: Patch) -> None:
    ids = torch.tensor([[0, 1], [2, 0]])
    torch.manual_seed(0)
    auto = LSTM(3, 4, backend="auto")
    manual = LSTM(3, 4, backend="manual")
    manual.load_state_dict(auto.state_dict())
    monkeypatch.setenv("CXX", "/nonexistent")
    assert auto.resolve_backend(torch.device("cpu")) == "manual"
    assert torch.equal(auto(ids)[0], manual(ids)[0])
    chosen = LSTM(3, 4, backend="fused")
    assert chosen.resolve_backend(torch.device("cpu")) == "fused"
    with pytest.raises(UnavailableError, match="/nonexistent, is not installed"):
        chosen(ids)


# -- with the compiler of this machine


OLD = """#!/bin/sh
case "$*" in *-m*) echo "error: unrecognized option" >&2; exit 1; esac
echo "$@" >> {log}
exec {real} "$@"
"""


@pytest.mark.kernel("plain")
def test_a_compiler_older_than_the_processor_gives_what_it_can(
    script: Path, log: Path, monkeypatch: Patch
) -> None:
    write(script, OLD.format(log=log, real=shutil.which("c++")))
    monkeypatch.setattr(kernel, "usable_instructions", lambda: ["avx512", "avx2", "plain"])
    monkeypatch.setenv("CXXFLAGS", "-O0")
    assert kernel.load().instructions == "plain"
    assert kernel.why_not() is None
    # and it computes
    torch.manual_seed(0)
    ours, manual = LSTM(3, 4, backend="fused"), LSTM(3, 4, backend="manual")
    manual.load_state_dict(ours.state_dict())
    ids = torch.tensor([[0, 1], [2, 0]])
    torch.testing.assert_close(ours(ids), manual(ids))


FIRST_RUN = """
import ctypes, sys
from charseq.lstm import kernel
weight, packed = (ctypes.c_double * 4)(1, 2, 3, 4), (ctypes.c_double * 4)()
kernel.load("plain").call("pack_forward", "float64", weight, 2, 1, 2, 1, packed)
print(list(packed), "torch" in sys.modules)
"""


@pytest.mark.kernel("plain")
def test_processes_that_come_first_together_all_get_the_one_build(
    script: Path, log: Path, monkeypatch: Patch
) -> None:
    """And none of them waits for torch."""
    write(script, f'#!/bin/sh\necho "$@" >> {log}\nexec {shutil.which("c++")} "$@"\n')
    monkeypatch.setenv("CXXFLAGS", "-O0")
    running = [
        subprocess.Popen(
            [sys.executable, "-c", FIRST_RUN],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in running:
        assert process.communicate() == ("[1.0, 3.0, 2.0, 4.0] False\n", "")
        assert process.returncode == 0
    lines = log.read_text().splitlines()
    assert sum("lstm.cpp" in line for line in lines) == 1
    assert lines.count("--version") == 3

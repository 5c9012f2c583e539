"""The standard library's source makes the same text each time, of the library's files alone."""

import sysconfig
from pathlib import Path

import pytest

from charseq.errors import CharseqError
from charseq.text import stdlib_source
from charseq.text.stdlib_source import source_files, stdlib_path, stdlib_text


def library(root: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(root))


def test_what_is_taken_and_in_which_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {
        "abc.py": b"abc\n",
        "zip.py": b"no newline",
        "json/__init__.py": b"json\n",
        "json/tool.py": "# ü\n".encode(),
        "xml/dom/mini.py": b"dom\n",
    }
    left_out = {
        "latin.py": b"# \xfc\n",
        "test/a.py": b"!",
        "json/tests/a.py": b"!",
        "site-packages/torch/a.py": b"!",
        "config-3.11-linux/a.py": b"!",
        "idlelib/a.py": b"!",
        "_sysconfigdata__linux_.py": b"!",
        "notes.txt": b"!",
        "empty.py": b"",
    }
    library(tmp_path / "lib", {**left_out, **taken}, monkeypatch)
    text = stdlib_text(tmp_path / "cache").read_text(encoding="utf-8")
    assert text == "abc\nno newline\njson\n# ü\ndom\n"


def test_the_order_is_that_of_the_names_not_of_the_disk(tmp_path: Path) -> None:
    names = [f"{letter}/{number}.py" for letter in "zyxwvut" for number in "987654"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in source_files(tmp_path)]
    assert found == sorted(names)


def test_it_is_written_once_for_each_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library(tmp_path / "lib", {"a.py": b"one\n"}, monkeypatch)
    first = stdlib_text(tmp_path)
    assert first == stdlib_path(tmp_path)
    library(tmp_path / "lib", {"a.py": b"two\n"}, monkeypatch)
    assert stdlib_text(tmp_path).read_text() == "one\n"
    monkeypatch.setattr(stdlib_source, "RECIPE", stdlib_source.RECIPE + 1)
    assert stdlib_text(tmp_path).read_text() == "two\n"


def test_a_python_without_sources_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library(tmp_path / "lib", {"a.pyc": b"compiled"}, monkeypatch)
    with pytest.raises(CharseqError, match="there are no Python source files"):
        stdlib_text(tmp_path / "cache")
    assert not stdlib_path(tmp_path / "cache").exists()


def test_this_pythons_own_library() -> None:
    root = Path(sysconfig.get_path("stdlib"))
    files = [path.relative_to(root).as_posix() for path in source_files(root)]
    assert {"argparse.py", "json/decoder.py", "asyncio/base_events.py"} <= set(files)
    assert not [name for name in files if {"test", "site-packages"} & set(name.split("/"))]
    assert sum((root / name).stat().st_size for name in files) > 5_000_000

"""The standard library's own source as one text: real text that every machine has already."""

import os
import platform
import sysconfig
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from charseq.errors import CharseqError
from charseq.text.cache import atomic_write, locked

RECIPE = 1  # raise it when the same Python comes to give another text

# Tests, applications, tables and other people's packages, not the library; then what was generated
# when this Python was built.
LEFT_OUT_FOLDERS = (
    "test",
    "tests",
    "idlelib",
    "turtledemo",
    "lib2to3",
    "encodings",
    "pydoc_data",
    "ensurepip",
    "site-packages",
    "dist-packages",
    "config-*",
)
LEFT_OUT_FILES = ("_sysconfigdata*",)


def stdlib_path(folder: Path) -> Path:
    """Where ``folder`` holds the text of this Python, once it is written."""
    return folder / f"stdlib-{platform.python_version()}-r{RECIPE}.txt"


def stdlib_text(folder: Path) -> Path:
    """The text's file in ``folder``, written there the first time.

    It holds the library's ``*.py`` files that are UTF-8, one after the other in the order of their
    paths, so that one Python always gives one text.

    Raises:
        CharseqError: this Python comes without source files.
        OSError: the folder cannot be written.
    """
    target = stdlib_path(folder)
    if target.exists():
        return target
    root = Path(sysconfig.get_path("stdlib"))
    with locked(target):
        if not target.exists():  # nobody wrote it while we waited
            with atomic_write(target) as file:
                for path in source_files(root):
                    file.write(_source(path))
                if file.tell() == 0:
                    raise CharseqError(
                        f"dataset:stdlib: there are no Python source files in {root}; take another "
                        "text, see `charseq data list`"
                    )
    return target


def source_files(root: Path) -> Iterator[Path]:
    """The library's files under its folder, sorted by path, a folder's own files first."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not _matches(name, LEFT_OUT_FOLDERS))
        for name in sorted(files):
            if name.endswith(".py") and not _matches(name, LEFT_OUT_FILES):
                yield Path(folder, name)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _source(path: Path) -> bytes:
    """The bytes of a file, ended by a newline; nothing when it is not UTF-8 or cannot be read."""
    try:
        source = path.read_bytes()
        source.decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return b""
    return source if source.endswith(b"\n") or not source else source + b"\n"

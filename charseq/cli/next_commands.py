"""Commands for the next step, as they can be pasted into a shell."""

import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def show_next(console: "Console", commands: Iterable[Sequence[str]]) -> None:
    """What to type next, by the arguments of each command."""
    lines = [command_line(*arguments) for arguments in commands]
    console.print("\nnext:", *lines, sep="\n  ", markup=False, soft_wrap=True)


def command_line(*arguments: str) -> str:
    """A command as it can be pasted here, also where charseq is not on the PATH."""
    program = [sys.argv[0]]
    if shutil.which("charseq"):
        program = ["charseq"]
    elif Path(sys.argv[0]).name == "__main__.py":
        program = [sys.executable, "-m", "charseq"]
    return shlex.join([*program, *arguments])

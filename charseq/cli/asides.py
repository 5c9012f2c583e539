"""What a command says beside what it gives, on standard error: errors, notes, how far it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

from charseq.text.characters import escape

Told: TypeAlias = Callable[[int, int | None], object]  # done, and of how much where that is known

MANY = 50  # sources; fewer need no progress bar


def show_error(error: Exception) -> None:
    """On standard error, red on a terminal; a hostile text cannot send it control characters."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    lines = [escape(line) for line in str(error).splitlines()]
    console.print(Text("\n".join(["error: " + lines[0], *lines[1:]]), style="red"), soft_wrap=True)


def show_note(text: str, kind: Literal["note", "warning"] = "note") -> None:
    """On standard error, yellow on a terminal; a hostile text cannot send it control characters."""
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True).print(Text(f"{kind}: {escape(text)}", style="yellow"), soft_wrap=True)


@contextmanager
def progress_bar(what: str, *, shown: bool, total: int | None = None) -> Iterator[Told]:
    """A bar on standard error that goes when it is done: tell it how much is, of how much.

    Where standard error is no terminal, nothing is drawn.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not shown or not console.is_terminal:
        yield lambda _, __: None
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        TextColumn("{task.description}"), *columns, console=console, transient=True
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, total: bar.update(task, completed=done, total=total)

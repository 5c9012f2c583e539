"""How a command is told to stop: Ctrl-C, SIGTERM, a terminal that closes, a reader that goes."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

AT_ONCE = 0.2  # seconds in which a second signal is the same one
# By what a training is told to stop, and what it exits with then: 128 + the signal, as shells do.
# The line of a terminal that is closed (SIGHUP) ends it as SIGTERM does.
# Python ignores SIGPIPE: whoever writes where nobody reads any more is told so.
EXIT_CODES: dict[int, int] = {
    signal.SIGINT: 130,
    signal.SIGTERM: 143,
    signal.SIGHUP: 143,
    signal.SIGPIPE: 141,
}


@contextmanager
def stop_flag(
    console: "Console",
    said: str = "stopping after this step; once more leaves at once",
    may_leave: Callable[[], bool] = lambda: False,
) -> Iterator[list[int]]:
    """A list that is empty until Ctrl-C, SIGTERM or SIGHUP; the next one leaves at once.

    The first does too while ``may_leave`` says so. A console whose reader has gone, as `head`
    does, is a SIGPIPE in the list. A signal that this process was told to ignore, as nohup does,
    stays ignored. Two at once are one: `timeout` tells a process and then its group.
    """
    signals: list[int] = []
    first = 0.0
    usual = {n: signal.getsignal(n) for n in EXIT_CODES if signal.getsignal(n) != signal.SIG_IGN}

    def note(number: int, _: FrameType | None) -> None:
        nonlocal first
        if signals and time.monotonic() - first < AT_ONCE:
            return
        signals.append(number)
        if len(signals) > 1:
            raise SystemExit(EXIT_CODES[number])
        if may_leave():
            console.print("stopped before the first step; there is nothing to save", style="yellow")
            raise SystemExit(EXIT_CODES[number])
        first = time.monotonic()
        console.print(said, style="yellow")

    def nobody_reads() -> None:
        console.quiet = True
        with suppress(OSError), Path(os.devnull).open("w") as nowhere:  # no file: in a test
            os.dup2(nowhere.fileno(), console.file.fileno())  # what is still to be flushed
        signals.append(signal.SIGPIPE)

    console.on_broken_pipe = nobody_reads  # type: ignore[method-assign]
    for number in usual:
        signal.signal(number, note)
    try:
        yield signals
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


@contextmanager
def quiet_interrupt() -> Iterator[None]:
    """Ctrl-C ends the command without a word, with the exit code that shells expect."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_CODES[signal.SIGINT]) from None

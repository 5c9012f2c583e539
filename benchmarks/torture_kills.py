"""Kill trainings at random moments, many inside a save, and see whether anything was lost.

A training is started with `charseq train --resume`, killed, started again, killed …, then left to
finish. Its weights, its best checkpoint and its log are compared with those of one that nobody
disturbed. A child process that has imported everything is forked for each start, so that a start
takes no two seconds.
"""

import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AIMED = 0.7  # the share of kills inside a save
STAGES = 100  # of saves that a training gets through at most, then; a save has about ten
PAUSE = 0.004  # seconds that each of them is stretched by
CLOCKS = {"seconds", "seconds_left", "symbols_per_second", "busy_seconds"}


@dataclass
class Kills:
    """What became of the trainings of one task."""

    killed: int = 0
    inside_a_save: int = 0
    starts: int = 0
    runs: int = 0
    different: int = 0  # runs that did not end as the undisturbed one did
    left_behind: int = 0  # temporary files after the end


def torture(config: Path, folder: Path, kills: int, seed: int) -> Kills:
    """Kill ``kills`` trainings of a configuration, in as many run folders as that takes."""
    rng = random.Random(seed)
    result = Kills()
    took = _run(config, folder / "undisturbed", None) or 0.0
    wanted = contents(folder / "undisturbed")
    while result.killed < kills:
        run = folder / f"killed-{result.runs}"
        ended = False
        while not ended:
            result.starts += 1
            moment: float | None = None  # once there have been enough, it is left alone
            if result.killed < kills:
                moment = rng.randrange(1, STAGES) if rng.random() < AIMED else took * rng.random()
            ended = _run(config, run, moment) is not None
            result.killed += not ended
            result.inside_a_save += not ended and isinstance(moment, int)
        result.runs += 1
        result.different += contents(run) != wanted
        result.left_behind += len(list(run.glob("*.tmp"))) + len(list(run.glob(".*.tmp")))
    return result


def contents(run: Path) -> dict[str, Any]:
    """What a run folder holds, without what a clock measured."""
    from charseq.models.checkpoint_file import read_file

    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found: dict[str, Any] = {"log": [_timeless(line) for line in lines]}
    for name in ("last", "best"):
        file = read_file(run / f"{name}.safetensors")
        found[name] = {key: (a.shape, a.tobytes()) for key, a in file.arrays.items()}
        found[f"{name} progress"] = _timeless(file.extra["progress"])
    return found


def _timeless(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in CLOCKS}


def _run(config: Path, run: Path, moment: float | None) -> float | None:
    """Train until the end, and give the seconds; or be killed, after so many seconds or, for a
    whole number, so many stages of saves: None, unless it ended before.
    """
    told, tells = os.pipe()
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.close(told)
        _train(config, run, tells, stretch=isinstance(moment, int))
    os.close(tells)
    deadline = began + moment if isinstance(moment, float) else None
    stages = 0
    while moment is not None:
        wait = None if deadline is None else max(0.0, deadline - time.perf_counter())
        ready, _, _ = select.select([told], [], [], wait)
        if not ready or (stages := stages + len(told_now := os.read(told, 1))) == moment:
            os.kill(child, signal.SIGKILL)
            break
        if not told_now:  # it has ended
            break
    os.close(told)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return None
    if status != 0:
        raise SystemExit(f"{run}: charseq train ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - began


def _train(config: Path, run: Path, tells: int, *, stretch: bool) -> None:
    """In the child: the command, as a person starts it."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    if stretch:

        def stage(_: str) -> None:
            os.write(tells, b".")
            time.sleep(PAUSE)

        stretch_saves(stage)
    from charseq.cli.app import main

    sys.argv = ["charseq", "train", str(config), "--run", str(run), "--resume", "--quiet"]
    code = 0
    try:
        main()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 0
    finally:
        os._exit(code)


def stretch_saves(stage: Callable[[str], None]) -> None:
    """Call ``stage`` with its name at each step of writing a file, in this process."""
    opens, replaces, links, syncs = Path.open, Path.replace, Path.hardlink_to, os.fsync

    def open_(path: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
        file = opens(path, mode, *rest, **options)
        if mode == "wb":
            stage("open")
            write = file.write

            def in_halves(data: Any) -> int:
                middle = len(data) // 2
                write(data[:middle])
                file.flush()
                stage("half written")
                write(data[middle:])
                stage("written")
                return len(data)

            return _Wrapped(file, in_halves)
        return file

    def fsync(number: int) -> None:
        syncs(number)
        stage("synced")

    def replace(path: Path, target: Any) -> Path:
        replaced = replaces(path, target)
        stage("renamed")
        return replaced

    def hardlink_to(path: Path, target: Any) -> None:
        links(path, target)
        stage("linked")

    Path.open = open_  # type: ignore[method-assign,assignment]
    Path.replace = replace  # type: ignore[method-assign,assignment]
    Path.hardlink_to = hardlink_to  # type: ignore[method-assign,assignment]
    os.fsync = fsync  # type: ignore[assignment]


class _Wrapped:
    """A file with another ``write``."""

    def __init__(self, file: Any, write: Callable[[Any], int]) -> None:
        self._file, self.write = file, write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_Wrapped":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

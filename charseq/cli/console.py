"""What several commands draw: facts, and a training as it runs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from charseq.text.characters import escape
from charseq.text.wording import number_of

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from charseq.models.init_from import Taken
    from charseq.training.events import (
        AutoCopy,
        Evaluated,
        Event,
        RolledBack,
        Saved,
        Started,
        Step,
        Stopped,
    )

PURPOSE = {"valid": "to validate", "test": "to test"}
NEW_SHOWN = 40  # symbols that a fine-tuning adds, at the most


def show_facts(console: Console, facts: Mapping[str, str | None], indent: str = "") -> None:
    """A line a fact, its name dim before it; None is left out. Text of files comes escaped."""
    grid = Table.grid(padding=(0, 2))
    for name, fact in facts.items():
        if fact is not None:
            grid.add_row(Text(indent + name, style="dim"), Text(fact, overflow="fold"))
    console.print(grid)


def plain_table(between: int = 2) -> Table:
    """A table without lines, so many spaces between its columns."""
    return Table(box=None, pad_edge=False, padding=(0, between, 0, 0), header_style="dim")


def trained_too(count: int, part: str) -> str:
    """What to know of a part of the pairs, of whose sources so many are in training too."""
    return (
        f"{count:,} of the sources {PURPOSE[part]} are trained on too: what is measured on them"
        " says little of new ones"
    )


def counted(counts: Mapping[str, int]) -> str:
    """``duplicate 2, no tab 1``"""
    return ", ".join(f"{what} {count:,}" for what, count in counts.items())


def of_step(checkpoint: Path, step: int | None) -> str:
    """A checkpoint and the updates that its weights have seen, where it says so."""
    return escape(str(checkpoint)) + ("" if step is None else f", step {step:,}")


class TrainingDisplay:
    """Draws the events of a training: a live line on a terminal, plain lines where it is piped."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._total: int | None = None
        self._symbol = "symbols"

    @contextmanager
    def live(self) -> Iterator[None]:
        """Inside, a terminal has a progress line at its lower edge."""
        if not self.console.is_terminal:
            yield
            return
        from rich.progress import BarColumn, Progress, TextColumn

        narrow = self.console.width < 100
        self._progress = Progress(
            TextColumn("{task.fields[count]}"),
            BarColumn(bar_width=8 if narrow else None),
            TextColumn("{task.fields[loss]}", style="bold"),
            TextColumn("{task.fields[speed]}", style="cyan"),
            TextColumn("{task.fields[left]}", style="dim"),
            console=self.console,
            expand=not narrow,
            transient=True,
        )
        with self._progress:
            yield
        self._progress = None

    def show(self, event: "Event") -> None:
        """Draw one event."""
        from charseq.training import events

        match event:
            case events.Started():
                self._started(event)
            case events.Step():
                self._step(event)
            case events.Evaluated():
                self._evaluated(event)
            case events.Saved():
                self._saved(event)
            case events.SaveFailed():
                why = escape(event.why)
                self._print(f"step {event.step:>6,}  {why}; trying again later", "yellow")
            case events.Spike():
                far = f"loss {_figure(event.loss)}, usual {_figure(event.usual)}"
                self._print(f"step {event.step:>6,}  a spike: {far}", "yellow")
            case events.RolledBack():
                self._rolled_back(event)
            case events.Stopped():
                self._stopped(event)

    def _print(self, text: str, style: str = "") -> None:
        # A terminal's own line ends cut words in two; elsewhere a line stays one.
        self.console.print(Text(text, style=style), soft_wrap=not self.console.is_terminal)

    def _started(self, event: "Started") -> None:
        spliced = ""
        if asked := event.spliced_pairs_asked:
            spliced = f" and {event.spliced_pairs:,} spliced from them"
            if event.spliced_pairs < asked:
                spliced += f" (no more of the {asked:,} asked for were found)"
        self._print(
            f"{escape(str(event.run))}: {event.parameters:,} weights,"
            f" {event.vocab_size} symbols to write,"
            f" {number_of(event.train_size, event.unit.removesuffix('s'))} to train on"
            f"{spliced}, {event.valid_size:,} to validate"
        )
        self._print(
            f"{event.device}, backend {event.backend}, {event.precision},"
            f" {number_of(event.steps_per_epoch, 'step')} an epoch",
            style="dim",
        )
        if event.auto_copy:
            self._print(f"model.copy auto: {_told(event.auto_copy)}", style="dim")
        for part, count in event.seen.items():
            if count:
                self._print(trained_too(count, part), style="yellow")
        for part in event.same_texts:
            self._print(
                f"the text {PURPOSE[part]} is the one to train on: what is measured on it says"
                " nothing of others",
                style="yellow",
            )
        if event.skipped:
            self._print(f"left out of the data: {counted(event.skipped)}", style="yellow")
        if event.taken:
            self._taken(event.taken)
        for said in (event.notice, event.hint):
            if said:
                self._print(said, style="yellow")
        if event.step:
            self._print(f"resumed after step {event.step:,}", style="yellow")
        for said in event.changed:
            self._print(f"changed: {said}", style="yellow")
        self._total = event.total_steps
        self._symbol = "chars" if event.unit == "characters" else "symbols"
        if self._progress:
            self._task = self._progress.add_task(
                "train",
                total=event.total_steps,
                completed=event.step,
                count=_count(event.step, event.total_steps),
                loss="",
                speed="",
                left="",
            )

    def _taken(self, taken: "Taken") -> None:
        from charseq.reports.visible import visible

        step = "" if taken.step is None else f", step {taken.step:,}"
        wider = f", {taken.grown} of them wider for new symbols" if taken.grown else ""
        self._print(
            f"begins with {escape(taken.checkpoint)}{step}: {taken.tensors} tensors taken{wider}"
        )
        for side, count in taken.symbols.items():
            new = taken.new_symbols[side]
            shown = " ".join(visible(symbol) for symbol in new[:NEW_SHOWN])
            more = " …" if len(new) > NEW_SHOWN else ""
            news = f"{len(new):,} new: {shown}{more}" if new else "none new"
            self._print(f"{side}: {count:,} symbols taken, {news}")

    def _step(self, event: "Step") -> None:
        left = "" if event.seconds_left is None else f"{clock(event.seconds_left)} left"
        loss = f"loss {_figure(event.loss)}"
        speed = f"{event.symbols_per_second:,.0f} {self._symbol}/s"
        count = _count(event.step, self._total)
        if self._progress and self._task is not None:
            self._progress.update(
                self._task, completed=event.step, count=count, loss=loss, speed=speed, left=left
            )
        elif not self.console.is_terminal:
            self._print("  ".join(filter(None, [count, loss, speed, left])))

    def _evaluated(self, event: "Evaluated") -> None:
        train = "" if event.train_loss is None else f"  train {_figure(event.train_loss, 4)}"
        best = "  best" if event.is_best else ""
        if event.diverged:
            best += "  diverged: worse than guessing"
        self._print(
            f"step {event.step:>6,}  {clock(event.seconds)}{train}"
            f"  valid {event.score.summary()}{best}",
            style="green" if event.is_best else "",
        )

    def _saved(self, event: "Saved") -> None:
        if not self.console.is_terminal:
            self._print(f"saved {escape(str(event.path))}")

    def _rolled_back(self, event: "RolledBack") -> None:
        for line in event.why.splitlines()[:2]:  # what and where; the log has the rest
            self._print(escape(line), style="dim")
        self._print(
            f"went back to the checkpoint of step {event.step:,}; from here with the learning rate"
            f" times {event.learning_rate_factor:g} ({event.rollbacks} of train.max_rollbacks)",
            style="yellow",
        )

    def _stopped(self, event: "Stopped") -> None:
        text = f"stopped after {event.step:,} steps and {clock(event.seconds)}: {event.reason}"
        if event.best_score is not None:
            text += f"\nbest: {event.best_score}, at step {event.best_step:,}"
        self._print(text, style="bold")


def _told(auto: "AutoCopy") -> str:
    """What ``model.copy: auto`` comes to, and why."""
    if auto.inherited:
        does = "copies" if auto.copies else "does not copy"
        return f"as the model that it begins with, which {does}"
    does = "they may be copied" if auto.copies else "too few to copy"
    return f"{auto.shared} of {auto.targets} target symbols are source symbols: {does}"


def _figure(loss: float, digits: int = 3) -> str:
    """A loss; of one far from what can be, no thirty digits."""
    return f"{loss:.{digits}f}" if loss < 1e4 else f"{loss:.3g}"


def clock(seconds: float) -> str:
    """A duration as 1:02:03 or 2:03."""
    text = str(timedelta(seconds=round(seconds)))
    return text.removeprefix("0:").removeprefix("0") if seconds < 3600 else text


def _count(step: int, total: int | None) -> str:
    return f"step {step:,}" if total is None else f"step {step:,}/{total:,}"

"""What ``charseq data stats`` shows of pairs."""

from typing import TYPE_CHECKING

from charseq.cli.console import show_facts
from charseq.cli.stats_tables import bar, how_long, show_counts, some
from charseq.text.characters import escape
from charseq.text.symbols import TAG_SEPARATOR

if TYPE_CHECKING:
    from rich.console import Console

    from charseq.text.pair_stats import Lengths, PairStats, PairTrainingStats, PartStats

BAR = 30  # cells of the longest bar
SHOWN = 5  # ambiguous sources, and wrong lines


def show_pairs(console: "Console", stats: "PairStats") -> None:
    """Print what pairs hold: first what is wrong with them, then what they are made of."""
    from rich.text import Text

    def heading(text: str) -> None:
        console.print(Text(f"\n{text}", style="bold"))

    console.print(Text(escape(stats.source), style="bold"))
    for seen in stats.noticed:
        console.print(Text(f"  noticed: {seen}", style="yellow"), soft_wrap=True)
    _show_parts(console, stats.parts)
    if stats.skipped:
        heading("Left out")
        show_facts(console, {reason: f"{n:,}" for reason, n in stats.skipped.items()}, "  ")
        for mistake in stats.mistakes[:SHOWN]:
            console.print(Text(f"  {escape(mistake)}", style="dim"), soft_wrap=True)
    if stats.overlaps:
        heading("In two parts")
        shared = {
            f"{one.first} and {one.second}": _shared(one.sources, one.examples)
            for one in stats.overlaps
            if one.sources
        }
        show_facts(console, shared or {"no source": ""}, "  ")
    if stats.ambiguous:
        heading("Several right answers")
        for example in stats.ambiguous[:SHOWN]:
            tags = f" ({TAG_SEPARATOR.join(example.features)})" if example.features else ""
            answers = " | ".join(example.targets)
            console.print(Text(f"  {escape(f'{example.source}{tags} → {answers}')}"))
    first = next(iter(stats.parts))
    part = stats.parts[first]
    where = "" if first == "file" else f" of {first}"
    heading(f"Symbols of a source{where}")
    _show_lengths(console, part.source_lengths)
    heading(f"Symbols of a target{where}")
    _show_lengths(console, part.target_lengths)
    for name, counts in (
        ("source", stats.source_symbols),
        ("target", stats.target_symbols),
        ("tag", stats.tags),
    ):
        if counts:
            what = "Tags" if name == "tag" else f"{name.capitalize()} symbols"
            heading(f"{what} by count: {len(counts):,}")
            show_counts(console, counts)
            if max(counts, key=counts.__getitem__) == " ":
                setting = f'`data.{name}_separator: " "`'
                note = f"note: spaces are the commonest; if they separate symbols, set {setting}"
                console.print(Text(note, style="yellow"))
    heading("Rare")
    rare = {"source symbols": stats.rare_source, "target symbols": stats.rare_target}
    show_facts(console, {name: some(counts) for name, counts in rare.items()}, "  ")
    if stats.training is not None:
        heading("Training")
        _show_training(console, stats.training)


def _show_parts(console: "Console", parts: "dict[str, PartStats]") -> None:
    """A row a part."""
    from rich.text import Text

    from charseq.cli.console import plain_table

    table = plain_table()
    table.add_column("", style="dim")
    for name in ("pairs", "sources", "several answers", "unseen symbols"):
        table.add_column(name, justify="right")
    for name, part in parts.items():
        unseen = [part.unknown_source, part.unknown_target, part.unknown_tags]
        table.add_row(
            f"  {name}",
            f"{part.pairs:,}",
            f"{part.sources:,}",
            f"{part.ambiguous:,}",
            f"{sum(sum(counts.values()) for counts in unseen):,}",
        )
    console.print(table)
    for name, part in parts.items():
        for side, counts in (
            ("source", part.unknown_source),
            ("target", part.unknown_target),
            ("tags", part.unknown_tags),
        ):
            if counts:
                console.print(Text(f"  {name}: unseen in train, {side}: {some(counts)}"))


def _shared(sources: int, examples: int) -> str:
    from charseq.text.wording import number_of

    same = "" if examples == sources else f", {examples:,} with the same tags"
    return number_of(sources, "source") + same


def _show_lengths(console: "Console", lengths: "Lengths") -> None:
    from rich.table import Table
    from rich.text import Text

    facts = f"mean {lengths.mean:.1f}, median {lengths.median:g}, longest {lengths.longest:,}"
    console.print(Text(f"  {facts}", style="dim"))
    bins = lengths.bins()
    most = max(count for _, _, count in bins)
    grid = Table.grid(padding=(0, 2))
    for side in ("right", "right", "left"):
        grid.add_column(justify=side)
    for first, last, count in bins:
        name = f"{first:,}" if first == last else f"{first:,}–{last:,}"
        grid.add_row(f"  {name}", f"{count:,}", Text(bar(count / most, BAR), style="cyan"))
    console.print(grid)


def _show_training(console: "Console", training: "PairTrainingStats") -> None:
    count = training.spliced_pairs
    spliced = {"spliced pairs": f"{count:,} more to train on"} if count else {}
    show_facts(
        console,
        {
            "vocabulary": f"{training.source_size:,} source and {training.target_size:,} target "
            "ids, with tags, end and unknown",
            "a step": f"{training.batch_size:,} pairs",
            **spliced,
            **how_long(training.steps_per_epoch, training.epochs),
        },
        "  ",
    )

"""``charseq data stats``: look at a text, or at pairs, before hours are spent on them."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charseq.cli.stats_tables import how_long, show_counts, some
from charseq.cli.writing import print_json

if TYPE_CHECKING:
    from rich.console import Console

    from charseq.config.schema import LMConfig
    from charseq.text.stats import TextStats, TrainingStats

PAIR_FILES = (".tsv", ".tsv.gz")  # how their names end
CONFIGS = (".yaml", ".yml")


def stats(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|CONFIG",
            help="A text, pairs in a .tsv or .tsv.gz file, dataset:NAME, or a .yaml configuration.",
        ),
    ],
    as_pairs: Annotated[
        bool, typer.Option("--pairs", help="Count a file as pairs, whatever its name.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count a text or pairs: symbols, lengths, and what is rare, strange or wrong.

    For a configuration also the parts that its data is cut into, what they have in common, and how
    long an epoch is. A file of pairs, whose name ends in .tsv or .tsv.gz or which --pairs
    says to be one, is read as `charseq init --pairs` would have it: its first lines are looked at
    for a header, tags, spaces between symbols, and accents typed in two ways. For another reading,
    write a configuration.

    Example: charseq data stats charseq.yaml
    """
    from rich.console import Console

    from charseq.config import load_config
    from charseq.config.schema import LMConfig

    console = Console(highlight=False)
    named = source.endswith(CONFIGS) and not as_pairs
    config = load_config(Path(source)) if named else None
    as_pairs = as_pairs or source.endswith(PAIR_FILES)
    if isinstance(config, LMConfig) or (config is None and not as_pairs):
        _text(console, source, config, as_json=as_json)
        return
    from charseq.cli.data_stats_pairs import show_pairs
    from charseq.config.schema.seq2seq import PairDataConfig
    from charseq.text.datasets import source_path
    from charseq.text.look.columns import find_layout
    from charseq.text.look.first_lines import first_lines
    from charseq.text.look.pairs import data_settings, look_at_pairs
    from charseq.text.pair_stats import pair_file_stats, pair_stats

    if config is None:
        path = source_path(source)
        lines = first_lines(path)
        notices = look_at_pairs(lines, find_layout(lines))
        data = PairDataConfig.model_validate({"train": source, **data_settings(notices)})
        found = pair_file_stats(path, source, data, [notice.seen for notice in notices])
    else:
        found = pair_stats(config)
    if as_json:
        print_json(found.to_json())
    else:
        show_pairs(console, found)


def _text(console: "Console", source: str, config: "LMConfig | None", *, as_json: bool) -> None:
    from charseq.text.datasets import source_path
    from charseq.text.stats import text_stats, training_stats

    name = config.data.text if config else source
    errors = config.data.errors if config else "raise"
    text = text_stats(source_path(name), name, errors=errors)
    if not as_json:
        _show_text(console, text)
    training = training_stats(config) if config else None
    if as_json:
        print_json({**text.to_json(), "training": training and asdict(training)})
    elif training:
        _show_training(console, training)


def _show_text(console: "Console", text: "TextStats") -> None:
    from rich.text import Text

    from charseq.cli.console import show_facts
    from charseq.text.characters import escape
    from charseq.text.stats import RARE

    endings = {"LF": text.lf, "CRLF": text.crlf, "CR": text.cr}
    used = [f"{name} {count:,}" for name, count in endings.items() if count]
    console.print(Text(escape(text.source), style="bold"))
    show_facts(
        console,
        {
            "size": f"{text.bytes:,} bytes",
            "characters": f"{text.characters:,}, {len(text.counts):,} different",
            "outside ASCII": f"{text.not_ascii:,}",
            "control": some(text.control),
            f"rare (under {RARE})": some(text.rare),
            "lines": f"{text.lines:,}, the longest of {text.longest_line:,} characters",
            "line endings": ", ".join(used) or "none",
            "byte-order mark": "yes, left out" if text.byte_order_mark else "no",
            "entropy": f"{text.entropy:.3f} bits per character, by the counts alone",
        },
        "  ",
    )
    console.print(Text("\nCharacters by count", style="bold"))
    show_counts(console, text.counts)


def _show_training(console: "Console", training: "TrainingStats") -> None:
    from rich.text import Text

    from charseq.cli.console import show_facts

    parts = {"train": training.train, "valid": training.valid, "test": training.test}
    whole = sum(parts.values())
    console.print(Text("\nTraining", style="bold"))
    show_facts(
        console,
        {
            "vocabulary": f"{training.vocab_size:,} symbols",
            **{name: f"{n:,} symbols ({n / whole:.1%})" for name, n in parts.items()},
            "a step": f"{training.batch_size} streams × {training.seq_len} symbols",
            **how_long(training.steps_per_epoch, training.epochs),
        },
        "  ",
    )

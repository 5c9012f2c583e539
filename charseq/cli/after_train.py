"""What ``charseq train`` shows when it is done: what the model can do, and what to type next."""

import random
from pathlib import Path
from typing import TYPE_CHECKING

from charseq.cli.next_commands import show_next

if TYPE_CHECKING:
    from rich.console import Console

    from charseq.inference.trained_lm import TrainedLanguageModel
    from charseq.inference.trained_seq2seq import TrainedSeq2Seq
    from charseq.text.pairs import Example

LONGEST = 400  # characters of a sample
SHOWN = 8  # sources that are converted before the reader's eyes


def show_result(console: "Console", run: Path, *, measured: bool) -> None:
    """A sample of the best checkpoint, and commands to go on with.

    ``measured``: whether there is anything held back to evaluate it on.
    """
    if console.quiet:
        return
    from charseq.inference.load import load
    from charseq.inference.trained_lm import TrainedLanguageModel

    trained = load(run)
    if isinstance(trained, TrainedLanguageModel):
        _show_text(console, trained)
        more = [["sample", "--temperature", "0.5"], ["eval"], ["eval", "--text", "a line of yours"]]
    else:
        source = _source_arguments(trained, _show_conversions(console, trained))
        more = [["sample", *source], ["eval", "--errors", "5"]]
        if trained.config.model.attention != "none":
            more.insert(1, ["sample", "--attention", *source])
    if not measured:
        more = [command for command in more if command[0] != "eval" or "--text" in command]
    show_next(console, [[name, str(run), *rest] for name, *rest in more])


def _show_text(console: "Console", trained: "TrainedLanguageModel") -> None:
    from rich.text import Text

    from charseq.text.characters import escape

    settings = trained.config.sample
    text = settings.prime + trained.sample(length=min(settings.length, LONGEST), unknown="skip")
    console.print("\na sample:", style="dim")
    for line in text.strip("\n").split("\n"):
        console.print(Text(escape(line.expandtabs())), soft_wrap=True)


def _show_conversions(console: "Console", trained: "TrainedSeq2Seq") -> "list[Example]":
    """Convert some sources, of the validation pairs where there are any; gives them.

    Not of the test's: who looks at those while settings are chosen, chooses by them.
    """
    from rich.table import Table
    from rich.text import Text

    from charseq.cli.confidence import confidence
    from charseq.inference.own_data import own_config
    from charseq.inference.trained_seq2seq import EncodedSource
    from charseq.text.characters import escape
    from charseq.text.pairs import load_pairs
    from charseq.text.symbols import TAG_SEPARATOR

    corpus = load_pairs(own_config(trained.config, trained.paths[0]).data, trained.vocab)
    pairs, part = corpus.valid, "validation pairs"
    if not len(pairs):
        pairs, part = corpus.train, "training pairs, which are trained on: none are held back"
    # Drawn, as every so many would all have the same tags where a file goes through them in turn
    count = len(pairs.examples)
    chosen = random.Random(0).sample(range(count), min(SHOWN, count))  # noqa: S311
    chosen.sort(key=lambda number: pairs.examples[number].source)
    examples = [pairs.examples[number] for number in chosen]
    console.print(f"\nsome conversions, of the {part}:", style="dim", soft_wrap=True)
    grid = Table.grid(padding=(0, 2))
    rows = pairs.first_row[chosen].tolist()
    sources = [  # as the evaluation reads them, whatever becomes of unknown symbols there
        EncodedSource(one.source, one.features, pairs.source[row])
        for one, row in zip(examples, rows, strict=True)
    ]
    conversions = trained.convert(sources)
    for example, conversion in zip(examples, conversions, strict=True):
        output = conversion.outputs[0]
        written = output.text
        right = written in example.targets
        grid.add_row(
            Text(escape(example.source)),
            Text(escape(TAG_SEPARATOR.join(example.features)), style="dim"),
            Text("→", style="dim"),
            Text(escape(written), style="green" if right else "red"),
            Text(confidence(output), style="dim", justify="right"),
            Text("" if right else f"should be {escape(example.targets[0])}", style="dim"),
        )
    console.print(grid)
    return examples


def _source_arguments(trained: "TrainedSeq2Seq", examples: "list[Example]") -> list[str]:
    """One of the sources as `charseq sample` takes it: a plain one, if there is one."""
    from charseq.text.pair_vocab import SOURCE_UNKNOWN
    from charseq.text.symbols import TAG_SEPARATOR

    def options(example: "Example") -> list[str]:
        ids = trained.vocab.encode_source(example.source, example.features, unknown="replace")
        tags = ["--features", TAG_SEPARATOR.join(example.features)] if example.features else []
        strange = ids == SOURCE_UNKNOWN
        policy = trained.config.data.unknown
        if strange[len(example.features) :].all():  # `sample` leaves out nothing but some of them
            policy = "replace"
        unknown = ["--unknown", policy] if strange.any() else []
        return [*tags, *unknown, *(["--"] if example.source.startswith("-") else [])]

    plainest = min(examples, key=lambda example: len(options(example)))
    return [*options(plainest), plainest.source]

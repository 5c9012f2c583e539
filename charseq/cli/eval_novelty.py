"""``charseq eval --novelty``: how much of what a language model writes it has learned by heart."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from charseq.cli.asides import progress_bar
from charseq.cli.console import of_step, plain_table, show_facts
from charseq.cli.eval_text import TextRequest, check_text, text_ids, unit_of
from charseq.cli.options import refuse_options
from charseq.cli.writing import print_json
from charseq.errors import CharseqError
from charseq.text.characters import escape

if TYPE_CHECKING:
    from rich.console import Console

    from charseq.inference.novelty import Novelty
    from charseq.inference.trained_lm import TrainedLanguageModel
    from charseq.text.vocab import Ids

LONG = 2_000_000  # symbols; what takes less than a second needs no progress bar
SHOWN = 300  # characters of a copy that are shown


@dataclass(frozen=True)
class NoveltyRequest:
    """How much to sample, and how; None is as the run says."""

    characters: int
    temperature: float | None
    seed: int | None


def novelty_request(
    *, wanted: bool, characters: int | None, temperature: float | None, seed: int | None
) -> NoveltyRequest | None:
    """What the options ask for; None: nothing. Raises CharseqError where they lack --novelty."""
    if not wanted:
        given = {"--characters": characters, "--temperature": temperature, "--seed": seed}
        refuse_options(given, "goes with --novelty")
        return None
    from charseq.inference.novelty import CHARACTERS

    return NoveltyRequest(CHARACTERS if characters is None else characters, temperature, seed)


def report_novelty(
    trained: "TrainedLanguageModel", request: TextRequest, how: NoveltyRequest
) -> None:
    """Sample, compare with the training text, and print what was found.

    ``request`` says which text is the yardstick.

    Raises:
        CharseqError: a text is not at hand, or options do not go together.
    """
    from charseq.inference.novelty import held_out_pieces, novelty, sample_pieces
    from charseq.inference.own_data import has_own_data, own_config

    check_text(request)
    refuse_options({"--calibration": request.calibration}, "goes without --novelty")
    refuse_options(
        {"--text": request.text, "--window": request.window, "-": request.source},
        "does not go with --novelty, which compares what the model writes, and held-out text, with"
        " the training text",
    )
    if request.split == "train":
        raise CharseqError("--novelty: the training text is no held-out text; give another --split")
    if not has_own_data(trained.path):
        raise CharseqError(
            f"{escape(str(trained.path))}: --novelty needs the training text, and config.yaml of a"
            " run folder names it; paths inside a checkpoint are not followed"
        )
    trained = replace(trained, config=own_config(trained.config, trained.path))
    training = trained.split_ids("train")
    groups = {
        "sampled": sample_pieces(
            trained, how.characters, temperature=how.temperature, seed=how.seed
        )
    }
    held_out = _held_out(trained, request)
    if held_out is not None:
        groups["held out"] = held_out_pieces(held_out, groups["sampled"])
    with progress_bar("looking for copies", shown=len(training) >= LONG) as progress:
        found = novelty(list(groups.values()), training, trained.vocab, progress=progress)
    _report(trained, request, how, len(training), dict(zip(groups, found, strict=True)))


def _held_out(trained: "TrainedLanguageModel", request: TextRequest) -> "Ids | None":
    """The text that is named, else that for validation; None where the run has none."""
    if request.data is None and request.split is None:
        share = trained.config.data.split[1]
        if trained.config.data.valid_text is None and not share:
            return None
    ids = text_ids(trained, request)
    if not len(ids):
        raise CharseqError("--novelty: nothing of the held-out text is left to compare with")
    return ids


def _report(
    trained: "TrainedLanguageModel",
    request: TextRequest,
    how: NoveltyRequest,
    training: int,
    found: "Mapping[str, Novelty]",
) -> None:
    defaults = trained.config.sample
    temperature = defaults.temperature if how.temperature is None else how.temperature
    seed = defaults.seed if how.seed is None else how.seed
    other = f"{request.split or 'valid'} text of the run"
    if request.data is not None:
        other = request.data
    if request.as_json:
        report = {
            "sampled": found["sampled"].to_json(),
            "held_out": found["held out"].to_json() if "held out" in found else None,
            "held_out_text": other if "held out" in found else None,
            "training_text": trained.config.data.text,
            "training_symbols": training,
            "temperature": temperature,
            "seed": seed,
            "checkpoint": str(trained.path),
            "step": trained.step,
        }
        print_json(report)
        return
    from rich.console import Console

    console = Console(highlight=False)
    _show(console, found, unit_of(trained, "s"), trained.config.data.text)
    held_out = escape(other) if "held out" in found else "none: the run has no validation text"
    facts = {
        "sampled": f"temperature {temperature:g}, seed {seed}",
        "held out": held_out,
        "training text": f"{escape(trained.config.data.text)}, {training:,}"
        f" {unit_of(trained, 's')}",
        "checkpoint": of_step(trained.path, trained.step),
    }
    show_facts(console, facts)


def _show(console: "Console", found: "Mapping[str, Novelty]", unit: str, name: str) -> None:
    from rich.text import Text

    table = plain_table(3)
    table.add_column(f"{unit} in copied runs of")
    for heading in found:
        table.add_column(heading, justify="right")
    for length in next(iter(found.values())).copied:
        shares = [f"{one.copied[length]:.1%}" for one in found.values()]
        table.add_row(f"{length} or more", *shares)
    longest = [0 if one.longest is None else one.longest.length for one in found.values()]
    table.add_row("the longest run", *(f"{length:,}" for length in longest))
    table.add_row(f"of so many {unit}", *(f"{one.symbols:,}" for one in found.values()))
    console.print(table)
    console.print()
    for heading, one in found.items():
        if one.longest is None:
            continue
        place = f"{name}:{one.longest.line}:{one.longest.column}"
        console.print(Text(f"longest run {heading}, at {escape(place)}", "dim"), soft_wrap=True)
        text = one.longest.text
        cut = f" … {len(text) - SHOWN:,} more" if len(text) > SHOWN else ""
        console.print(Text(escape(text[:SHOWN]) + cut, overflow="fold"))
        console.print()

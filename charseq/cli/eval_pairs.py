"""``charseq eval`` of a model of pairs: how often it is right, and where it is wrong."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from charseq.cli.asides import MANY, progress_bar, show_note
from charseq.cli.console import counted, of_step, plain_table, show_facts, trained_too
from charseq.cli.eval_calibration import CalibrationRequest, draw_calibration, show_calibration
from charseq.cli.eval_errors import show_errors, worst
from charseq.cli.reading import STANDARD_INPUT
from charseq.cli.writing import print_json, whole_file
from charseq.errors import CharseqError
from charseq.text.characters import escape
from charseq.text.rows import WrongLinesError
from charseq.text.symbols import TAG_SEPARATOR

if TYPE_CHECKING:
    from rich.console import Console

    from charseq.config.schema.seq2seq import PairDataConfig
    from charseq.inference.calibration import Calibration
    from charseq.inference.metrics import PairScore
    from charseq.inference.pairs import By, Judged
    from charseq.inference.trained_seq2seq import Part, TrainedSeq2Seq
    from charseq.text.pairs import Pairs
    from charseq.text.vocab import Unknown

ANSWERS = "sources"  # what a model of pairs is sure of: an answer to each
HEADER = ("source", "features", "prediction", "right", "edits", "log-probability", "reference")


@dataclass(frozen=True)
class PairRequest:
    """What a person asks to measure; None is as the run says.

    Attributes:
        argument: one behind the run, which only language models take.
    """

    argument: str | None
    data: str | None
    split: "Part | None"
    unknown: "Unknown | None"
    beam: int | None
    length_penalty: float | None
    limit: int | None
    by: "By | None"
    errors: int | None
    predictions: str | None
    skip_errors: bool
    calibration: CalibrationRequest | None
    as_json: bool


def evaluate_pairs(trained: "TrainedSeq2Seq", request: PairRequest) -> None:
    """Convert the sources, compare with the right answers, and print what was found.

    Raises:
        CharseqError: options do not go together, or a file cannot be read or written.
    """
    _check(trained, request)
    pairs, skipped = _pairs(trained, request)
    score, judged = _judge(trained, pairs, request)
    if request.predictions is not None:
        _write_predictions(request.predictions, judged)
    _show_strangers(trained, judged)
    found = _calibration(judged, request)
    if request.as_json:
        report = _report(trained, request, score, judged, len(pairs.examples))
        report["skipped"] = skipped
        if found is not None:
            report["calibration"] = found.to_json()
        print_json(report)
        return
    from rich.console import Console

    console = Console(highlight=False)
    if request.errors is not None:
        spaced = bool(trained.vocab.target.separator)
        show_errors(console, judged, request.errors, spaced=spaced)
    if request.by is not None:
        _show_groups(console, judged, request.by)
    if found is not None:
        show_calibration(console, found, ANSWERS)
    show_facts(console, _facts(trained, request, score, judged, len(pairs.examples)))


def _check(trained: "TrainedSeq2Seq", request: PairRequest) -> None:
    """Refuse what does not go together."""
    if request.argument == STANDARD_INPUT:
        raise CharseqError(
            "eval: '-' is a text for a language model; this run converts pairs, so name a file of "
            "them as --data FILE"
        )
    if request.argument is not None:
        raise CharseqError(
            f"eval: '{escape(request.argument)}' is one argument too many; a file of pairs is "
            "given as --data FILE, and `charseq sample` converts a source"
        )
    if request.data is not None and request.split is not None:
        raise CharseqError("eval: choose one: --data or --split")
    if request.skip_errors and request.data is None:
        raise CharseqError("--skip-errors: is for the lines of another file; add --data FILE")
    if request.by in ("tag", "bundle") and not trained.vocab.features:
        raise CharseqError(
            f"--by {request.by}: this model reads no tags; data.features_column of its training is "
            "null"
        )


def _pairs(trained: "TrainedSeq2Seq", request: PairRequest) -> tuple["Pairs", dict[str, int]]:
    """What to convert; and what was left out of a file, by reason."""
    if request.unknown is not None:
        data = trained.config.data.model_copy(update={"unknown": request.unknown})
        config = trained.config.model_copy(update={"data": data})
        trained = replace(trained, config=config)
    skipped: dict[str, int] = {}
    if request.data is None:
        seen: dict[str, int] = {}
        split = request.split or "valid"
        own = trained.split_pairs(split, seen=seen)
        if count := seen.get(split, 0):
            show_note(trained_too(count, split), "warning")
        return own, skipped
    try:
        pairs = trained.file_pairs(request.data, skip_errors=request.skip_errors, skipped=skipped)
    except WrongLinesError as error:
        advice = "correct them, or leave them out and count them with --skip-errors"
        raise CharseqError(f"{error.listed}\n{advice}") from None
    except CharseqError as error:
        counts = f"; left out: {counted(skipped)}" if skipped else ""
        raise CharseqError(f"{error}{counts}") from None
    if trained.was_trained_on(request.data):
        show_note(
            f"{request.data}: the model was trained on this file; it may do worse on other pairs",
            "warning",
        )
    if header := _unread_header(trained.config.data, request.data):
        show_note(f"{request.data}:1: looks like a header, and is read as a pair: {header}")
    if skipped:
        show_note(f"left out of {request.data}: {counted(skipped)}")
    return pairs, skipped


def _unread_header(data: "PairDataConfig", file: str) -> str | None:
    """A first line that names columns, where the training counted them."""
    from charseq.text.datasets import source_path
    from charseq.text.look.columns import find_layout
    from charseq.text.look.first_lines import first_lines

    if any(isinstance(column, str) for column in (data.source_column, data.target_column)):
        return None
    header = find_layout(first_lines(source_path(file))).header
    return escape(", ".join(header)) or None


def _judge(
    trained: "TrainedSeq2Seq", pairs: "Pairs", request: PairRequest
) -> tuple["PairScore", list["Judged"]]:
    count = len(pairs.examples)
    total = min(count, request.limit or count)
    with progress_bar("converting", shown=total >= MANY, total=total) as progress:
        return trained.evaluate(
            pairs,
            beam=request.beam,
            length_penalty=request.length_penalty,
            limit=request.limit,
            progress=progress,
        )


def _calibration(judged: Sequence["Judged"], request: PairRequest) -> "Calibration | None":
    """How sure the model was of how many right answers, if that is asked for; drawn too."""
    how = request.calibration
    if how is None:
        return None
    from charseq.inference.calibration import calibration, of_pairs

    found = calibration(*of_pairs(judged), bins=how.bins, equal_mass=how.equal_mass)
    if how.plot is not None:
        draw_calibration(how.plot, found, ANSWERS)
    return found


def _unseen(trained: "TrainedSeq2Seq", judged: Sequence["Judged"]) -> tuple[int, int]:
    """How many symbols of sources, with their tags, and of answers training lacked."""
    vocab = trained.vocab
    source = sum(
        symbol not in vocab.source.number_of
        for one in judged
        for symbol in vocab.source.split(one.example.source)
    ) + sum(tag not in vocab.number_of_tag for one in judged for tag in one.example.features)
    target = sum(
        symbol not in vocab.target.number_of
        for one in judged
        for answer in one.example.targets
        for symbol in vocab.target.split(answer)
    )
    return source, target


def _write_predictions(file: str, judged: Sequence["Judged"]) -> None:
    """A header, then a line a source; the right answers come last, as ``further_targets`` reads."""
    with whole_file(file) as out:
        most = max((len(one.example.targets) for one in judged), default=1)
        further = [f"reference {n}" for n in range(2, most + 1)]
        out.write(("\t".join([*HEADER, *further]) + "\n").encode())
        for one in judged:
            cells = (
                one.example.source,
                TAG_SEPARATOR.join(one.example.features),
                one.prediction,
                str(int(one.right)),
                str(one.edits),
                f"{one.log_probability:.4f}",
                *one.example.targets,
            )
            out.write(("\t".join(cells) + "\n").encode())


def _show_strangers(trained: "TrainedSeq2Seq", judged: Sequence["Judged"]) -> None:
    """Where most sources hold what training lacked, it may be another column that was read."""
    count = sum(_unseen(trained, [one])[0] > 0 for one in judged)
    if 2 * count > len(judged):
        show_note(
            f"{count:,} of {len(judged):,} sources hold symbols or tags that training lacked; are"
            " the columns in the order of the training pairs?",
            "warning",
        )


def _report(
    trained: "TrainedSeq2Seq",
    request: PairRequest,
    score: "PairScore",
    judged: Sequence["Judged"],
    available: int,
) -> dict[str, Any]:
    from charseq.inference.align import align, confusions
    from charseq.inference.pairs import breakdown

    unseen_source, unseen_target = _unseen(trained, judged)
    beam, penalty = _decoding(trained, request)
    report: dict[str, Any] = {
        **score.to_json(),
        "available": available,
        "unseen_source": unseen_source,
        "unseen_target": unseen_target,
        "beam": beam,
        "length_penalty": penalty,
        "data": request.data,
        "split": None if request.data is not None else request.split or "valid",
        "checkpoint": str(trained.paths[0]),
        "ensemble": [str(path) for path in trained.paths[1:]],
        "step": trained.step,
    }
    if request.by is not None:
        report["by"] = {request.by: [asdict(group) for group in breakdown(judged, request.by)]}
    if request.errors is not None:
        report["errors"] = [
            {
                "source": one.example.source,
                "features": list(one.example.features),
                "prediction": one.prediction,
                "references": list(one.example.targets),
                "edits": one.edits,
                "log_probability": one.log_probability,
                "pieces": [asdict(piece) for piece in align(one.symbols, one.reference)],
            }
            for one in worst(judged, request.errors)
        ]
        report["confusions"] = [asdict(one) for one in confusions(judged)]
    return report


def _decoding(trained: "TrainedSeq2Seq", request: PairRequest) -> tuple[int, float]:
    defaults = trained.config.sample
    beam = defaults.beam if request.beam is None else request.beam
    penalty = request.length_penalty
    return beam, defaults.length_penalty if penalty is None else penalty


def _facts(
    trained: "TrainedSeq2Seq",
    request: PairRequest,
    score: "PairScore",
    judged: Sequence["Judged"],
    available: int,
) -> dict[str, str]:
    unseen_source, unseen_target = _unseen(trained, judged)
    beam, penalty = _decoding(trained, request)
    right = sum(one.right for one in judged)
    data = f"{request.split or 'valid'} pairs of the run" if request.data is None else request.data
    facts = {
        "accuracy": f"{score.accuracy:.2%}, {right:,} of {score.pairs:,} sources",
        "word error rate (WER)": f"{score.wer:.2%}",
        "symbol error rate (SER)": f"{score.ser:.2%}",
        "nats per symbol": f"{score.nats:.4f}, over {score.symbols:,}",
        "unseen symbols": f"{unseen_source:,} in sources, {unseen_target:,} in answers",
        "search": f"beam {beam}" + (f", length penalty {penalty:g}" if penalty else ""),
        "data": escape(data) + ("" if score.pairs == available else f", {available:,} sources"),
        "checkpoint": of_step(trained.paths[0], trained.step),
    }
    if trained.paths[1:]:
        facts["ensemble with"] = "\n".join(escape(str(path)) for path in trained.paths[1:])
    return facts


def _show_groups(console: "Console", judged: Sequence["Judged"], by: "By") -> None:
    from rich.text import Text

    from charseq.inference.pairs import breakdown

    table = plain_table(3)
    heading = {"length": "symbols", "tag": "tag", "bundle": "tags"}[by]
    table.add_column(heading, overflow="fold")
    for heading in ("sources", "accuracy", "SER"):
        table.add_column(heading, justify="right")
    for group in breakdown(judged, by):
        rates = (f"{group.count:,}", f"{group.accuracy:.2%}", f"{group.ser:.2%}")
        table.add_row(Text(escape(group.name)), *rates)
    console.print(table)
    console.print()

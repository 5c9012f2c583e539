"""``charseq sample`` with a model of pairs: a line a target, in the order of the sources."""

import json
import math
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import typer

from charseq.cli.confidence import confidence
from charseq.cli.pipes import (
    MANY,
    STANDARD_INPUT,
    Wrong,
    harmless,
    progress_bar,
    read_lines,
    refuse_options,
    show_note,
    whole_file,
)
from charseq.errors import CharseqError
from charseq.text.characters import escape
from charseq.text.symbols import TAG_SEPARATOR, split_tags

if TYPE_CHECKING:
    from charseq.inference.trained_seq2seq import (
        Conversion,
        EncodedSource,
        Output,
        TrainedSeq2Seq,
    )
    from charseq.reports.attention import Alignment
    from charseq.text.vocab import Unknown

Write: TypeAlias = Callable[[str], object]

SHOWN = 8  # tags that a note lists


@dataclass(frozen=True)
class PairRequest:
    """What a person asks of a model of pairs; None is as its run says.

    Attributes:
        columns: print source, tags and log-probability too.
        confidence: print the probability of each target; None: to a terminal.
        skip_errors: a line that cannot be read gives an empty one.
    """

    input_file: str | None
    output_file: str | None
    features: str | None
    beam: int | None
    n_best: int
    length_penalty: float | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    seed: int | None
    unknown: "Unknown"
    columns: bool
    confidence: bool | None
    skip_errors: bool
    attention: bool
    attention_file: str | None
    as_json: bool


def write_targets(trained: "TrainedSeq2Seq", sources: list[str], request: PairRequest) -> None:
    """Convert the sources and write their targets as batches of them are finished.

    Raises:
        CharseqError: options do not go together, a file cannot be read or written, or a source
            cannot be read by the model; the text names its line.
    """
    _check(trained, sources, request)
    if sources == [STANDARD_INPUT]:
        request = replace(request, input_file=STANDARD_INPUT)
    reader = _Reader(trained, request)
    written = cut = 0
    with _destination(request) as out, _pictures(request) as pictures:
        for conversion in _conversions(reader, sources):
            if request.as_json:
                out(",\n " if written else "[\n ")  # nothing before the first: it may fail
                record = None if conversion is None else _record(conversion, request)
                out(json.dumps(record))  # ASCII: harmless to a terminal
            elif conversion is None:
                out("\n")
            else:
                _write_lines(conversion, request, out, with_tags=bool(trained.vocab.features))
            written += 1
            if conversion is not None:
                cut += not conversion.outputs[0].finished
                if pictures is not None:
                    _add(pictures, conversion)
        if request.as_json:
            out("\n]\n" if written else "[\n]\n")
    reader.show_notes()
    if cut:
        longest = trained.config.data.max_target_length
        show_note(
            f"{cut:,} of {reader.count:,} targets had not ended after {longest:,} symbols "
            "(data.max_target_length) and were cut off"
        )


def _check(trained: "TrainedSeq2Seq", sources: list[str], request: PairRequest) -> None:
    """Refuse what does not go together."""
    if not sources and request.input_file is None:
        raise CharseqError(
            "sample: nothing to convert; name sources, as in"
            ' `charseq sample RUN "3 May 1979"`, or a file with a source a line as --input FILE'
        )
    if sources and request.input_file is not None:
        raise CharseqError("sample: give sources or --input, not both")
    if STANDARD_INPUT in sources and len(sources) > 1:
        raise CharseqError("sample: '-' reads every source from standard input; it goes alone")
    written, read = request.output_file, request.input_file
    both = written and read and Path(written).exists() and Path(read).exists()
    if both and Path(str(written)).samefile(str(read)):
        raise CharseqError(f"--output {written}: is the --input too; write to another file")
    if request.features is not None and not trained.vocab.features:
        raise CharseqError(
            "--features: this model reads no tags; data.features_column of its training is null"
        )
    if request.temperature is None:
        sampling = {"--top-k": request.top_k, "--top-p": request.top_p, "--seed": request.seed}
        refuse_options(sampling, "goes with --temperature, which samples; without it, the best")
    else:
        search = {"--beam": request.beam, "--length-penalty": request.length_penalty}
        refuse_options(search, "is for the search for the best; --temperature samples instead")
    drawn = {"--attention": request.attention, "--attention-file": request.attention_file}
    if not any(model.decoder.looks_back for model in trained.models):
        refuse_options(drawn, "there is none to draw; the run has `model.attention: none`")
    if request.attention and request.output_file is not None and not request.as_json:
        raise CharseqError(
            "--attention: draws on the terminal; with --output add --json, which has the numbers, "
            "or take --attention-file"
        )


def _named(sources: list[str]) -> Iterator[tuple[str, str]]:
    for number, source in enumerate(sources, 1):
        yield "the source" if len(sources) == 1 else f"source {number}", source


@dataclass
class _Reader:
    """Reads lines as sources, and remembers what people should be told about them.

    Attributes:
        count: the sources read so far.
        gaps: for each line left out, how many sources came before it; taken when it is written.
        wrong: how many lines were left out.
        first: what was wrong with the first of them.
        untagged: how many sources have no tags, where the file that would say whether training had
            such is not there.
    """

    trained: "TrainedSeq2Seq"
    request: PairRequest
    count: int = 0
    gaps: deque[int] = field(default_factory=deque)
    wrong: int = 0
    first: str = ""
    untagged: int = 0

    def sources(self, lines: Iterable[tuple[str, str]], wrong: Wrong) -> Iterator["EncodedSource"]:
        """The sources of lines; ``wrong`` is given what is wrong with the others."""
        for where, line in lines:
            try:
                source = self._source(where, line)
            except CharseqError as error:
                wrong(error)
            else:
                self.count += 1
                yield source

    def leave_out(self, error: CharseqError) -> None:
        """Refuse a wrong line, or note that there is one (``--skip-errors``)."""
        if not self.request.skip_errors:
            one_of_many = self.request.input_file is not None
            hint = "; `--skip-errors` writes an empty line for such" if one_of_many else ""
            raise CharseqError(f"{error}{hint}") from None
        self.gaps.append(self.count)
        self.wrong += 1
        self.first = self.first or str(error)

    def _source(self, where: str, line: str) -> "EncodedSource":
        """The source of a line, and its tags; what the model cannot read is refused here."""
        vocab, request = self.trained.vocab, self.request
        source, *cells = line.split("\t")
        if not source:
            raise CharseqError(f"{where}: is empty; a source is needed, or no line at all")
        if "\n" in source:
            raise CharseqError(f"{where}: holds a line end; a source is one line")
        if cells and not vocab.features:
            raise CharseqError(
                f"{where}: a tab follows the source, and this model reads no tags; "
                "`cut -f1` leaves the first column"
            )
        if len(cells) > 1:
            what = f"{len(cells) + 1} columns; a source and its tags are two"
            raise CharseqError(f"{where}: has {what}")
        if not cells and request.features is None and vocab.features:
            self._check_untagged(where)
        tags = split_tags(cells[0] if cells else request.features or "")
        return self.trained.encode(source, tags, unknown=request.unknown, where=where)

    def _check_untagged(self, where: str) -> None:
        """Refuse a source without tags if training had none such; an empty cell says it is one."""
        if usual := self.trained.usual_tags:
            example = escape(TAG_SEPARATOR.join(usual))
            behind = "" if self.request.input_file is None else ", or as a second column"
            raise CharseqError(
                f"{where}: has no tags, and all pairs of the training had some, such as {example}; "
                f'give them as --features "{example}"{behind} (--features "" if there are none)'
            )
        self.untagged += usual is None

    def show_notes(self) -> None:
        """What is not as it should be, on standard error."""
        if self.untagged:
            known = self.trained.vocab.features
            some = ", ".join(known[:SHOWN]) + (", …" if len(known) > SHOWN else "")
            show_note(
                f"{self.untagged:,} of {self.count:,} sources had no tags, and this model reads "
                f"some ({some}); give them as --features TAGS"
            )
        if self.wrong:
            gap = "a line is" if self.wrong == 1 else f"{self.wrong:,} lines are"
            show_note(f"{gap} empty, as the source could not be read; {self.first}")


def _conversions(reader: _Reader, sources: list[str]) -> Iterator["Conversion | None"]:
    """Of files and arguments when all were found readable; of standard input as it comes.

    None for a line that was left out.
    """
    request, wrong = reader.request, reader.leave_out
    file = request.input_file
    if file != STANDARD_INPUT:
        lines = _named(sources) if file is None else read_lines(file, wrong)
        every = list(reader.sources(lines, wrong))
        total = len(every) + reader.wrong
        yield from _with_bar(_with_gaps(_converted(every, reader), reader), total, request)
    elif sys.stdin.isatty():
        yield from _conversation(reader)
    else:
        coming = reader.sources(read_lines(file, wrong), wrong)
        yield from _with_bar(_with_gaps(_converted(coming, reader), reader), None, request)


def _conversation(reader: _Reader) -> Iterator["Conversion"]:
    """Each line as soon as it is typed; a mistake in one is told, and the next awaited."""
    from charseq.cli.console import show_error

    for source in reader.sources(read_lines(STANDARD_INPUT, show_error), show_error):
        yield from _converted([source], reader)


def _converted(sources: Iterable["EncodedSource"], reader: _Reader) -> Iterator["Conversion"]:
    request = reader.request
    return reader.trained.convert(
        sources,
        beam=request.beam,
        n_best=request.n_best,
        length_penalty=request.length_penalty,
        temperature=request.temperature,
        top_k=request.top_k,
        top_p=request.top_p,
        seed=request.seed,
        with_attention=request.attention or request.attention_file is not None,
    )


def _with_gaps(
    conversions: Iterator["Conversion"], reader: _Reader
) -> Iterator["Conversion | None"]:
    """The same, with a None in the place of each line that was left out."""
    for conversion in conversions:
        while reader.gaps and reader.gaps[0] <= conversion.index:
            reader.gaps.popleft()
            yield None
        yield conversion
    yield from repeat(None, len(reader.gaps))


def _with_bar(
    conversions: Iterator["Conversion | None"], total: int | None, request: PairRequest
) -> Iterator["Conversion | None"]:
    """The same, with a bar on a terminal, but for one that the targets are written to."""
    elsewhere = request.output_file is not None or not sys.stdout.isatty()
    shown = elsewhere and (total is None or total >= MANY)
    with progress_bar("converting", shown=shown) as progress:
        for done, conversion in enumerate(conversions, 1):
            yield conversion
            progress(done, total)


def _write_lines(
    conversion: "Conversion", request: PairRequest, out: Write, *, with_tags: bool
) -> None:
    """A line for each output, its picture below it."""
    on_terminal = request.output_file is None and sys.stdout.isatty()
    tags = [TAG_SEPARATOR.join(conversion.features)] if with_tags else []
    for output in conversion.outputs:
        line = output.text
        if request.columns:
            cells = [conversion.source, *tags, line, f"{output.log_probability:.4f}"]
            line = "\t".join(cells)
        if on_terminal and request.confidence is not False:
            line += f"\t{confidence(output)}"
        elif request.confidence:
            line += f"\t{math.exp(output.log_probability):.6g}"
        out((harmless(line) if on_terminal else line) + "\n")
        if request.attention:
            out(_drawn(_alignment(conversion, output)))


def _record(conversion: "Conversion", request: PairRequest) -> dict[str, Any]:
    outputs = []
    for output in conversion.outputs:
        record: dict[str, Any] = {
            "target": output.text,
            "log_probability": output.log_probability,
            "probability": math.exp(output.log_probability),
            "finished": output.finished,
        }
        if request.attention and output.attention is not None:
            weights = [[round(float(weight), 5) for weight in row] for row in output.attention]
            record |= {"symbols": output.symbols, "attention": weights}
        outputs.append(record)
    read = {"source_symbols": conversion.source_symbols} if request.attention else {}
    return {
        "source": conversion.source,
        "features": list(conversion.features),
        **read,
        "outputs": outputs,
    }


def _alignment(conversion: "Conversion", output: "Output") -> "Alignment":
    from charseq.reports.attention import alignment

    assert output.attention is not None  # noqa: S101
    title = f"{conversion.source} → {output.text}"
    return alignment(title, conversion.source_symbols, output.symbols, output.attention)


def _drawn(alignment: "Alignment") -> str:
    from rich.console import Console

    console = Console(highlight=False)
    with console.capture() as captured:
        console.print(alignment)
    return captured.get() + "\n"


def _add(pictures: list["Alignment"], conversion: "Conversion") -> None:
    from charseq.reports.attention_file import MOST

    pictures += [_alignment(conversion, output) for output in conversion.outputs]
    if len(pictures) > MOST:
        raise CharseqError(
            f"--attention-file: a file holds {MOST} pictures; give fewer sources, or take "
            "--attention with --json, which has the numbers of all"
        )


@contextmanager
def _destination(request: PairRequest) -> Iterator[Write]:
    """Where text goes to: standard output, or a file that is there once all is written."""
    if request.output_file is None:
        yield lambda text: typer.echo(text.encode(), nl=False)  # UTF-8 in any locale; flushes
        return
    with whole_file(request.output_file) as file:

        def write(text: str) -> None:
            file.write(text.encode())
            file.flush()  # it may be a pipe

        yield write


@contextmanager
def _pictures(request: PairRequest) -> Iterator[list["Alignment"] | None]:
    """A list for the alignments of --attention-file, which is written when they are there."""
    if request.attention_file is None:
        yield None
        return
    from charseq.reports.attention_file import check_format, draw

    suffix = check_format(request.attention_file)
    alignments: list[Alignment] = []
    yield alignments
    if not alignments:
        return
    data, missing = draw(alignments, suffix)
    with whole_file(request.attention_file) as file:
        file.write(data)
    if missing:
        show_note(f"no font here has {missing}; .svg and .html leave that to who looks at them")

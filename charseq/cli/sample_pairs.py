"""``charseq sample`` with a model of pairs: a line a target, in the order of the sources."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING

from charseq.cli.asides import MANY, progress_bar, show_error, show_note
from charseq.cli.reading import STANDARD_INPUT, read_lines
from charseq.cli.sample_request import PairRequest, check_request
from charseq.cli.sample_sources import SourceReader, named
from charseq.cli.sample_targets import check_pictures, targets

if TYPE_CHECKING:
    from charseq.inference.trained_seq2seq import Conversion, EncodedSource, TrainedSeq2Seq


def write_targets(trained: "TrainedSeq2Seq", sources: list[str], request: PairRequest) -> None:
    """Convert the sources and write their targets as batches of them are finished.

    Raises:
        CharseqError: options do not go together, a file cannot be read or written, or a source
            cannot be read by the model; the text names its line.
    """
    check_request(trained, sources, request)
    if sources == [STANDARD_INPUT]:
        request = replace(request, input_file=STANDARD_INPUT)
    reader = SourceReader(trained, request)
    cut = 0
    with targets(request, with_tags=bool(trained.vocab.features)) as write:
        for conversion in _conversions(reader, sources):
            write(conversion)
            cut += conversion is not None and not conversion.outputs[0].finished
    reader.show_notes()
    if cut:
        longest = trained.config.data.max_target_length
        show_note(
            f"{cut:,} of {reader.count:,} targets had not ended after {longest:,} symbols "
            "(data.max_target_length) and were cut off"
        )


def _conversions(reader: SourceReader, sources: list[str]) -> Iterator["Conversion | None"]:
    """Of files and arguments when all were found readable; of standard input as it comes.

    None for a line that was left out.
    """
    request, wrong = reader.request, reader.leave_out
    file = request.input_file
    if file != STANDARD_INPUT:
        lines = named(sources) if file is None else read_lines(file, wrong)
        every = list(reader.sources(lines, wrong))
        check_pictures(len(every) * request.n_best, request)
        total = len(every) + reader.wrong
        yield from _with_bar(_with_gaps(_converted(every, reader), reader), total, request)
    elif sys.stdin.isatty():
        yield from _conversation(reader)
    else:
        coming = reader.sources(read_lines(file, wrong), wrong)
        yield from _with_bar(_with_gaps(_converted(coming, reader), reader), None, request)


def _conversation(reader: SourceReader) -> Iterator["Conversion"]:
    """Each line as soon as it is typed; a mistake in one is told, and the next awaited."""
    lines = read_lines(STANDARD_INPUT, show_error)
    for number, source in enumerate(reader.sources(lines, show_error)):
        yield from _converted([source], reader, first=number)


def _converted(
    sources: Iterable["EncodedSource"], reader: SourceReader, first: int = 0
) -> Iterator["Conversion"]:
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
        first=first,
    )


def _with_gaps(
    conversions: Iterator["Conversion"], reader: SourceReader
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

"""The targets that ``charseq sample`` writes: as lines, as JSON, with pictures of attention."""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import typer

from charseq.cli.asides import show_note
from charseq.cli.confidence import confidence
from charseq.cli.sample_request import PairRequest
from charseq.cli.writing import harmless, json_text, whole_file
from charseq.errors import CharseqError
from charseq.text.symbols import TAG_SEPARATOR

if TYPE_CHECKING:
    from charseq.inference.trained_seq2seq import Conversion, Output
    from charseq.reports.attention import Alignment

Write: TypeAlias = Callable[[str], object]


@contextmanager
def targets(
    request: PairRequest, *, with_tags: bool
) -> Iterator[Callable[["Conversion | None"], None]]:
    """What writes a conversion, or None for a line that was left out; files are whole at the end.

    Args:
        with_tags: whether the model reads tags, a column of their own.
    """
    written = 0
    with _destination(request) as out, _pictures(request) as pictures:

        def write(conversion: "Conversion | None") -> None:
            nonlocal written
            if request.as_json:
                out(",\n " if written else "[\n ")  # nothing before the first: it may fail
                record = None if conversion is None else _record(conversion, request)
                out(json_text(record, indent=None))
            elif conversion is None:
                out("\n")
            else:
                _write_lines(conversion, request, out, with_tags=with_tags)
            written += 1
            if conversion is not None and pictures is not None:
                pictures.extend(_alignment(conversion, output) for output in conversion.outputs)
                check_pictures(len(pictures), request)

        yield write
        if request.as_json:
            out("\n]\n" if written else "[\n]\n")


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


def check_pictures(count: int, request: PairRequest) -> None:
    """Refuse more pictures than a file of --attention-file holds."""
    from charseq.reports.attention_file import MOST

    if request.attention_file is not None and count > MOST:
        raise CharseqError(
            f"--attention-file: a file holds {MOST} pictures; give fewer sources, or take "
            "--attention with --json, which has the numbers of all"
        )

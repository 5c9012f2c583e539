"""The sources that ``charseq sample`` converts: lines, what is wrong with them, what to tell."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from charseq.cli.asides import show_note
from charseq.cli.reading import Wrong
from charseq.cli.sample_request import PairRequest
from charseq.errors import CharseqError
from charseq.text.characters import escape
from charseq.text.symbols import TAG_SEPARATOR, split_tags

if TYPE_CHECKING:
    from charseq.inference.trained_seq2seq import EncodedSource, TrainedSeq2Seq

SHOWN = 8  # tags that a note lists


def named(sources: list[str]) -> Iterator[tuple[str, str]]:
    """Arguments as lines: where each stands, for what is wrong with it, and the source."""
    for number, source in enumerate(sources, 1):
        yield "the source" if len(sources) == 1 else f"source {number}", source


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # too long for a name
        return False


@dataclass
class SourceReader:
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
                if self.request.input_file is None and _is_file(line):
                    hint = f"`--input {line}` converts the lines of that file"
                    error = CharseqError(f"{error}; {hint}")
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
            raise CharseqError(f"{where}: has {what}{self._cut()}")
        if not cells and request.features is None and vocab.features:
            self._check_untagged(where)
        tags = split_tags(cells[0] if cells else request.features or "")
        return self.trained.encode(source, tags, unknown=request.unknown, where=where)

    def _cut(self) -> str:
        """How to leave two columns of a file like that of the training, where `cut` can."""
        data = self.trained.config.data
        source, tags = data.source_column, data.features_column
        if not isinstance(source, int) or not isinstance(tags, int) or source > tags:
            return ""
        return f"; `cut -f {source},{tags}` leaves them of a file like that of the training"

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

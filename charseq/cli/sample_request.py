"""What a person asks of a model of pairs with ``charseq sample``, and what does not go together."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from charseq.cli.options import refuse_options
from charseq.cli.reading import STANDARD_INPUT
from charseq.errors import CharseqError

if TYPE_CHECKING:
    from charseq.inference.trained_seq2seq import TrainedSeq2Seq
    from charseq.text.vocab import Unknown


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


def check_request(trained: "TrainedSeq2Seq", sources: list[str], request: PairRequest) -> None:
    """Refuse what does not go together.

    Raises:
        CharseqError: naming the option and what to do.
    """
    if not sources and request.input_file is None:
        raise CharseqError(
            "sample: nothing to convert; name sources, as in"
            ' `charseq sample RUN "3 May 1979"`, or a file with a source a line as --input FILE,'
            " or - for what a pipe brings"
        )
    if sources and request.input_file is not None:
        raise CharseqError("sample: give sources or --input, not both")
    if STANDARD_INPUT in sources and len(sources) > 1:
        raise CharseqError("sample: '-' reads every source from standard input; it goes alone")
    written, read = request.output_file, request.input_file
    if written and read and _is_same_file(written, read):
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


def _is_same_file(one: str, other: str) -> bool:
    from charseq.text.read import expand

    paths = expand(one), expand(other)
    return all(path.exists() for path in paths) and paths[0].samefile(paths[1])

"""``charseq eval --dynamic``: a language model that learns from the text that it has predicted."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from charseq.cli import eval_options
from charseq.cli.asides import progress_bar, show_note
from charseq.cli.console import of_step, plain_table, show_facts
from charseq.cli.eval_text import TextRequest, check_text, named, text_ids, unit_of
from charseq.cli.options import refuse_options
from charseq.cli.writing import print_json
from charseq.errors import CharseqError

if TYPE_CHECKING:
    from torch import Tensor

    from charseq.inference.dynamic import Dynamics, Rule
    from charseq.inference.metrics import Score
    from charseq.inference.trained_lm import TrainedLanguageModel

LONG = 2_000  # characters; what takes less than a second needs no progress bar


@dataclass(frozen=True)
class DynamicRequest:
    """How to adapt the weights; None is as the rule has it."""

    rule: "Rule | None"
    learning_rate: float | None
    decay: float | None
    segment: int | None

    def settings(self) -> "Dynamics":
        from charseq.inference.dynamic import DECAY, LEARNING_RATES, SEGMENT, Dynamics

        rule, rate = self.rule or "rms", self.learning_rate
        return Dynamics(
            rule,
            LEARNING_RATES[rule] if rate is None else rate,
            DECAY if self.decay is None else self.decay,
            SEGMENT if self.segment is None else self.segment,
        )


def dynamic_request(
    *,
    wanted: bool,
    rule: eval_options.Rule | None,
    learning_rate: float | None,
    decay: float | None,
    segment: int | None,
) -> DynamicRequest | None:
    """What the options ask for; None: nothing. Raises CharseqError where they lack --dynamic."""
    if not wanted:
        given = {"--rule": rule, "--learning-rate": learning_rate, "--decay": decay}
        refuse_options({**given, "--segment": segment}, "goes with --dynamic")
        return None
    return DynamicRequest(rule and rule.value, learning_rate, decay, segment)


def report_dynamic(
    trained: "TrainedLanguageModel", request: TextRequest, asked: DynamicRequest
) -> None:
    """Score a text with the weights as they are and adapted, and print both.

    Raises:
        CharseqError: the text cannot be read, or options do not go together.
        NotFiniteError: the weights were adapted too fast.
    """
    from charseq.inference.dynamic import evaluate_dynamic
    from charseq.inference.own_data import has_own_data

    check_text(request)
    given = {"--text": request.text, "--window": request.window}
    refuse_options({**given, "--calibration": request.calibration}, "goes without --dynamic")
    how = asked.settings()
    ids = text_ids(trained, request)
    squares = None
    if how.rule == "rms" and has_own_data(trained.path):
        squares = _mean_square(trained, how.segment)
    with progress_bar("evaluating", shown=len(ids) >= LONG) as progress:
        static, dynamic = evaluate_dynamic(
            trained.model, ids, how, mean_square=squares, progress=progress
        )
    source = None
    if how.rule == "rms":
        source = "the text scored so far" if squares is None else "the training text"
    _report(trained, request, how, static, dynamic, source)
    if dynamic.nats > static.nats:
        show_note(
            "what was learned on the way has made it worse: try a lower --learning-rate than"
            f" {how.learning_rate:g}",
            "warning",
        )


def _mean_square(trained: "TrainedLanguageModel", segment: int) -> "list[Tensor] | None":
    """Of the training text; None, with a note, where that is not at hand any more."""
    from charseq.inference.dynamic import mean_square_gradients

    try:
        training = trained.split_ids("train")
    except CharseqError as error:
        show_note(f"squared gradients are those of the text scored so far: {error}")
        return None
    return mean_square_gradients(trained.model, training, segment)


def _report(
    trained: "TrainedLanguageModel",
    request: TextRequest,
    how: "Dynamics",
    static: "Score",
    dynamic: "Score",
    source: str | None,
) -> None:
    if request.as_json:
        report: dict[str, Any] = {
            "static": static.to_json(),
            "dynamic": dynamic.to_json(),
            **asdict(how),
            "squared_gradients": source,
            "data": named(request),
            "checkpoint": str(trained.path),
            "step": trained.step,
        }
        print_json(report)
        return
    from rich.console import Console

    console = Console(highlight=False)
    unit = unit_of(trained)
    table = plain_table(3)
    table.add_column()
    for heading in ("static", "dynamic", "difference"):
        table.add_column(heading, justify="right")
    for name, form, one, other in (
        (f"nats per {unit}", ".4f", static.nats, dynamic.nats),
        (f"bits per {unit}", ".4f", static.bpc, dynamic.bpc),
        ("perplexity", ".3f", static.perplexity, dynamic.perplexity),
        ("accuracy", ".2%", static.accuracy, dynamic.accuracy),
    ):
        table.add_row(name, format(one, form), format(other, form), format(other - one, "+" + form))
    console.print(table)
    console.print()
    facts = {
        f"{unit}s scored": f"{static.characters:,}, stateful",
        "rule": f"{how.rule}, learning rate {how.learning_rate:g}, decay {how.decay:g}, segments"
        f" of {how.segment:,} {unit}s",
        "squared gradients": source and f"of {source}",
        "data": named(request),
        "checkpoint": f"{of_step(trained.path, trained.step)}; its weights stay as they are",
    }
    show_facts(console, facts)

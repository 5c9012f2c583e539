"""Dynamic evaluation: a language model goes on learning from the text that it has predicted.

Krause, Kahembwe, Murray and Renals 2018, "Dynamic Evaluation of Neural Sequence Models". The text
is read in short segments. Each is scored with the weights θ as they are then; only after that is it
learned from, with its gradient g, and θ is drawn back to the trained weights θ_g:

    sgd   θ ← θ − η g + λ (θ_g − θ)
    rms   θ ← θ − η g / (√MS + ε) + λ R (θ_g − θ),   R = min(√MS / mean √MS, 1 / λ)

g is that of the mean nats per character of the segment; the state is carried from segment to
segment, the gradient is not. MS is the mean of g² over segments of the training text, the paper's
equation 3; the mean in R goes over all weights.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from charseq.errors import CharseqError, NotFiniteError
from charseq.inference.evaluate import block, scorable, scored, state_before
from charseq.inference.metrics import Score
from charseq.models.language_model import LanguageModel
from charseq.progress import Progress
from charseq.text.vocab import Ids

Rule: TypeAlias = Literal["rms", "sgd"]

LEARNING_RATES: dict[Rule, float] = {"rms": 1e-3, "sgd": 0.1}
DECAY = 3e-4
SEGMENT = 20
EPSILON = 1e-4
GRADIENTS = 500  # segments of the training text whose gradients are squared
WARMUP = 256  # characters in front of each, for its state


@dataclass(frozen=True)
class Dynamics:
    """How weights are adapted.

    Attributes:
        rule: ``rms`` or ``sgd``.
        learning_rate: η.
        decay: λ, from 0 to 1: what a segment takes back of what the weights have moved.
        segment: characters that are scored, then learned from.
    """

    rule: Rule = "rms"
    learning_rate: float = LEARNING_RATES["rms"]
    decay: float = DECAY
    segment: int = SEGMENT


@contextmanager
def one_thread() -> Iterator[None]:
    """Products this small gain nothing from a second thread, and wait for it on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@one_thread()
def evaluate_dynamic(
    model: LanguageModel,
    ids: Ids,
    how: Dynamics,
    *,
    mean_square: Sequence[Tensor] | None = None,
    progress: Progress | None = None,
) -> tuple[Score, Score]:
    """Score a text (n,), stateful: with the weights as they are, and adapted on the way.

    The model itself is left as it is; a copy learns. Nothing is dropped.

    Args:
        mean_square: MS for each parameter, of ``mean_square_gradients``. None: rule ``rms`` takes
            the mean over the segments of this text that are scored by then.
        progress: called now and then with the characters scored, and their total.

    Raises:
        CharseqError: the text has fewer than two characters, or an argument is out of range.
        NotFiniteError: the adapted weights give no numbers any more.
    """
    total = scorable(ids)
    if how.segment < 1 or not 0.0 <= how.decay <= 1.0 or how.learning_rate < 0.0:
        raise CharseqError(
            "dynamic evaluation: the segment must be at least 1, the learning rate at least 0, and"
            " the decay from 0 to 1"
        )
    learner = _Learner(model, how, mean_square)
    static, dynamic = _Sum(), _Sum()
    fixed = _still(model)
    fixed_state = state = model.lstm.zero_state(1)
    for at in range(0, total, how.segment):
        text = block(model, ids, np.array([at]), min(how.segment, total - at) + 1)
        inputs, targets = text[:-1], text[1:]
        with torch.no_grad():
            logits, fixed_state = fixed(inputs, fixed_state)
            static.add(*scored(logits, targets)[:2])
        logits, (h, c) = learner.model(inputs, state)
        state = h.detach(), c.detach()
        nats, hits, _ = scored(logits, targets)
        dynamic.add(nats.detach(), hits)
        if not np.isfinite(dynamic.nats):
            raise NotFiniteError(
                f"dynamic evaluation diverged after {at + len(targets):,} characters; take a lower"
                f" --learning-rate than {how.learning_rate:g}"
            )
        learner.learn(nats.mean())
        if progress is not None:
            progress(at + len(targets), total)
    return static.score(), dynamic.score()


@one_thread()
def mean_square_gradients(
    model: LanguageModel, training: Ids, segment: int, *, count: int = GRADIENTS
) -> list[Tensor]:
    """MS of each parameter: the mean of g² over segments spread evenly over a text (m,).

    Each is read with the state that the characters in front of it give.

    Raises:
        CharseqError: the text has fewer than two characters.
    """
    total = scorable(training)
    segment = min(segment, total)
    warmup = min(WARMUP, total - segment)
    starts = np.unique(np.linspace(warmup, total - segment, count).astype(np.int64))
    learner = _still(model)
    parameters = list(learner.parameters())
    squares = [torch.zeros_like(parameter) for parameter in parameters]
    with torch.no_grad():
        h, c = state_before(learner, training, starts, warmup)
    for k, start in enumerate(starts):
        text = block(learner, training, np.array([start]), segment + 1)
        logits, _ = learner(text[:-1], (h[:, k : k + 1], c[:, k : k + 1]))
        nats = scored(logits, text[1:]).nats.mean()
        for square, g in zip(squares, torch.autograd.grad(nats, parameters), strict=True):
            square.addcmul_(g, g, value=1.0 / len(starts))
    return squares


def _still(model: LanguageModel) -> LanguageModel:
    """A copy in evaluation mode that gradients can be taken of."""
    return copy.deepcopy(model).eval().requires_grad_()


class _Sum:
    """Nats and hits of the characters scored so far, in float64."""

    def __init__(self) -> None:
        self.nats, self._hits, self._count = 0.0, 0, 0

    def add(self, nats: Tensor, hits: Tensor) -> None:
        self.nats += nats.sum(dtype=torch.float64).item()
        self._hits += int(hits.sum())
        self._count += hits.numel()

    def score(self) -> Score:
        return Score(self.nats / self._count, self._hits / self._count, self._count)


class _Learner:
    """The copy that learns, and what it is drawn back to."""

    def __init__(
        self, model: LanguageModel, how: Dynamics, mean_square: Sequence[Tensor] | None
    ) -> None:
        self.model = _still(model)
        self._how = how
        self._weights = list(self.model.parameters())
        self._trained = [weight.detach().clone() for weight in self._weights]
        self._seen = 0
        self._collects = how.rule == "rms" and mean_square is None
        self._squares = [torch.zeros_like(weight) for weight in self._trained]
        self._rates: list[tuple[Tensor | float, Tensor | float]] = [
            (how.learning_rate, how.decay) for _ in self._weights
        ]
        if how.rule == "rms" and mean_square is not None:
            self._squares = list(mean_square)
            self._rates = self._rms_rates()

    def learn(self, nats: Tensor) -> None:
        """One step on the mean nats of a segment."""
        gradients = torch.autograd.grad(nats, self._weights)
        with torch.no_grad():
            if self._collects:
                self._seen += 1
                for square, g in zip(self._squares, gradients, strict=True):
                    square.lerp_(g * g, 1.0 / self._seen)
                self._rates = self._rms_rates()
            for weight, trained, g, (rate, decay) in zip(
                self._weights, self._trained, gradients, self._rates, strict=True
            ):
                weight.add_(decay * (trained - weight) - rate * g)

    def _rms_rates(self) -> list[tuple[Tensor | float, Tensor | float]]:
        """η / (√MS + ε) and λ R, of each parameter."""
        roots = [square.sqrt() for square in self._squares]
        count = sum(root.numel() for root in roots)
        mean = sum(root.sum(dtype=torch.float64).item() for root in roots) / count
        how = self._how
        return [
            (
                how.learning_rate / (root + EPSILON),
                (how.decay * root / mean).clamp(max=1.0) if mean > 0.0 else how.decay,
            )
            for root in roots
        ]

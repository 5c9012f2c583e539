"""Somebody else's LSTM: the same small problem for everyone, and which of its gradients is wrong.

One layer over one-hot characters from a state of zeros, an output layer, and the cross-entropy of
all characters, summed, as in ``faults.py``. Whoever has an LSTM of their own computes its gradients
for these weights and characters; here they are compared, gate by gate, and what is wrong is named
where it is known: another scale, another order of the gates, or one of the mistakes of
``faults.py``.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from itertools import combinations, permutations

import torch
from torch import Tensor

from charseq.errors import CharseqError
from charseq.lstm.faults import FAULTS, loss_and_gradients
from charseq.lstm.gradcheck import (
    Problem,
    Report,
    Row,
    agree,
    draw_problem,
    errors,
    gates_of,
)
from charseq.lstm.where_to_look import where_to_look
from charseq.text.characters import escape

SECOND_BIAS = "bias_hh_l0"  # of nn.LSTM: it stands beside the first, and has its gradient
# Relative errors that pass: what rounding makes of such a small sum is far below.
TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-4}
OPTIONAL = ("h_0", "c_0", "d_z", "loss", SECOND_BIAS)
GATED = {
    "weight_ih_l0": 0,
    "weight_hh_l0": 0,
    "bias_ih_l0": 0,
    SECOND_BIAS: 0,
    "d_z": 2,
}  # along this axis


def own_problem(
    *,
    hidden_size: int = 8,
    vocab_size: int = 7,
    seq_len: int = 6,
    batch_size: int = 3,
    seed: int = 0,
) -> Problem:
    """The problem; raises ``CharseqError`` for a size below 1."""
    drawn = draw_problem(hidden_size, 1, vocab_size, seq_len, batch_size, seed)
    leaves = {name: leaf for name, leaf in drawn.leaves.items() if name != "x"}
    for name in ("h_0", "c_0"):
        leaves[name] = torch.zeros_like(leaves[name])
    return Problem(drawn.ids, drawn.targets, (leaves["h_0"], leaves["c_0"]), leaves)


def check_own(found: Mapping[str, Tensor], problem: Problem) -> tuple[Report, str]:
    """Every gradient that is there against the right one; and what is wrong, as far as that shows.

    ``found``: by the names of the weights, in their shapes, gates in the order i, f, g, o; h_0, c_0
    (1, B, H), d_z (T, B, 4H) and the loss may be left out.

    Raises:
        CharseqError: a weight has no gradient, or one of another shape; a name is none of theirs.
    """
    loss, wanted = right_answer(problem)
    dtype = _checked(found, {**wanted, "loss": loss})
    allowed = TOLERANCES[dtype]
    given = {name: found[name].double() for name in wanted if name in found}
    wanted = {name: wanted[name] for name in given}
    rows = tuple(_rows(given, wanted, allowed))
    report = Report("yours", str(dtype).removeprefix("torch."), rows)
    if strange := [name for name, one in given.items() if not one.isfinite().all()]:
        names = ", ".join(strange)
        return report, f"{names}: not finite: look for a division, an exp or a log first"
    another = ""
    right = "loss" not in found or agree(*errors(found["loss"], loss), allowed)
    if not right:  # which a NaN is not
        another = f"{found['loss'].item():.6f}, not {loss.item():.6f}"
        if scale := _mean((found["loss"] / loss).item(), problem, allowed):
            another += f", {scale}"
    if report.passed:
        return report, another and f"the gradients are right, but not the loss: it is {another}"
    known = _known_mistake(given, wanted, problem, allowed)
    if known or not another:
        wrong = {row.parameter for row in report.wrong}
        if "bias_ih_l0" in wrong:
            wrong.discard(SECOND_BIAS)  # which says nothing of its own
        return report, known or where_to_look(
            given, wanted, wrong, allowed, has_loss="loss" in found
        )
    return report, f"the forward pass is another one: its loss is {another}; mend that first"


def right_answer(
    problem: Problem, faults: frozenset[str] = frozenset()
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss and its gradients; with ``faults`` those that somebody gets who makes them."""
    leaves, d_final = problem.leaves, problem.d_final
    loss, found = loss_and_gradients(leaves, problem.ids, problem.targets, d_final, faults)
    return loss, {**found, SECOND_BIAS: found["bias_ih_l0"]}


def _checked(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> torch.dtype:
    """The least precise type among them, once names and shapes are right."""
    for name in found:
        if name not in wanted:
            near = get_close_matches(name, wanted, 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise CharseqError(
                f"gradcheck: there is no weight '{escape(name)}'{hint}; there is"
                f" {', '.join(wanted)}"
            )
    for name, right in wanted.items():
        if name not in found:
            if name in OPTIONAL:
                continue
            raise CharseqError(f"gradcheck: the gradient of {name} {tuple(right.shape)} is missing")
        ours = found[name]
        if ours.dtype not in TOLERANCES:
            raise CharseqError(f"gradcheck: {name} is {ours.dtype}, not float64 or float32")
        if ours.shape != right.shape:
            turned = ours.dim() == 2 and ours.t().shape == right.shape
            raise CharseqError(
                f"gradcheck: {name} is {tuple(ours.shape)}, not {tuple(right.shape)}"
                + ("; turn it" if turned else "; the sizes and the seed are those of --write")
            )
    coarse = any(tensor.dtype == torch.float32 for tensor in found.values())
    return torch.float32 if coarse else torch.float64


def _rows(
    found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], allowed: float
) -> Iterator[Row]:
    for name, gate, part in gates_of(wanted):
        max_error, error = errors(found[name][part], wanted[name][part])
        yield Row(
            parameter=name,
            gate=gate,
            size=wanted[name][part].norm().item(),
            max_error=max_error,
            error=error if max_error else 0.0,  # not 0 / 0, where zero is right
            allowed=allowed,
            numeric_max_error=None,
            numeric_error=None,
            numeric_allowed=None,
            passed=agree(max_error, error, allowed),
        )


def _known_mistake(
    found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], problem: Problem, allowed: float
) -> str | None:
    """The one, or those together, that give what was found."""

    def same(others: Mapping[str, Tensor]) -> bool:
        return all(row.passed for row in _rows(found, others, allowed))

    wrong = {row.parameter for row in _rows(found, wanted, allowed) if not row.passed}
    name = min(wrong)
    ratio = ((found[name] * wanted[name]).sum() / wanted[name].square().sum()).item()
    if same({key: right * (ratio if key in wrong else 1.0) for key, right in wanted.items()}):
        filled = {key for key, right in wanted.items() if right.any()}
        which = "all are" if wrong >= filled else f"{' and '.join(sorted(wrong))}:"
        if ratio == 0.0:
            return f"{which} zero everywhere: never filled, or nothing added"
        return f"{which} {_scale(ratio, problem, allowed)}"
    for order in permutations("ifgo"):
        if order == tuple("ifgo"):
            continue
        if same(_reordered(wanted, order)):
            return f"the gates stand in the order {', '.join(order)}; write them as i, f, g, o"
        place = tuple("ifgo"[order.index(gate)] for gate in "ifgo")
        as_read = replace(problem, leaves=_reordered(problem.leaves, place))
        made = right_answer(as_read)[1]
        if same(_reordered({name: made[name] for name in wanted}, order)):
            return f"the gates are read in the order {', '.join(order)}; they stand as i, f, g, o"
    for count in range(1, len(FAULTS) + 1):
        for names in combinations(FAULTS, count):
            made = right_answer(problem, frozenset(names))[1]
            if same({name: made[name] for name in wanted}):
                return "\n".join(
                    f"{name}: {FAULTS[name].right} {FAULTS[name].mend}" for name in names
                )
    return None


def _scale(ratio: float, problem: Problem, allowed: float) -> str:
    clipped = ", as after clipping to a norm" if 0.0 < ratio < 1.0 else ""
    times = f"{ratio:.4g} times what is right{clipped}"
    return _mean(ratio, problem, allowed) or times


def _mean(ratio: float, problem: Problem, allowed: float) -> str | None:
    """Over what it is one, if it is."""
    steps, batch = problem.ids.shape
    means = {steps * batch: "all characters", steps: "the steps", batch: "the sequences"}
    for count, what in means.items():
        if math.isclose(count * ratio, 1.0, rel_tol=10 * allowed):
            return f"1/{count} of what is right: a mean over {what}, not the sum"
    return None


def _reordered(wanted: Mapping[str, Tensor], order: tuple[str, ...]) -> dict[str, Tensor]:
    """The gradients with their gates in another order."""
    result = dict(wanted)
    for name, axis in GATED.items():
        if name in wanted:
            parts = dict(zip("ifgo", wanted[name].chunk(4, dim=axis), strict=True))
            result[name] = torch.cat([parts[gate] for gate in order], dim=axis)
    return result

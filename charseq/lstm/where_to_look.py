"""Where the mistake behind wrong gradients is, told by those that are right.

The steps are those of docs/lstm.md.
"""

from collections.abc import Collection, Mapping
from itertools import permutations

from torch import Tensor

from charseq.lstm.gradcheck import agree, errors

# What is wrong alone, what that says of the rest, and where to look.
ALONE = (
    ("weight_out", "bias_out is right, so p - y is", "the h_t that it is multiplied with in 5'"),
    ("bias_out", "weight_out is right, so p - y is", "its sum over steps and sequences in 5'"),
    ("weight_ih_l0", "the others are right, so d_z is", "the x_t it is multiplied with in 1'"),
    ("weight_hh_l0", "the others are right, so d_z is", "the h_{t-1} of its product in 1'"),
    ("bias_ih_l0", "the weights are right, so d_z is", "its sum over steps and sequences in 1'"),
    ("h_0", "the others are right", "what is left at the first step in 1'"),
    ("c_0", "the others are right", "what is left at the first step in 3'"),
)
NO_LOSS = "or the forward pass is another one: write `loss` into the file too, which tells"


def where_to_look(
    found: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    wrong: Collection[str],
    allowed: float,
    *,
    has_loss: bool,
) -> str:
    """A sentence or two. ``wrong``: names of gradients; ``has_loss``: the loss is right."""
    for alone, right, look in ALONE:
        if set(wrong) == {alone}:
            return f"{right}: look at {look}"
    if "bias_out" in wrong:
        look = "the output layer's are wrong: look at 6' (p - y) and 5' first"
        return look if has_loss else f"{look}; {NO_LOSS}"
    if "weight_out" in wrong:
        return "weight_out is wrong, bias_out is not: look at h_t, and at what is handed on, in 5'"
    if "d_z" not in found:
        return (
            "the output layer's are right. Write d_z (T, B, 4H) into the file too: the last step"
            " that is wrong, and its gates, say where it begins"
        )
    if "d_z" not in wrong:
        return "d_z is right: look at what it is multiplied with in 1'"
    steps = len(wanted["d_z"])
    for step in reversed(range(steps)):
        ours, theirs = (
            dict(zip("ifgo", of["d_z"][step].chunk(4, -1), strict=True)) for of in (found, wanted)
        )
        gates = [gate for gate in "ifgo" if not agree(*errors(ours[gate], theirs[gate]), allowed)]
        if gates:
            break
    said = f"d_z is right after step {step}, and wrong there: gates {', '.join(gates)}. "
    if order := _order(ours, theirs, allowed):
        return f"{said}They stand in the order {', '.join(order)}: look at how 2' joins the four"
    return said + _of_step(gates, theirs, is_last=step == steps - 1)


def _order(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], allowed: float) -> str | None:
    """Another order of the gates in which those of a step are right."""
    for order in permutations("ifgo"):
        pairs = zip("ifgo", order, strict=True)
        if all(agree(*errors(ours[place], theirs[gate]), allowed) for place, gate in pairs):
            return "".join(order)
    return None


def _of_step(wrong: list[str], wanted: Mapping[str, Tensor], *, is_last: bool) -> str:
    """By the gates that are wrong in the last step with any, where all behind it is right.

    d_o is made of d_h, the other three of d_c: a gate that is right vouches for what it is made of.
    """
    right = [gate for gate in "ifgo" if gate not in wrong and bool(wanted[gate].any())]
    told = [gate for gate in right if gate != "o"]
    if wrong == ["o"]:
        return "Look at d_o in 4' and at the slope of o in 2'"
    if told:
        them = f"The gate {told[0]} is right, so d_c is: look at"
        slopes = f"{' and '.join(f'd_{gate}' for gate in wrong if gate != 'o')} in 3'"
        if "o" in wrong:
            slopes += ", d_o in 4'"
        return f"{them} {slopes}, and at the slope of {', '.join(wrong)} in 2'"
    if "o" in right:
        if is_last:
            return "The gate o is right, so d_h is: look at what 4' adds to d_c, and at 3' and 2'"
        return (
            "The gate o is right, so d_h is, and the steps behind are: look at the d_c that 3' of"
            " the step after it hands on, d_c * f, and at the sum with what 4' adds"
        )
    if is_last:
        return "Look at the d_h that comes from 5', and at 4' and 2'"
    return (
        "The steps behind are right: look at the d_h that 1' of the step after it hands on,"
        " d_z @ W_hh, and at the sum with what 5' adds"
    )

"""The listing with which charseq began, done right, and on demand with each of its mistakes.

One LSTM layer over one-hot characters, an output layer, softmax and cross-entropy: forward and
backward, one time step after the other, nothing factored out and nothing clever. The steps carry
the numbers of ``cell.py`` (1 to 4) and ``manual.py`` (primed), and two more: 5, the output layer,
and 6, softmax and cross-entropy. Each mistake stands at one place, in an ``if`` with its name.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, one_hot

from charseq.lstm.cell import State


@dataclass(frozen=True)
class Fault:
    """A mistake in a backward pass, in words."""

    name: str
    listing: str  # what the listing does
    right: str  # what is right
    mend: str  # how to get from the one to the other


FAULTS = {
    fault.name: fault
    for fault in (
        Fault(
            "softmax-derivative",
            listing="The listing multiplies the error p - y by p (1 - p).",
            right="The gradient of softmax and cross-entropy together is p - y.",
            mend="Drop the factor: the 1 / p of the cross-entropy has cancelled it already (6').",
        ),
        Fault(
            "tanh-of-raw-cell",
            listing="The listing takes 1 - c^2 for the derivative of tanh at c.",
            right="The derivative is 1 - tanh(c)^2; once |c| > 1, 1 - c^2 even has the wrong sign.",
            mend="Keep tanh(c) from the forward pass and square that (4').",
        ),
        Fault(
            "ones-initial-state",
            listing="The listing lets h and c before the first step be 1 in the backward pass.",
            right="They are the state that the forward pass began with, there zeros.",
            mend="Keep h_0 and c_0 of the forward pass and use them at the first step (1', 3').",
        ),
        Fault(
            "no-hidden-gradient",
            listing="The workaround drops the gradient that flows back through h_{t-1}.",
            right="h_{t-1} feeds all four gates of step t: d_h_{t-1} gets d_z_t W_hh added.",
            mend="Hand d_z_t W_hh on to step t - 1 (1'), and look for the fault elsewhere.",
        ),
    )
}


def loss_and_gradients(
    leaves: Mapping[str, Tensor],
    inputs: Tensor,
    targets: Tensor,
    d_final: State | None = None,
    faults: Set[str] = frozenset(),
) -> tuple[Tensor, dict[str, Tensor]]:
    """The cross-entropy of all characters, a sum in nats, and its gradient for every leaf; and
    for the z of every step, as ``d_z`` (T, B, 4H).

    ``leaves``: ``weight_ih_l0 (4H, V)``, ``weight_hh_l0 (4H, H)``, ``bias_ih_l0 (4H)``,
    ``weight_out (V, H)``, ``bias_out (V)`` and the initial state ``h_0``, ``c_0`` (1, B, H).
    ``inputs``, ``targets``: ids (T, B). ``d_final``: what comes back to (h_n, c_n) from outside,
    each (1, B, H); None for nothing. ``faults``: the names of mistakes to make, from ``FAULTS``.
    """
    weight_ih, weight_hh = leaves["weight_ih_l0"], leaves["weight_hh_l0"]
    bias_ih = leaves["bias_ih_l0"]
    weight_out, bias_out = leaves["weight_out"], leaves["bias_out"]
    steps, vocab_size = len(inputs), len(bias_out)
    x = one_hot(inputs, vocab_size).to(weight_ih.dtype)  # (T, B, V)
    y = one_hot(targets, vocab_size).to(weight_ih.dtype)

    # Forward. h[t] and c[t] are the state before step t, h[t + 1] and c[t + 1] the one after it.
    h, c = [leaves["h_0"][0]], [leaves["c_0"][0]]
    gates, tanh_c, log_p = [], [], []
    for t in range(steps):
        # 1. z_t = W_ih x_t + b + W_hh h_{t-1}                               (B, 4H)
        z = x[t] @ weight_ih.t() + bias_ih + h[t] @ weight_hh.t()
        z_i, z_f, z_g, z_o = z.chunk(4, dim=-1)
        # 2. the gates                                                       (B, H)
        i, f, o = torch.sigmoid(z_i), torch.sigmoid(z_f), torch.sigmoid(z_o)
        g = torch.tanh(z_g)
        gates.append((i, f, g, o))
        # 3. c_t = f_t * c_{t-1} + i_t * g_t                                 (B, H)
        c.append(f * c[t] + i * g)
        # 4. h_t = o_t * tanh(c_t)                                           (B, H)
        tanh_c.append(torch.tanh(c[t + 1]))
        h.append(o * tanh_c[t])
        # 5. logits_t = W_out h_t + b_out                                    (B, V)
        logits = h[t + 1] @ weight_out.t() + bias_out
        # 6. p_t = softmax(logits_t);  the loss gains -log p_t[y_t]
        log_p.append(log_softmax(logits, dim=-1))
    p = torch.stack(log_p)  # (T, B, V), still logarithms
    loss = -(y * p).sum()
    p = p.exp()

    if "ones-initial-state" in faults:
        h[0], c[0] = torch.ones_like(h[0]), torch.ones_like(c[0])

    # Backward: the steps in reverse order, d_<name> the gradient of the loss for <name>.
    d_h, d_c = torch.zeros_like(h[0]), torch.zeros_like(c[0])
    if d_final is not None:
        d_h, d_c = d_final[0][0], d_final[1][0]
    d_weight_ih, d_weight_hh = torch.zeros_like(weight_ih), torch.zeros_like(weight_hh)
    d_bias_ih = torch.zeros_like(bias_ih)
    d_z_of_steps = []
    d_weight_out, d_bias_out = torch.zeros_like(weight_out), torch.zeros_like(bias_out)
    for t in reversed(range(steps)):
        i, f, g, o = gates[t]
        # 6'. d_logits_t = p_t - y_t
        d_logits = p[t] - y[t]
        if "softmax-derivative" in faults:
            d_logits = d_logits * p[t] * (1 - p[t])
        # 5'. d_W_out += d_logits_t h_t^T;  d_b_out += d_logits_t;  d_h_t += W_out^T d_logits_t
        d_weight_out = d_weight_out + d_logits.t() @ h[t + 1]
        d_bias_out = d_bias_out + d_logits.sum(0)
        d_h = d_h + d_logits @ weight_out
        # 4'. d_o = d_h * tanh(c_t);  d_c_t += d_h * o * (1 - tanh(c_t)^2)
        d_o = d_h * tanh_c[t]
        if "tanh-of-raw-cell" in faults:
            d_c = d_c + d_h * o * (1 - c[t + 1] ** 2)
        else:
            d_c = d_c + d_h * o * (1 - tanh_c[t] ** 2)
        # 3'. d_i = d_c * g;  d_f = d_c * c_{t-1};  d_g = d_c * i;  d_c_{t-1} = d_c * f
        d_i, d_f, d_g = d_c * g, d_c * c[t], d_c * i
        d_c = d_c * f
        # 2'. d_z_t: sigmoid' = s (1 - s), tanh' = 1 - g^2                    (B, 4H)
        d_z = torch.cat(
            [d_i * i * (1 - i), d_f * f * (1 - f), d_g * (1 - g**2), d_o * o * (1 - o)], dim=-1
        )
        d_z_of_steps.append(d_z)
        # 1'. d_W_ih += d_z_t x_t^T;  d_W_hh += d_z_t h_{t-1}^T;  d_b += d_z_t
        d_weight_ih = d_weight_ih + d_z.t() @ x[t]
        d_weight_hh = d_weight_hh + d_z.t() @ h[t]
        d_bias_ih = d_bias_ih + d_z.sum(0)
        #     d_h_{t-1} = W_hh^T d_z_t
        d_h = d_z @ weight_hh
        if "no-hidden-gradient" in faults:
            d_h = torch.zeros_like(d_h)
    return loss, {
        "weight_ih_l0": d_weight_ih,
        "weight_hh_l0": d_weight_hh,
        "bias_ih_l0": d_bias_ih,
        "weight_out": d_weight_out,
        "bias_out": d_bias_out,
        "h_0": d_h[None],
        "c_0": d_c[None],
        "d_z": torch.stack(d_z_of_steps[::-1]),
    }

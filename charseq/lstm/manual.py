"""A whole sequence at a time, with the backward pass through time derived by hand.

Notation as in ``cell.py``; ``d_<name>`` is the gradient of the loss with respect to <name>. The
steps carry the numbers of ``cell.py``; the backward pass takes them in reverse, primed. The
derivation is in ``docs/lstm.md``.

What makes it fast, and what it costs in readability:

- Everything that does not depend on the state is done for all time steps at once: the input
  projection (1), the factors of the backward pass (2', 3', 4'), and every weight gradient (1').
- The loops over time write into buffers allocated once; no step allocates.
- Padding costs only where it is: up to the end of the shortest sequence (``whole`` steps) no step
  has any, and the mask is that of the steps behind it.
- tanh(a) = 2 sigmoid(2a) - 1, because torch's sigmoid is several times as fast as its tanh on a
  CPU. The rows of the candidate g are doubled once per sequence, so that one sigmoid serves all
  four gates.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from charseq.lstm.cell import State, padding_mask, project
from charseq.lstm.first_derivative import refuse_second


def lstm(
    x: Tensor,
    state: State,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    lengths: Tensor | None = None,
    update: Tensor | float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run one layer over a sequence; arguments and results as ``reference.lstm``.

    Raises ``CharseqError`` when its backward pass is itself to be differentiated.
    """
    run: Callable[..., tuple[Tensor, Tensor, Tensor]] = _ManualLSTM.apply
    if not isinstance(update, Tensor):
        update = state[0].new_tensor(update)
    everything = update.dim() == 0 and update.item() == 1.0
    return run(x, *state, weight_ih, weight_hh, bias_ih, lengths, None if everything else update)


class _ManualLSTM(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        h_0: Tensor,
        c_0: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        lengths: Tensor | None,
        update: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        steps, (batch, hidden) = x.shape[0], h_0.shape
        whole = steps if lengths is None else int(lengths.min())
        mask = None if lengths is None else padding_mask(lengths - whole, steps - whole)
        doubled = torch.ones(4, hidden, dtype=h_0.dtype, device=h_0.device)
        doubled[2] = 2.0
        doubled = doubled.view(-1, 1)

        # 1a. z_t = W_ih x_t + b, all t at once; the buffer becomes the gates     (T, B, 4H)
        gates = project(x, weight_ih * doubled, bias_ih * doubled[:, 0])
        w_hh = (weight_hh * doubled).t().contiguous()  # (H, 4H)
        h = h_0.new_empty(steps + 1, batch, hidden)  # h[t] is h_{t-1} of step t
        c = torch.empty_like(h)
        tanh_c = h_0.new_empty(steps, batch, hidden)
        h[0], c[0] = h_0, c_0

        minus_one = h_0.new_tensor(-1.0)
        over_time = zip(
            gates.unbind(0),
            *(gate.unbind(0) for gate in gates.chunk(4, dim=-1)),
            h[:-1].unbind(0),
            c[:-1].unbind(0),
            h[1:].unbind(0),
            c[1:].unbind(0),
            tanh_c.unbind(0),
            _insides(whole, mask),
            [None] * steps if update is None else update.expand(steps, batch, hidden).unbind(0),
            strict=True,
        )
        for z, i, f, g, o, h_before, c_before, h_t, c_t, tanh_c_t, inside, u in over_time:
            # 1b. z_t += W_hh h_{t-1}
            torch.addmm(z, h_before, w_hh, out=z)
            # 2. i, f, o = sigmoid(z);  g = tanh(z)
            z.sigmoid_()
            torch.add(minus_one, g, alpha=2, out=g)
            # 3. c_t = f_t * c_{t-1} + i_t * g_t
            torch.mul(f, c_before, out=c_t)
            c_t.addcmul_(i, g)
            if u is not None:  # zoneout: c_t = c_{t-1} + u_t * (that - c_{t-1})
                torch.lerp(c_before, c_t, u, out=c_t)
            # 4. h_t = o_t * tanh(c_t)
            torch.add(c_t, c_t, out=tanh_c_t)
            torch.add(minus_one, tanh_c_t.sigmoid_(), alpha=2, out=tanh_c_t)
            torch.mul(o, tanh_c_t, out=h_t)
            if inside is not None:  # a padded step leaves the state as it was
                torch.where(inside, h_t, h_before, out=h_t)
                torch.where(inside, c_t, c_before, out=c_t)

        h_n, c_n = h[-1].clone(), c[-1].clone()
        if mask is not None:  # the state has been carried through padding; the output is zero there
            h[1 + whole :].mul_(mask)
        ctx.whole = whole
        ctx.save_for_backward(x, weight_ih, weight_hh, gates, h, c, tanh_c, mask, update)
        return h[1:], h_n, c_n

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second("the manual LSTM")
        d_output, d_h_last, d_c_last = grads
        x, weight_ih, weight_hh, gates, h, c, tanh_c, mask, update = ctx.saved_tensors
        whole: int = ctx.whole
        steps, batch, hidden = tanh_c.shape
        i, f, g, o = gates.chunk(4, dim=-1)

        # Factors for all t at once: d_z_t = (factors of i, f, g) * d_c_t, (factor of o) * d_h_t
        d_z = torch.empty_like(gates)
        for_i, for_f, for_g, for_o = d_z.chunk(4, dim=-1)
        # 2'. sigmoid' = s (1 - s), one pass for i, f and o together; g's part is overwritten
        torch.addcmul(gates, gates, gates, value=-1, out=d_z)
        # 3'. d_i = d_c * g, d_f = d_c * c_{t-1}, d_g = d_c * i, the last times tanh' = 1 - g^2
        for_i.mul_(g)
        for_f.mul_(c[:-1])
        torch.addcmul(i, i * g, g, value=-1, out=for_g)
        # 3'. with zoneout u_t of d_c reaches the gates, and 1 - u_t goes past them to c_{t-1}
        f_to_before = f
        if update is not None:
            for part in (for_i, for_f, for_g):
                part.mul_(update)
            f_to_before = 1 + update * (f - 1)
        # 4'. d_o = d_h * tanh(c)
        for_o.mul_(tanh_c)
        # 4'. d_c += d_h * o * (1 - tanh(c)^2)
        h_to_c = torch.addcmul(o, h[1:], tanh_c, value=-1)
        d_outputs, fs = d_output.unbind(0), f_to_before.unbind(0)
        if mask is not None:  # a padded step has no gates: the gradient passes it untouched
            d_z[whole:].mul_(mask)
            h_to_c[whole:].mul_(mask)
            fs = fs[:whole] + torch.where(mask, f_to_before[whole:], 1.0).unbind(0)
            d_outputs = d_outputs[:whole] + (d_output[whole:] * mask).unbind(0)

        d_h, d_c = d_h_last.clone(), d_c_last.clone()
        d_c_wide = d_c.unsqueeze(1)
        back_in_time = zip(
            *(
                reversed(of_steps)
                for of_steps in (
                    d_outputs,
                    h_to_c.unbind(0),
                    d_z.unbind(0),
                    d_z.view(steps, batch, 4, hidden)[:, :, :3].unbind(0),
                    for_o.unbind(0),
                    fs,
                    _insides(whole, mask),
                )
            ),
            strict=True,
        )
        for d_output_t, h_to_c_t, d_z_t, d_z_ifg, d_z_o, f_t, inside in back_in_time:
            # 4'. the output of step t is read outside, and by step t + 1
            d_h.add_(d_output_t)
            d_c.addcmul_(d_h, h_to_c_t)
            # 2'. d_z_t, from the factors that stand in its place
            d_z_ifg.mul_(d_c_wide)
            d_z_o.mul_(d_h)
            # 3'. d_c_{t-1} = d_c_t * f_t
            d_c.mul_(f_t)
            # 1b'. d_h_{t-1} = d_z_t W_hh
            if inside is None:
                torch.mm(d_z_t, weight_hh, out=d_h)
            else:
                torch.where(inside, d_z_t @ weight_hh, d_h, out=d_h)

        # 1'. the weights are the same at every t: their gradients are one product over T * B
        d_z_flat = d_z.view(-1, 4 * hidden)
        d_weight_hh = d_z_flat.t() @ h[:-1].view(-1, hidden)
        d_bias = d_z_flat.sum(0)
        d_x, d_weight_ih = _project_backward(x, weight_ih, d_z_flat, ctx.needs_input_grad)
        return d_x, d_h, d_c, d_weight_ih, d_weight_hh, d_bias, None, None


def _insides(whole: int, mask: Tensor | None) -> list[Tensor | None]:
    """For each step (B, 1) bool, which sequences it is inside of; None where it is of all."""
    return [None] * whole + ([] if mask is None else list(mask.unbind(0)))


def _project_backward(
    x: Tensor, weight_ih: Tensor, d_z: Tensor, needs_grad: Sequence[bool]
) -> tuple[Tensor | None, Tensor]:
    """1a'. d_x (T, B, I), or None for ids, and d_weight_ih (4H, I), from d_z (T*B, 4H)."""
    if x.is_floating_point():
        d_x = (d_z @ weight_ih).view_as(x) if needs_grad[0] else None
        return d_x, d_z.t() @ x.reshape(d_z.shape[0], -1)
    # The transposed one-hot product: the rows of d_z are summed by the id that gathered them.
    d_columns = torch.ops.aten.embedding_dense_backward(
        d_z, x.reshape(-1), weight_ih.shape[1], -1, False
    )
    return None, d_columns.t()

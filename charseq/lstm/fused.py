"""The same numbered steps, compiled: ``csrc/layer.h``, between autograd and memory.

Tensors go in and come out as torch has them. What the forward pass keeps for the backward pass has
the order of the kernel: gates by blocks of ``lanes`` units, (T, B, blocks, 4, lanes), with H
rounded up to whole blocks. Notation as in ``manual.py``.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from charseq.errors import CharseqError
from charseq.lstm import kernel
from charseq.lstm.cell import State
from charseq.lstm.first_derivative import refuse_second
from charseq.lstm.tensors import call, kind_of, lanes_of, whole


def lstm(
    x: Tensor,
    state: State,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    lengths: Tensor | None = None,
    update: Tensor | float = 1.0,
    *,
    reverse: bool = False,
    bfloat16: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run one layer over a sequence; arguments and results as ``reference.lstm``.

    ``update``: a tensor holds ones and zeros alone.
    ``reverse``: the sequences are read from their ends, their outputs stay in place.
    ``bfloat16``: float32 states, but products of bfloat16, summed in float32.

    Raises:
        CharseqError: the weights are on no CPU or not float32 or float64; an argument is not of
            their type, or of a wrong shape; an id or a length is out of its range; the kernel is
            not to be had (``UnavailableError``); or the backward pass is itself to be
            differentiated.
    """
    keep = torch.is_grad_enabled() and any(
        tensor.requires_grad for tensor in (x, *state, weight_ih, weight_hh, bias_ih)
    )
    run: Callable[..., tuple[Tensor, Tensor, Tensor]] = _FusedLSTM.apply
    kind = kind_of(weight_hh, bfloat16=bfloat16)
    _check(x, state, weight_ih, weight_hh, bias_ih, lengths, update)
    return run(x, *state, weight_ih, weight_hh, bias_ih, lengths, update, reverse, kind, keep)


def _check(
    x: Tensor,
    state: State,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    lengths: Tensor | None,
    update: Tensor | float,
) -> None:
    """The kernel sees addresses alone: another type or shape would read somebody else's memory."""
    hidden, inputs = weight_hh.shape[-1], weight_ih.shape[-1]
    if x.dim() < 2 or 0 in x.shape[:2]:
        raise CharseqError(f"LSTM: x is {tuple(x.shape)}; T and B are at least 1")
    steps, batch = x.shape[:2]
    wanted = {
        "weight_hh": (weight_hh, (4 * hidden, hidden)),
        "weight_ih": (weight_ih, (4 * hidden, inputs)),
        "bias_ih": (bias_ih, (4 * hidden,)),
        "h_0": (state[0], (batch, hidden)),
        "c_0": (state[1], (batch, hidden)),
    }
    if isinstance(update, Tensor):
        wanted["update"] = (update, (steps, batch, hidden))
    if x.is_floating_point():
        wanted["x"] = (x, (steps, batch, inputs))
    elif x.dtype != torch.int64 or x.dim() != 2:
        raise CharseqError(f"LSTM: x is {x.dtype} {tuple(x.shape)}, not int64 ids (T, B)")
    if lengths is not None and lengths.shape != (batch,):
        raise CharseqError(f"LSTM: lengths is {tuple(lengths.shape)}, not ({batch},)")
    for name, (tensor, shape) in wanted.items():
        if tensor.dtype != weight_hh.dtype:
            raise CharseqError(f"LSTM: {name} is {tensor.dtype}, not {weight_hh.dtype}")
        if tensor.shape != shape:
            found = f"{tensor.dtype} {tuple(tensor.shape)}"
            raise CharseqError(f"LSTM: {name} is {found}, not {shape}")


class _FusedLSTM(torch.autograd.Function):
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
        update: Tensor | float,
        reverse: bool,
        kind: str,
        keep: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        x, h_0, c_0, weight_ih, weight_hh, bias_ih = (
            part.contiguous() for part in (x, h_0, c_0, weight_ih, weight_hh, bias_ih)
        )
        if lengths is not None:
            lengths = lengths.to(torch.int64).contiguous()
        steps, (batch, hidden) = x.shape[0], h_0.shape
        gates = c = None
        if keep:
            wide = whole(hidden, lanes_of(weight_hh))
            gates = h_0.new_empty(steps, batch, 4 * wide)
            c = h_0.new_empty(steps, batch, wide)
        # h_{t-1} of every step stands before h_t (in reverse behind it), that of the first too
        h = h_0.new_empty(steps + 1, batch, hidden)
        h_n, c_n = torch.empty_like(h_0), torch.empty_like(c_0)
        call(
            kind,
            "forward",
            kernel.Layer,
            **_given(x, h_0, c_0, weight_ih, weight_hh, lengths, reverse),
            bias=bias_ih,
            updates=update.contiguous() if isinstance(update, Tensor) else None,
            update=1.0 if isinstance(update, Tensor) else update,
            keep=keep,
            gates=gates,
            c=c,
            h=h,
            h_n=h_n,
            c_n=c_n,
        )
        if keep:
            ctx.kind, ctx.reverse = kind, reverse
            ctx.update = 1.0 if isinstance(update, Tensor) else update  # the gates are kept with it
            ctx.save_for_backward(x, h_0, c_0, weight_ih, weight_hh, lengths, gates, h, c)
        return h[:-1] if reverse else h[1:], h_n, c_n

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second("the fused LSTM")
        d_output, d_h_n, d_c_n = (grad.contiguous() for grad in grads)
        x, h_0, c_0, weight_ih, weight_hh, lengths, gates, h, c = ctx.saved_tensors
        wants_d_x = x.is_floating_point() and ctx.needs_input_grad[0]
        d_x = torch.empty_like(x) if wants_d_x else None
        d_h_0, d_c_0, d_weight_ih, d_weight_hh = map(
            torch.empty_like, (h_0, c_0, weight_ih, weight_hh)
        )
        d_bias = weight_hh.new_empty(len(weight_hh))
        call(
            ctx.kind,
            "backward",
            kernel.Layer,
            **_given(x, h_0, c_0, weight_ih, weight_hh, lengths, ctx.reverse),
            update=ctx.update,
            gates=gates,
            c=c,
            h=h,
            d_output=d_output,
            d_h_n=d_h_n,
            d_c_n=d_c_n,
            d_x=d_x,
            d_h_0=d_h_0,
            d_c_0=d_c_0,
            d_weight_ih=d_weight_ih,
            d_weight_hh=d_weight_hh,
            d_bias=d_bias,
        )
        return d_x, d_h_0, d_c_0, d_weight_ih, d_weight_hh, d_bias, *[None] * 5


def _given(
    x: Tensor,
    h_0: Tensor,
    c_0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    lengths: Tensor | None,
    reverse: bool,
) -> dict[str, Any]:
    """What both passes are told of a layer."""
    return {
        "steps": x.shape[0],
        "batch": x.shape[1],
        "units": h_0.shape[1],
        "inputs": weight_ih.shape[1],
        "reverse": reverse,
        "lengths": lengths,
        "x" if x.is_floating_point() else "ids": x,
        "weight_ih": weight_ih,
        "weight_hh": weight_hh,
        "h_0": h_0,
        "c_0": c_0,
    }

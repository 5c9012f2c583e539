"""The same numbered steps, compiled: ``csrc/layer.h`` walks through time, torch makes the rest.

What remains here is the order in memory. The kernel lays the gates out by blocks of ``lanes``
units, (T, B, blocks, 4, lanes), with H rounded up to whole blocks, so weights are brought into that
order before a pass, and their gradients out of it afterwards. Notation as in ``manual.py``.
"""

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from charseq.errors import CharseqError
from charseq.lstm import kernel
from charseq.lstm.cell import State
from charseq.lstm.tensors import address, call, kind_of, lanes_of, pack, threads, whole


def lstm(
    x: Tensor,
    state: State,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    lengths: Tensor | None = None,
    *,
    reverse: bool = False,
    bfloat16: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run one layer over a sequence; arguments and results as ``reference.lstm``.

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
    _check(x, state, weight_ih, weight_hh, bias_ih, lengths)
    return run(x, *state, weight_ih, weight_hh, bias_ih, lengths, reverse, kind, keep)


def _check(
    x: Tensor,
    state: State,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    lengths: Tensor | None,
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
        reverse: bool,
        kind: str,
        keep: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        run = functools.partial(call, kind)
        lanes = lanes_of(weight_hh)
        steps, (batch, hidden) = x.shape[0], h_0.shape
        wide = whole(hidden, lanes)
        x, from_ids = x.contiguous(), not x.is_floating_point()

        # 1a. W_ih x_t + b: of features for all t at once, of symbols once for each symbol
        bias = _to_blocks(bias_ih[:, None], lanes)[:, 0]
        table = None
        gates = h_0.new_empty((steps, batch, 4 * wide) if keep or not from_ids else 0)
        if from_ids:
            table = _to_blocks(weight_ih, lanes).t().contiguous() + bias  # (V, 4 wide)
        else:
            weights = pack("forward", kind, weight_ih, gates=4)
            run("product", steps * batch, x.shape[2], 4 * wide, x, weights, bias, threads(), gates)
        new = h_0.new_empty if lengths is None else h_0.new_zeros
        h = new(steps + 1, batch, hidden)
        # h_{t-1} of every step stands before h_t (in reverse behind it): so 1' is one product
        output = h[:-1] if reverse else h[1:]
        first = h[-1] if reverse else h[0]
        starts_ragged = reverse and lengths is not None
        if not starts_ragged:
            first.copy_(h_0)
        h_0 = h_0.contiguous()
        c = h_0.new_empty((steps, batch, wide) if keep else (batch, wide))
        c_0 = _widen(c_0, wide)
        if lengths is not None:
            lengths = lengths.to(torch.int64).contiguous()
        weights = pack("forward", kind, weight_hh, gates=4)
        layer = _layer(
            (steps, batch, hidden),
            reverse=reverse,
            symbols=weight_ih.shape[1],
            lengths=lengths,
            ids=x if from_ids else None,
            table=table,
            weights=weights,
            h_0=h_0,
            c_0=c_0,
            gates=gates,
            c=c,
            output=output,
            keep=keep,
        )
        run("forward", ctypes.byref(layer))

        if lengths is None:
            last = 0 if reverse else steps - 1
            h_n, c_n = output[last].clone(), c[last] if keep else c
        else:
            rows = torch.arange(batch)
            last_t = torch.zeros_like(lengths) if reverse else lengths - 1
            h_n, c_n = output[last_t, rows], c[last_t, rows] if keep else c
        c_n = c_n[:, :hidden].clone()
        if keep:
            ctx.kind, ctx.reverse, ctx.wide = kind, reverse, wide
            ctx.save_for_backward(x, h_0, c_0, weight_ih, weight_hh, lengths, gates, h, c)
        return output, h_n, c_n

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # autograd records backward only to differentiate it again
            raise CharseqError(
                "the fused LSTM has a first derivative only: for second derivatives"
                " (create_graph=True) use backend='reference'"
            )
        d_output, d_h_last, d_c_last = grads
        x, h_0, c_0, weight_ih, weight_hh, lengths, gates, h, c = ctx.saved_tensors
        reverse, wide, run = ctx.reverse, ctx.wide, functools.partial(call, ctx.kind)
        steps, batch, hidden = d_output.shape
        d_output = d_output.contiguous()
        d_h, d_c = (_widen(part, wide, copy=True) for part in (d_h_last, d_c_last))
        d_z = gates.new_empty(steps, batch, 4 * wide)
        if lengths is not None:
            d_z.zero_()
        weights = pack("backward", ctx.kind, weight_hh, gates=4)
        layer = _layer(
            (steps, batch, hidden),
            reverse=reverse,
            lengths=lengths,
            weights=weights,
            c_0=c_0,
            gates=gates,
            c=c,
            d_output=d_output,
            d_h=d_h,
            d_c=d_c,
            d_z=d_z,
            keep=True,
        )
        run("backward", ctypes.byref(layer))

        # 1'. the weights are the same at every t: their gradients are one product over T * B
        rows = steps * batch
        before = h[1:] if reverse else h[:-1]
        d_weight_hh = torch.empty_like(weight_hh, memory_format=torch.contiguous_format)
        sizes = rows, 4 * wide, hidden, 4
        run("weight_gradient", *sizes, hidden, d_z, before, threads(), d_weight_hh, None)
        if reverse and lengths is not None:  # where a sequence begins, h holds the zeros of padding
            first = d_z[lengths - 1, torch.arange(batch)]
            d_weight_hh.addmm_(_from_blocks(first.t(), hidden, lanes_of(h)), h_0)
        d_x = None
        if x.is_floating_point():
            inputs = x.shape[2]
            d_weight_ih = torch.empty_like(weight_ih, memory_format=torch.contiguous_format)
            d_bias = h.new_empty(4 * hidden)
            run("weight_gradient", *sizes, inputs, d_z, x, threads(), d_weight_ih, d_bias)
            if ctx.needs_input_grad[0]:
                d_x = torch.empty_like(x)
                weights = pack("backward", ctx.kind, weight_ih, gates=4)
                run("product", rows, 4 * wide, inputs, d_z, weights, None, threads(), d_x)
        else:
            d_table = h.new_zeros(weight_ih.shape[1], 4 * wide)
            run("sum_by_id", d_z, x, rows, 4 * wide, threads(), d_table)
            d_weight_ih = _from_blocks(d_table.t(), hidden, lanes_of(h))
            d_bias = d_weight_ih.sum(1)
        return (
            d_x,
            d_h[:, :hidden],
            d_c[:, :hidden],
            d_weight_ih,
            d_weight_hh,
            d_bias,
            *[None] * 4,
        )


def _layer(sizes: tuple[int, int, int], **fields: Any) -> kernel.Layer:
    """What the kernel is told of a layer of (T, B, H): numbers, and the addresses of tensors."""
    steps, batch, units = sizes
    told = {name: address(field) for name, field in fields.items()}
    return kernel.Layer(steps=steps, batch=batch, units=units, threads=threads(), **told)


def _to_blocks(weight: Tensor, lanes: int) -> Tensor:
    """(4H, N) by gates to (4 wide, N) by blocks: (blocks, 4, lanes, N)."""
    hidden = weight.shape[0] // 4
    by_gate = weight.reshape(4, hidden, -1)
    by_gate = nn.functional.pad(by_gate, (0, 0, 0, whole(hidden, lanes) - hidden))
    by_block = by_gate.view(4, -1, lanes, by_gate.shape[2]).transpose(0, 1)
    return by_block.flatten(0, 2)


def _from_blocks(weight: Tensor, hidden: int, lanes: int) -> Tensor:
    """The inverse of ``_to_blocks``."""
    by_block = weight.reshape(-1, 4, lanes, weight.shape[1])
    return by_block.transpose(0, 1).flatten(1, 2)[:, :hidden].flatten(0, 1)


def _widen(state: Tensor, wide: int, *, copy: bool = False) -> Tensor:
    """(B, H) to (B, wide), zeros behind H, contiguous; a tensor of its own where ``copy``."""
    if state.shape[1] != wide:
        return nn.functional.pad(state, (0, wide - state.shape[1]))
    return state.clone(memory_format=torch.contiguous_format) if copy else state.contiguous()

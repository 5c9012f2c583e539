"""The output layer with the cross-entropy of its softmax, compiled: ``csrc/cross_entropy.h``.

    z = W x + b    p = softmax(z)    loss = -sum_v q_v log p_v    d_z = p - q

where q is 1 for the target; with label smoothing e, 1 - e + e / V for it, e / V for the others
(Szegedy et al. 2016, section 7). The logits z become d_z while they are in the cache: torch passes
over the (N, V) of them five times, and multiplies matrices of few columns slowly.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from charseq.errors import CharseqError
from charseq.lstm import kernel
from charseq.lstm.first_derivative import refuse_second
from charseq.lstm.tensors import call, kind_of, lanes_of, whole


def linear_cross_entropy(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    label_smoothing: float = 0.0,
    *,
    bfloat16: bool = False,
) -> Tensor:
    """``cross_entropy(linear(x, weight, bias), targets, reduction="sum")``, in nats.

    ``x``: (N, H); ``weight``: (V, H); ``bias``: (V,); ``targets``: (N,) int64.
    ``bfloat16``: float32 numbers, but products of bfloat16, summed in float32.

    Raises:
        CharseqError: the weights are on no CPU or not float32 or float64; an argument is not of
            their type, or of a wrong shape; a target is not in 0 to V - 1; the kernel is not to be
            had (``UnavailableError``); or the backward pass is itself to be differentiated.
    """
    kind = kind_of(weight, bfloat16=bfloat16)
    symbols, inputs = weight.shape
    wanted = {"x": (x, (len(x), inputs)), "bias": (bias, (symbols,))}
    for name, (tensor, shape) in wanted.items():
        if tensor.dtype != weight.dtype or tensor.shape != shape:
            found = f"{tensor.dtype} {tuple(tensor.shape)}"
            raise CharseqError(f"cross-entropy: {name} is {found}, not {weight.dtype} {shape}")
    if targets.dtype != torch.int64 or targets.shape != x.shape[:1]:
        found = f"{targets.dtype} {tuple(targets.shape)}"
        raise CharseqError(f"cross-entropy: targets is {found}, not torch.int64 ({len(x)},)")
    run: Callable[..., Tensor] = _LinearCrossEntropy.apply
    return run(x, weight, bias, targets, label_smoothing, kind)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        label_smoothing: float,
        kind: str,
    ) -> Tensor:
        x, weight, bias, targets = (part.contiguous() for part in (x, weight, bias, targets))
        d_logits = x.new_empty(len(x), whole(len(weight), lanes_of(weight)))
        loss = ctypes.c_double()
        call(
            kind,
            "cross_entropy",
            kernel.CrossEntropy,
            ctypes.byref(loss),
            **_given(x, weight, d_logits),
            bias=bias,
            targets=targets,
            smoothing=label_smoothing,
        )
        ctx.kind = kind
        ctx.save_for_backward(x, weight, d_logits)
        return x.new_tensor(loss.value)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second("the fused cross-entropy")
        (d_loss,) = grads
        x, weight, d_logits = ctx.saved_tensors
        d_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        d_weight, d_bias = torch.empty_like(weight), weight.new_empty(len(weight))
        call(
            ctx.kind,
            "cross_entropy_backward",
            kernel.CrossEntropy,
            **_given(x, weight, d_logits),
            d_loss=d_loss.item(),
            d_x=d_x,
            d_weight=d_weight,
            d_bias=d_bias,
        )
        return d_x, d_weight, d_bias, None, None, None


def _given(x: Tensor, weight: Tensor, d_logits: Tensor) -> dict[str, Any]:
    """What both passes are told."""
    (rows, inputs), symbols = x.shape, len(weight)
    sizes = {"rows": rows, "inputs": inputs, "symbols": symbols}
    return {**sizes, "x": x, "weight": weight, "d_logits": d_logits}

"""In what numbers a training step multiplies."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from charseq.errors import CharseqError
from charseq.lstm import kernel
from charseq.lstm.layer import LSTM


def use_precision(
    model: nn.Module, precision: str, device: torch.device
) -> AbstractContextManager[object]:
    """Prepare a model for ``train.precision``; gives the context in which to compute a loss.

    bf16 on a CPU is a matter of the LSTM's kernel, in training only; on a GPU torch's autocast.

    Raises:
        CharseqError: the processor, or the backend that was chosen, has no products of bfloat16.
    """
    if precision == "fp32":
        return nullcontext()
    if device.type == "cuda":
        return torch.autocast("cuda", torch.bfloat16)
    for lstm in (module for module in model.modules() if isinstance(module, LSTM)):
        why = _why_not(lstm.resolve_backend(device))
        if why:
            raise CharseqError(f"train.precision: bf16 cannot be used: {why}; use fp32")
        lstm.bfloat16_products = True
    return nullcontext()


def _why_not(backend: str) -> str | None:
    if kernel.why_not():
        return f"it needs backend fused, and {kernel.why_not()}"
    if backend != "fused":
        return f"it needs backend fused, not {backend}"
    if "bfloat16" not in kernel.load().kinds:
        return "this processor has no AVX512-BF16"
    return None

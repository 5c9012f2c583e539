"""In what numbers a training step multiplies."""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import nn

from charseq.errors import CharseqError
from charseq.lstm import kernel
from charseq.lstm.layer import LSTM


def resolve_precision(
    model: nn.Module, wanted: str, device: torch.device
) -> Literal["fp32", "bf16"]:
    """What ``train.precision`` means for this model on this machine.

    Raises:
        CharseqError: bf16 is wanted, and the processor, or the backend that was chosen, has no
            products of bfloat16.
    """
    if wanted == "fp32":
        return "fp32"
    why = _why_not(model, device)
    if why and wanted == "bf16":
        raise CharseqError(f"train.precision: bf16 cannot be used: {why}; use fp32, or auto")
    return "fp32" if why else "bf16"


def use_precision(
    model: nn.Module, precision: Literal["fp32", "bf16"], device: torch.device
) -> AbstractContextManager[object]:
    """Prepare a model for what was resolved; gives the context in which to compute a loss.

    bf16 is a matter of the LSTM, in training only; on a GPU all else is under torch's autocast.
    """
    for lstm in _lstms(model):
        lstm.bfloat16_products = precision == "bf16"
    if precision == "bf16" and device.type == "cuda":
        return torch.autocast("cuda", torch.bfloat16)
    return nullcontext()


def _lstms(model: nn.Module) -> list[LSTM]:
    return [module for module in model.modules() if isinstance(module, LSTM)]


def _why_not(model: nn.Module, device: torch.device) -> str | None:
    if device.type == "cuda":
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return None if has_bf16 else "this GPU has no products of bfloat16"
    if kernel.why_not():
        return f"it needs backend fused, and {kernel.why_not()}"
    for lstm in _lstms(model):
        if (backend := lstm.resolve_backend(device)) != "fused":
            return f"it needs backend fused, not {backend}"
    if "bfloat16" not in kernel.load().kinds:
        return "this processor has no AVX512-BF16"
    return None

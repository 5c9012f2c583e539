"""Where a NaN or an infinity came from: which weight, which gradient, which gate, when."""

import torch
from torch import Tensor

from charseq.lstm.cell import Gates, State
from charseq.lstm.layer import LSTM
from charseq.models.language_model import LanguageModel


@torch.no_grad()
def diagnose(model: LanguageModel, inputs: Tensor, state: State | None) -> str:
    """Describe, line by line, what is not finite. ``inputs``: ids (T, B) of the batch.

    The gradients that stand in the parameters are those of the last backward pass, not clipped.
    """
    lines = []
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            lines.append(f"weights that are not finite: {name}{_gates(parameter, name)}")
    first = _first_bad_gate(model.lstm, inputs, state)
    if first:
        lines.append(f"first in the forward pass: {first}")
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            norm = parameter.grad.norm().item()
            lines.append(f"gradient norm {norm:9.3g}  {name}{_gates(parameter.grad, name)}")
    return "\n".join(lines)


def _gates(tensor: Tensor, name: str) -> str:
    """Which gates' rows of an LSTM parameter are not finite."""
    if not name.startswith("lstm.") or tensor.isfinite().all():
        return ""
    rows = dict(zip(Gates._fields, tensor.chunk(4), strict=True))
    bad = [gate for gate, part in rows.items() if not part.isfinite().all()]
    return f" (gates {', '.join(bad)})"


def _first_bad_gate(lstm: LSTM, inputs: Tensor, state: State | None) -> str | None:
    state = lstm.zero_state(inputs.shape[1]) if state is None else state
    for name, part in zip(("h_0", "c_0"), state, strict=True):
        if not part.isfinite().all():
            return f"the carried state {name}"
    for t, ids in enumerate(inputs):
        _, state, layers = lstm.step(ids, state)
        for layer, gates in enumerate(layers):
            named = {**gates._asdict(), "c": state[1][layer], "h": state[0][layer]}
            for name, value in named.items():
                if not value.isfinite().all():
                    return f"{name} of layer {layer} at time step {t}"
    return None

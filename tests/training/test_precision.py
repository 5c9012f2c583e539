"""What train.precision means on this machine, and on one that has no products of bfloat16."""

import pytest
import torch

from charseq.errors import CharseqError
from charseq.lstm import kernel
from charseq.lstm.layer import LSTM
from charseq.training.precision import resolve_precision, use_precision

CPU = torch.device("cpu")


@pytest.mark.kernel("avx512_bf16")
def test_auto_takes_bfloat16_where_the_processor_has_it() -> None:
    lstm = LSTM(5, 16)
    assert resolve_precision(lstm, "auto", CPU) == "bf16"
    use_precision(lstm, "bf16", CPU)
    ids = torch.randint(5, (7, 3))
    rounded = lstm(ids)[0]
    use_precision(lstm, "fp32", CPU)
    exact = lstm(ids)[0]
    error = (rounded - exact).abs().max().item()
    assert 1e-6 < error < 2e-2  # bfloat16 has 8 bits: it was used, and then no longer


@pytest.mark.parametrize("backend", ["manual", "reference", "torch"])
def test_auto_means_float32_where_there_is_none(backend: str) -> None:
    lstm = LSTM(5, 16, backend=backend)
    assert resolve_precision(lstm, "auto", CPU) == "fp32"
    with pytest.raises(CharseqError, match=f"not {backend}; use fp32, or auto"):
        resolve_precision(lstm, "bf16", CPU)


def test_without_a_kernel_auto_means_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "why_not", lambda: "there is no compiler")
    lstm = LSTM(5, 16)
    assert resolve_precision(lstm, "auto", CPU) == "fp32"
    with pytest.raises(CharseqError, match="there is no compiler; use fp32, or auto"):
        resolve_precision(lstm, "bf16", CPU)

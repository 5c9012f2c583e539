"""A model that writes, step by step in torch: on a GPU, or where the kernel is not to be had."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charseq.errors import CharseqError
from charseq.inference.decode import Writer
from charseq.inference.distribution import tempered
from charseq.inference.evaluate import reading
from charseq.lstm.cell import State
from charseq.lstm.kernel import UnavailableError
from charseq.lstm.stream import Stream
from charseq.lstm.tensors import DTYPES
from charseq.models.language_model import LanguageModel
from charseq.models.protocol import SequenceModel


def open_stream(model: LanguageModel, *, bfloat16: bool = False) -> Writer:
    """A writer of an empty text: the kernel's where it can be had for the model, else torch's.

    Raises:
        CharseqError: ``bfloat16`` is asked for, which the kernel alone has, and it cannot be had.
    """
    why = "the kernel computes on a CPU, in float32"
    if model.device.type == "cpu" and model.output.weight.dtype in DTYPES:
        try:
            weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
            return Stream(weights, bfloat16=bfloat16)
        except UnavailableError as error:
            why = str(error)
    if bfloat16:
        raise CharseqError(f"precision: bf16 cannot be used: {why}; use fp32")
    return TorchStream(model)


class TorchStream:
    """As ``lstm.stream.Stream``, in torch. Draws are made on the CPU, in float64."""

    def __init__(self, model: SequenceModel) -> None:
        self._model = model
        self._state: State
        self.symbols = model.vocab_size
        self.logits: NDArray[Any] = np.zeros(self.symbols)
        self.read(np.empty(0))

    def read(self, ids: NDArray[Any]) -> None:
        """Take the first symbols of a text, writing nothing."""
        prompt = torch.from_numpy(np.append(ids, 0).astype(np.int64))  # what is last is not read
        with reading(self._model):
            _, self._state = self._model.begin(prompt[:, None].to(self._model.device))

    def write(
        self,
        symbol: int,
        uniforms: NDArray[np.float64],
        *,
        temperature: float,
        top_k: int | None = None,
        top_p: float | None = None,
        never: int | None = None,
    ) -> NDArray[np.int64]:
        """See ``Stream.write``."""
        written: list[int] = []
        with torch.inference_mode():
            for u in uniforms:
                ids = torch.tensor([symbol], device=self._model.device)
                logits, self._state = self._model.step(ids, self._state)
                scores = logits[0].double().cpu()
                if never is not None:
                    scores[never] = -math.inf
                self.logits = scores.numpy()
                if not scores.max().isfinite():  # NaN wins every comparison here
                    break
                symbol = _draw(tempered(scores[None], temperature, top_k, top_p)[0], u)
                written.append(symbol)
        return np.array(written, np.int64)


def _draw(log_p: Tensor, uniform: float) -> int:
    """One symbol, by inverting the cumulative distribution; a symbol of probability 0 never."""
    cumulative = log_p.exp().cumsum(0)
    return int(torch.searchsorted(cumulative, uniform * cumulative[-1], right=True))

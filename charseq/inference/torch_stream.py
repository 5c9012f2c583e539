"""A model that writes, step by step in torch: on a GPU, or where the kernel is not to be had."""

import copy
import math
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charseq.errors import CharseqError
from charseq.inference.decode import BatchWriter
from charseq.inference.distribution import draw, tempered
from charseq.inference.evaluate import reading
from charseq.lstm.cell import State
from charseq.lstm.compiler import UnavailableError
from charseq.lstm.drawing import Drawing
from charseq.lstm.stream import Stream
from charseq.lstm.tensors import DTYPES
from charseq.models.language_model import LanguageModel
from charseq.models.protocol import SequenceModel


def open_stream(model: LanguageModel, *, bfloat16: bool = False) -> BatchWriter:
    """A writer of an empty text: the kernel's where it can be had for the model, else torch's.

    Raises:
        CharseqError: ``bfloat16`` is asked for, which the kernel alone has, and it cannot be had.
    """
    why = "the kernel computes on a CPU, in float32"
    if model.device.type == "cpu" and model.output.weight.dtype in DTYPES:
        try:
            weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
            return Stream(weights, bfloat16=bfloat16, zoneout=model.lstm.zoneout)
        except UnavailableError as error:
            why = str(error)
    if bfloat16:
        raise CharseqError(f"precision: bf16 cannot be used: {why}; use fp32")
    return TorchStream(model)


class TorchStream:
    """As ``lstm.stream.Stream``, in torch. Draws are made on the CPU, in float64."""

    ready = None

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

    def copies(self, count: int) -> Self:
        """See ``Stream.copies``."""
        h, c = self._state
        return self._from(h.expand(-1, count, -1), c.expand(-1, count, -1))

    def without_first(self, count: int) -> Self:
        """See ``Stream.without_first``."""
        h, c = self._state
        return self._from(h[:, count:], c[:, count:])

    def write(
        self,
        symbols: NDArray[np.int64],
        uniforms: NDArray[np.float64],
        drawing: Drawing,
        never: int | None = None,
    ) -> NDArray[np.int64]:
        """See ``Stream.write``."""
        written = np.empty(uniforms.shape, np.int64)
        ids = torch.from_numpy(symbols).to(self._model.device)
        with torch.inference_mode():
            for done, numbers in enumerate(torch.from_numpy(uniforms)):
                logits, self._state = self._model.step(ids, self._state)
                scores = logits.double().cpu()
                if never is not None:
                    scores[:, never] = -math.inf
                self.logits = scores.numpy() if len(scores) > 1 else scores[0].numpy()
                if not scores.amax(-1).isfinite().all():  # NaN wins every comparison here
                    return written[:done]
                drawn = draw(tempered(scores, drawing), numbers)
                written[done] = drawn.numpy()
                ids = drawn.to(self._model.device)
        return written

    def _from(self, h: Tensor, c: Tensor) -> Self:
        other = copy.copy(self)
        other._state = (h.contiguous(), c.contiguous())
        return other

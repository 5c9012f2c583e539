"""A language model that writes, one symbol at a time, in the compiled kernel: no torch in here.

A step of a small model takes a microsecond or two in ``csrc/stream.h``, which reads, draws and
reads what it drew; a loop in Python would take most of its time for itself.
"""

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charseq.errors import CharseqError
from charseq.lstm import kernel

Array = NDArray[np.float32] | NDArray[np.float64]


class Stream:
    """The state and the packed weights of one text that is being written.

    Args:
        weights: a ``LanguageModel``'s, by the names of its ``state_dict``, all float32 or float64.
        bfloat16: multiply bfloat16 numbers, summed in float32.
        threads: at most so many; a small model is fastest with one.

    Raises:
        UnavailableError: the kernel is not to be had here.
    """

    def __init__(
        self, weights: Mapping[str, Array], *, bfloat16: bool = False, threads: int = 1
    ) -> None:
        self._kernel = kernel.load()
        self._kind = "bfloat16" if bfloat16 else str(weights["output.weight"].dtype)
        if self._kind not in self._kernel.kinds:
            raise kernel.UnavailableError(f"there is no kernel for {self._kind} on this processor")
        self._dtype = weights["output.weight"].dtype
        self._lanes = self._kernel.vector_bytes // self._dtype.itemsize
        self.symbols, self._units = weights["output.weight"].shape
        self._wide = self._ceil(self._units)
        self._layers = sum(name.startswith("lstm.weight_hh_l") for name in weights)

        w_ih = weights["lstm.weight_ih_l0"]
        if "embedding.weight" in weights:  # what an embedding says to the gates, symbol by symbol
            w_ih = w_ih @ weights["embedding.weight"].T
        biases = [self._blocks(weights[f"lstm.bias_ih_l{n}"][:, None]) for n in range(self._layers)]
        table = np.ascontiguousarray((self._blocks(w_ih) + biases[0]).T)  # (V, 4 wide)
        above = [np.ascontiguousarray(bias[:, 0]) for bias in biases[1:]]
        w_above = [self._pack(weights[f"lstm.weight_ih_l{n}"]) for n in range(1, self._layers)]
        w_hh = [self._pack(weights[f"lstm.weight_hh_l{n}"]) for n in range(self._layers)]
        w_out = self._empty(self._ceil(self.symbols) * self._ceil(self._units))
        out = np.ascontiguousarray(weights["output.weight"])
        self._call("pack_rows", out, self.symbols, self._units, w_out)
        bias_out = np.zeros(self._ceil(self.symbols), self._dtype)
        bias_out[: self.symbols] = weights["output.bias"]
        self.h = np.zeros((self._layers, self._wide), self._dtype)
        self.c = np.zeros_like(self.h)
        self._logits = np.zeros(self._ceil(self.symbols), self._dtype)
        lists = [_addresses(arrays) for arrays in (above, w_above, w_hh)]
        self._kept = [table, above, w_above, w_hh, w_out, bias_out]  # the kernel has addresses only
        self._fields = kernel.Stream(
            layers=self._layers,
            units=self._units,
            symbols=self.symbols,
            threads=threads if self._kernel.threaded else 1,
            table=table.ctypes.data,
            biases=ctypes.cast(lists[0], ctypes.c_void_p),
            weight_ih=ctypes.cast(lists[1], ctypes.c_void_p),
            weight_hh=ctypes.cast(lists[2], ctypes.c_void_p),
            weight_out=w_out.ctypes.data,
            bias_out=bias_out.ctypes.data,
            h=self.h.ctypes.data,
            c=self.c.ctypes.data,
            logits=self._logits.ctypes.data,
        )
        self._lists = lists

    @property
    def logits(self) -> Array:
        """What the model foresaw for the last symbol written, (V,)."""
        return self._logits[: self.symbols].copy()

    def read(self, ids: NDArray[Any]) -> None:
        """Take symbols into the state, writing nothing."""
        for symbol in ids:
            self.write(int(symbol), np.zeros(1), temperature=0.0)

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
        """Read ``symbol`` and write as many as there are ``uniforms``, each below 1, to draw with.

        The settings are those of ``inference.distribution.tempered``; ``never`` is a symbol that is
        not to be written. The last symbol is not read yet: give it to the next call.

        Raises:
            CharseqError: the model gives NaN, or an infinite largest logit.
        """
        if not 0 <= symbol < self.symbols:
            raise CharseqError(f"symbol {symbol} is not in 0 to {self.symbols - 1}")
        fields = self._fields
        fields.temperature, fields.top_p = temperature, 1.0 if top_p is None else top_p
        fields.top_k, fields.never = top_k or 0, -1 if never is None else never
        uniforms = np.ascontiguousarray(uniforms, np.float64)
        written = np.empty(len(uniforms), np.int64)
        done = self._kernel.write(
            self._kind,
            ctypes.byref(fields),
            symbol,
            len(uniforms),
            uniforms.ctypes.data,
            written.ctypes.data,
        )
        if done < len(uniforms):
            raise CharseqError(
                f"the model's largest output is {self.logits.max()}: its weights are damaged or its"
                " training diverged; take an earlier checkpoint"
            )
        return written

    def _call(self, name: str, *arguments: Any) -> None:
        addresses = [a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments]
        self._kernel.call(name, self._kind, *addresses)

    def _ceil(self, count: int) -> int:
        return -(-count // self._lanes) * self._lanes

    def _empty(self, count: int) -> NDArray[Any]:
        return np.empty(count, np.uint16 if self._kind == "bfloat16" else self._dtype)

    def _pack(self, weight: Array) -> NDArray[Any]:
        """W (4H, I), in the order in which the kernel multiplies with it."""
        inputs = weight.shape[1]
        packed = self._empty(4 * self._wide * self._ceil(inputs))
        rows = np.ascontiguousarray(weight)
        self._call("pack_forward", rows, self._units, inputs, 1, packed)
        return packed

    def _blocks(self, weight: NDArray[Any]) -> NDArray[Any]:
        """(4H, N) by gates to (4 wide, N) by blocks of units, as ``fused._to_blocks``."""
        by_gate = weight.reshape(4, self._units, -1)
        by_gate = np.pad(by_gate, ((0, 0), (0, self._wide - self._units), (0, 0)))
        by_block = by_gate.reshape(4, -1, self._lanes, by_gate.shape[2]).swapaxes(0, 1)
        return by_block.reshape(4 * self._wide, -1)


def _addresses(arrays: list[NDArray[Any]]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * max(len(arrays), 1))(*(array.ctypes.data for array in arrays))

"""A language model that writes, one symbol at a time, in the compiled kernel: no torch in here.

A step of a small model takes a microsecond or two in ``csrc/stream.h``, which reads, draws and
reads what it drew; a loop in Python would take most of its time for itself.
"""

import copy
import ctypes
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from charseq.errors import CharseqError
from charseq.lstm import kernel
from charseq.lstm.compiler import UnavailableError
from charseq.lstm.drawing import Drawing
from charseq.lstm.threads import told_threads, usable_cores

Array = NDArray[np.float32] | NDArray[np.float64]

BYTES_OF_A_THREAD = 1 << 20  # of weights; with fewer, threads wait for each other all the time
MOST_THREADS = 8
_LIKELIEST = np.zeros((1, 1))  # a number to draw with, for a step whose symbol nobody wants


def weight_shapes(
    symbols: int, units: int, layers: int, embedding: int | None
) -> dict[str, tuple[int, ...]]:
    """The shapes of a ``LanguageModel``'s weights, by their names in its ``state_dict``."""
    shapes: dict[str, tuple[int, ...]] = {}
    if embedding is not None:
        shapes["embedding.weight"] = (symbols, embedding)
    for layer in range(layers):
        inputs = units if layer else embedding or symbols
        shapes[f"lstm.weight_ih_l{layer}"] = (4 * units, inputs)
        shapes[f"lstm.weight_hh_l{layer}"] = (4 * units, units)
        shapes[f"lstm.bias_ih_l{layer}"] = (4 * units,)
    return shapes | {"output.weight": (symbols, units), "output.bias": (symbols,)}


def diverged(largest: float) -> CharseqError:
    """The error for a model whose ``largest`` output is NaN or infinite."""
    return CharseqError(
        f"the model's largest output is {largest}: its weights are damaged or its training "
        "diverged; take an earlier checkpoint"
    )


class Stream:
    """The packed weights of a model, and the state of a text, or several, that is being written.

    Args:
        weights: a ``LanguageModel``'s, by the names of its ``state_dict``, float32 or float64.
        bfloat16: multiply bfloat16 numbers, summed in float32.
        zoneout: what the model was trained with.
        threads: None is one, or for weights that no core's cache holds, one a MiB of them.

    Raises:
        UnavailableError: the kernel is not to be had here.
        CharseqError: the weights are not those of a language model.
    """

    ready = None  # as ``inference.decode.Writer``: it writes as many as it is asked for

    def __init__(
        self,
        weights: Mapping[str, NDArray[Any]],
        *,
        bfloat16: bool = False,
        zoneout: float = 0.0,
        threads: int | None = None,
    ) -> None:
        self._kernel = kernel.load()
        self.symbols, self._units, self._layers = _sizes(weights)
        self._dtype = np.dtype(np.float32) if bfloat16 else weights["output.weight"].dtype
        self._kind = "bfloat16" if bfloat16 else str(self._dtype)
        if self._kind not in self._kernel.kinds:
            raise UnavailableError(f"there is no kernel for {self._kind} on this processor")
        self._lanes = self._kernel.vector_bytes // self._dtype.itemsize
        self._wide = self._ceil(self._units)
        weights = {name: np.asarray(array, self._dtype) for name, array in weights.items()}

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
        self._call("pack_forward", out, self.symbols, 1, self._units, 1, w_out)
        bias_out = np.zeros(self._ceil(self.symbols), self._dtype)
        bias_out[: self.symbols] = weights["output.bias"]
        self.weight_bytes = sum(packed.nbytes for packed in (*w_above, *w_hh, w_out))
        if threads is None:
            most = told_threads() or usable_cores()
            threads = min(MOST_THREADS, most, max(1, self.weight_bytes // BYTES_OF_A_THREAD))
        self.threads = threads if threads > 1 and self._kernel.threaded else 1
        lists = [_addresses(arrays) for arrays in (above, w_above, w_hh)]
        self._fields = kernel.Stream(
            layers=self._layers,
            units=self._units,
            symbols=self.symbols,
            threads=self.threads,
            batch=1,
            table=table.ctypes.data,
            biases=ctypes.cast(lists[0], ctypes.c_void_p),
            weight_ih=ctypes.cast(lists[1], ctypes.c_void_p),
            weight_hh=ctypes.cast(lists[2], ctypes.c_void_p),
            weight_out=w_out.ctypes.data,
            bias_out=bias_out.ctypes.data,
            update=1.0 - zoneout,
        )
        # kept alive: the kernel has addresses only
        self._kept = [table, above, w_above, w_hh, w_out, bias_out, lists]
        self._begin()

    def fresh(self) -> Self:
        """The stream of another text, over the same packed weights."""
        other = self._sharing_weights()
        other._begin()
        return other

    def copies(self, count: int) -> Self:
        """So many texts, to be written together; each goes on from where this one is."""
        other = self._sharing_weights()
        other._go_on(self.h.repeat(count, axis=1), self.c.repeat(count, axis=1))
        return other

    def without_first(self, count: int) -> Self:
        """The texts that remain."""
        other = self._sharing_weights()
        other._go_on(self.h[:, count:].copy(), self.c[:, count:].copy())
        return other

    @property
    def logits(self) -> Array:
        """What the model predicted for the last symbol written, (V,); of several texts (B, V)."""
        logits = self._logits[:, : self.symbols].copy()
        return logits if len(logits) > 1 else logits[0]

    def read(self, ids: NDArray[Any]) -> None:
        """Take symbols into the state of one text, writing nothing.

        Raises:
            CharseqError: there is no such symbol, or the model's output is not finite.
        """
        if len(ids) and not 0 <= ids.min() <= ids.max() < self.symbols:
            raise CharseqError(f"the symbols to read are not all in 0 to {self.symbols - 1}")
        self._fields.temperature, self._fields.never = 0.0, -1
        for symbol in np.asarray(ids, np.int64)[:, None]:
            if not len(self._run(symbol, _LIKELIEST)):
                raise diverged(self.logits.max())

    def write(
        self,
        symbols: NDArray[np.int64],
        uniforms: NDArray[np.float64],
        drawing: Drawing,
        never: int | None = None,
    ) -> NDArray[np.int64]:
        """Read the ``symbols`` (B,) of B texts, and write one for each of ``uniforms`` (n, B).

        They are in [0, 1), and a symbol is drawn with each; ``never`` is one that is not to be
        written. Every text gets the symbols that it would get alone, to the bit. All are shorter
        where the model's largest output for one of them is NaN or infinite: that is ``diverged``.
        The last symbols are not read yet: give them to the next call.

        Raises:
            CharseqError: there is no such symbol.
        """
        if not len(symbols) == uniforms.shape[1] == self.h.shape[1]:
            raise CharseqError(f"{len(symbols)} symbols for {self.h.shape[1]} texts")
        if not 0 <= symbols.min() <= symbols.max() < self.symbols:
            wrong = symbols[(symbols < 0) | (symbols >= self.symbols)][0]
            raise CharseqError(f"symbol {wrong} is not in 0 to {self.symbols - 1}")
        fields, top_p = self._fields, drawing.top_p
        fields.temperature, fields.top_p = drawing.temperature, 1.0 if top_p is None else top_p
        fields.top_k, fields.never = drawing.top_k or 0, -1 if never is None else never
        symbols = np.ascontiguousarray(symbols, np.int64)
        return self._run(symbols, np.ascontiguousarray(uniforms, np.float64))

    def _sharing_weights(self) -> Self:
        other = copy.copy(self)
        other._fields = kernel.Stream.from_buffer_copy(self._fields)
        return other

    def _begin(self) -> None:
        """The state of an empty text."""
        shape = (self._layers, 1, self._wide)
        self._go_on(np.zeros(shape, self._dtype), np.zeros(shape, self._dtype))

    def _go_on(self, h: Array, c: Array) -> None:
        """Go on from the states (layers, B, wide) of texts."""
        self.h, self.c = h, c
        batch = h.shape[1]
        self._logits = np.zeros((batch, self._ceil(self.symbols)), self._dtype)
        self._fields.batch = batch
        self._fields.h, self._fields.c = h.ctypes.data, c.ctypes.data
        self._fields.logits = self._logits.ctypes.data

    def _run(self, symbols: NDArray[np.int64], uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
        written = np.empty(uniforms.shape, np.int64)
        if not len(written):  # the kernel takes a step before it knows its state
            return written
        fields = ctypes.byref(self._fields)
        addresses = uniforms.ctypes.data, written.ctypes.data
        done = self._kernel.write(self._kind, fields, symbols.ctypes.data, len(written), *addresses)
        return written[:done]

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
        self._call("pack_forward", rows, self._units, 4, inputs, 1, packed)
        return packed

    def _blocks(self, weight: NDArray[Any]) -> NDArray[Any]:
        """(4H, N) by gates to (4 wide, N) by blocks of units, as ``csrc/pack.h``."""
        by_gate = weight.reshape(4, self._units, -1)
        by_gate = np.pad(by_gate, ((0, 0), (0, self._wide - self._units), (0, 0)))
        by_block = by_gate.reshape(4, -1, self._lanes, by_gate.shape[2]).swapaxes(0, 1)
        return by_block.reshape(4 * self._wide, -1)


def _sizes(weights: Mapping[str, NDArray[Any]]) -> tuple[int, int, int]:
    """Symbols, units and layers. The kernel reads as far as they say: every shape is checked.

    Raises:
        CharseqError: the weights are not those of a language model.
    """
    found = {name: array.shape for name, array in weights.items()}
    symbols, units = found.get("output.weight", (0, 0))
    layers = sum(name.startswith("lstm.weight_hh_l") for name in found)
    embedding = found["embedding.weight"][-1] if "embedding.weight" in found else None
    wanted = weight_shapes(symbols, units, max(layers, 1), embedding)
    if found != wanted:
        wrong = sorted({name for name, _ in found.items() ^ wanted.items()})
        raise CharseqError(f"the weights do not make a language model: {', '.join(wrong)}")
    return symbols, units, layers


def _addresses(arrays: list[NDArray[Any]]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * max(len(arrays), 1))(*(array.ctypes.data for array in arrays))

"""``LSTM``: layers, directions, dropout and padding around one of the four backends.

Every backend runs one layer in one direction and has the same signature, so the stack is written
once, here.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from charseq.errors import CharseqError
from charseq.lstm import fused, kernel, library, manual, reference
from charseq.lstm.cell import Gates, LSTMCell, State, step
from charseq.lstm.dropout import drop, dropout, kept
from charseq.lstm.tensors import DTYPES

Weights = tuple[Tensor, Tensor, Tensor]  # weight_ih, weight_hh, bias_ih of a layer and direction

Backend = Callable[..., tuple[Tensor, Tensor, Tensor]]


def either_way(run: Backend) -> Backend:
    """A backend that reads forwards, with ``reverse`` as ``fused.lstm`` has it."""

    def run_either_way(
        x: Tensor,
        state: State,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        lengths: Tensor | None = None,
        update: Tensor | float = 1.0,
        *,
        reverse: bool = False,
        **options: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        weights = (weight_ih, weight_hh, bias_ih)
        if not reverse:
            return run(x, state, *weights, lengths, update, **options)
        if isinstance(update, Tensor):
            update = turn(update, lengths)
        output, h, c = run(turn(x, lengths), state, *weights, lengths, update, **options)
        return turn(output, lengths), h, c

    return run_either_way


BACKENDS: dict[str, Backend] = {
    "fused": fused.lstm,
    "manual": either_way(manual.lstm),
    "reference": either_way(reference.lstm),
    "torch": either_way(library.lstm),
}
WITH_BFLOAT16 = ("fused", "torch")


class LSTM(nn.Module):
    """A stack of LSTM layers, with the shapes and parameter names of ``torch.nn.LSTM``.

    Parameters of layer k (with ``_reverse`` appended for the backward direction):
    ``weight_ih_lk (4H, I)``, ``weight_hh_lk (4H, H)``, ``bias_ih_lk (4H)``, gate order i, f, g, o.
    ``nn.LSTM`` has a second bias, ``bias_hh_lk``, which only ever stands beside the first:
    ``load_state_dict`` adds the two, and ``as_torch`` makes an ``nn.LSTM`` of these weights.
    ``batch_first``, ``proj_size`` and ``bias=False`` are not there; time comes first, and padded
    sequences come with their ``lengths`` instead of packed.

    ``backend``: "fused" (compiled, on a CPU), "manual" (hand-derived backward, in torch),
    "reference" (autograd of the plain equations), "torch" (the kernel of ``nn.LSTM``) or "auto": on
    a CPU fused where it can be built, else manual; on a GPU torch, that is cuDNN, where a loop of
    small kernels would spend its time on launches.
    ``dropout`` acts between the layers, in training; ``locked_dropout`` keeps one mask for all
    time steps of a call (Gal and Ghahramani 2016). ``input_dropout`` acts on what the first layer
    reads: on features as ``dropout`` does; of ids it drops whole symbols, one draw a place.
    ``weight_drop`` drops entries of every ``weight_hh``, once a call for all of its time steps, in
    training (DropConnect, as in the AWD-LSTM of Merity et al. 2018, section 2). ``zoneout``: so
    often a unit keeps its cell state instead of replacing it, drawn anew for each of them at each
    step of a training; afterwards it keeps that share of it (Krueger et al. 2017, z_c, where h_t is
    computed from the cell state that results). ``forget_bias`` is
    the initial bias of the forget gate (Jozefowicz et al. 2015). While the attribute
    ``bfloat16_products`` is True, backends fused and torch multiply bfloat16 numbers in training;
    weights, outputs and states are float32. Under ``torch.autocast`` it is as it is without.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        dropout: float = 0.0,
        bidirectional: bool = False,
        backend: str = "auto",
        locked_dropout: bool = False,
        input_dropout: float = 0.0,
        weight_drop: float = 0.0,
        zoneout: float = 0.0,
        forget_bias: float = 0.0,
    ) -> None:
        super().__init__()
        if not all(isinstance(size, int) for size in (input_size, hidden_size, num_layers)):
            raise CharseqError("LSTM: input_size, hidden_size and num_layers must be whole numbers")
        if min(input_size, hidden_size, num_layers) < 1:
            raise CharseqError("LSTM: input_size, hidden_size and num_layers must be at least 1")
        for name, value in (
            ("dropout", dropout),
            ("input_dropout", input_dropout),
            ("weight_drop", weight_drop),
            ("zoneout", zoneout),
        ):
            if not 0.0 <= value < 1.0:
                raise CharseqError(f"LSTM: {name} must be at least 0 and below 1, not {value}")
        if zoneout > 0.0 and backend == "torch":
            raise CharseqError(
                "LSTM: backend 'torch' has no zoneout; choose auto, fused, manual or reference"
            )
        if backend != "auto" and backend not in BACKENDS:
            known = ", ".join(["auto", *BACKENDS])
            raise CharseqError(f"LSTM: there is no backend {backend!r}; choose one of {known}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.dropout, self.locked_dropout = dropout, locked_dropout
        self.input_dropout, self.weight_drop, self.zoneout = input_dropout, weight_drop, zoneout
        self.bidirectional, self.backend = bidirectional, backend
        self.forget_bias = forget_bias
        self.bfloat16_products = False
        self._suffixes = ("", "_reverse") if bidirectional else ("",)
        for layer in range(num_layers):
            size = input_size if layer == 0 else hidden_size * len(self._suffixes)
            for suffix in self._suffixes:
                name = f"l{layer}{suffix}"
                empty = nn.Parameter(torch.empty(4 * hidden_size, size))
                self.register_parameter(f"weight_ih_{name}", empty)
                empty = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
                self.register_parameter(f"weight_hh_{name}", empty)
                self.register_parameter(
                    f"bias_ih_{name}", nn.Parameter(torch.empty(4 * hidden_size))
                )
        self.reset_parameters()

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *others: Any, **options: Any
    ) -> None:
        """Of a state of ``nn.LSTM`` both biases become one."""
        for name in [name for name in state_dict if name.startswith(f"{prefix}bias_hh_l")]:
            first = name.replace("bias_hh_l", "bias_ih_l")
            if first in state_dict:
                state_dict[first] = state_dict[first] + state_dict.pop(name)
        super()._load_from_state_dict(state_dict, prefix, *others, **options)

    def reset_parameters(self) -> None:
        """Weights uniform in ±1/sqrt(H), as ``nn.LSTM``; biases zero but the forget gate's."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name.startswith("weight"):
                    parameter.uniform_(-bound, bound)
                else:
                    parameter.zero_()
                    parameter.view(4, -1)[1] = self.forget_bias

    def forward(
        self, x: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run the stack over a sequence.

        ``x``: (T, B, input_size) float, or (T, B) integer ids of one-hot characters. ``state``:
        h_0 and c_0, (num_layers * directions, B, H), zeros when None. ``lengths``: (B,) integers
        from 1 to T for right-padded batches: padded steps change no state and give zeros.
        Returns the output (T, B, directions * H) and (h_n, c_n), shaped as ``state``.
        """
        if not isinstance(x, Tensor):
            raise CharseqError(
                f"LSTM: input is {type(x).__name__}, not a tensor; padded sequences"
                " come with their lengths"
            )
        has_autocast = torch.amp.is_autocast_available(x.device.type)  # not so of shapes alone
        if has_autocast and torch.is_autocast_enabled(x.device.type):
            with torch.autocast(x.device.type, enabled=False):
                if isinstance(state, tuple) and len(state) == 2:  # else it is refused further on
                    state = self._as_weights(state[0]), self._as_weights(state[1])
                return self.forward(self._as_weights(x), state, lengths)
        if not x.is_floating_point() and x.dtype != torch.bool:
            x = x.long()
        self._check(x, state, lengths)
        backend = self.resolve_backend(x.device)
        run = BACKENDS[backend]
        if self.bfloat16_products and self.training and backend in WITH_BFLOAT16:
            run = functools.partial(run, bfloat16=True)
        h_0, c_0 = self.zero_state(x.shape[1]) if state is None else state
        weights = self.draw_weights()
        x, weights = self.drop_input(x, weights)
        h_n: list[Tensor] = []
        c_n: list[Tensor] = []
        for layer in range(self.num_layers):
            if layer > 0:
                x = self.drop(x)
            outputs = []
            for suffix in self._suffixes:
                row = len(h_n)
                h_c = (h_0[row], c_0[row])
                update = self.draw_update(len(x), h_c[1])
                output, h, c = run(x, h_c, *weights[row], lengths, update, reverse=bool(suffix))
                outputs.append(output)
                h_n.append(h)
                c_n.append(c)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
        return x, (torch.stack(h_n), torch.stack(c_n))

    def draw_weights(self) -> list[Weights]:
        """The weights of one call, by layer, then direction; in training with their weight drop."""
        return [
            (w_ih, dropout(w_hh, self.weight_drop), bias)
            if self.weight_drop and self.training
            else (w_ih, w_hh, bias)
            for layer in range(self.num_layers)
            for w_ih, w_hh, bias in (self._weights(layer, suffix) for suffix in self._suffixes)
        ]

    def draw_update(self, steps: int, c: Tensor) -> Tensor | float:
        """How much of its cell state a unit replaces, for ``cell.step``: with zoneout in training a
        draw for each step of a layer, (T, B, H), where ``c`` is (B, H); else one number."""
        if self.training and self.zoneout:
            return kept(c.expand(steps, *c.shape), self.zoneout)
        return 1.0 - self.zoneout

    def drop(self, x: Tensor) -> Tensor:
        """In training, dropout of outputs (T, B, H): between layers, and of the last one's."""
        return drop(x, self.dropout, training=self.training, locked=self.locked_dropout)

    def drop_input(self, x: Tensor, weights: list[Weights]) -> tuple[Tensor, list[Weights]]:
        """Input dropout, in training: ``x`` and the weights with which it is to be read.

        A dropped one-hot vector is zeros, so a dropped id gets a number of its own, and the first
        layer a column of zeros for it. The others grow by 1 / (1 - p): all their columns do.
        """
        p = self.input_dropout
        if not self.training or p == 0.0:
            return x, weights
        if x.is_floating_point():
            return drop(x, p, training=True, locked=self.locked_dropout), weights
        directions = len(self._suffixes)
        wide = [
            (nn.functional.pad(w_ih / (1 - p), (0, 1)), w_hh, bias)
            for w_ih, w_hh, bias in weights[:directions]
        ]
        dropped = torch.rand(x.shape, device=x.device) < p
        return x.masked_fill(dropped, weights[0][0].shape[1]), wide + weights[directions:]

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State, list[Gates]]:
        """One time step, for decoding and inspection: nothing is dropped; one direction only.

        ``x``: (B, input_size) float or (B,) ids; ``state`` as in ``forward``. Returns the output
        (B, H), the new state and the gates of every layer.
        """
        if self.bidirectional:
            raise CharseqError("LSTM.step: a bidirectional LSTM needs the whole sequence")
        h_n, c_n, gates = [], [], []
        for layer in range(self.num_layers):
            h_c = (state[0][layer], state[1][layer])
            weights = self._weights(layer, "")
            x, c, layer_gates = step(x, h_c, *weights, update=1.0 - self.zoneout)
            h_n.append(x)
            c_n.append(c)
            gates.append(layer_gates)
        return x, (torch.stack(h_n), torch.stack(c_n)), gates

    def cell(self, layer: int, *, reverse: bool = False) -> LSTMCell:
        """The cell of a layer: one time step over the very same parameters."""
        weights = self._weights(layer, "_reverse" if reverse else "")
        return LSTMCell.sharing(*weights, update=1.0 - self.zoneout)

    def as_torch(self) -> nn.LSTM:
        """``torch.nn.LSTM`` with copies of these weights, on their device; its second bias is zero.

        What stands around them here, as weight drop, has no place there, but for ``dropout``.
        """
        like = self._weights(0, "")[1]
        made = nn.LSTM(
            self.input_size,
            self.hidden_size,
            self.num_layers,
            dropout=self.dropout if self.num_layers > 1 else 0.0,
            bidirectional=self.bidirectional,
            device=like.device,
            dtype=like.dtype,
        )
        weights = self.state_dict()
        biases = [name for name in weights if name.startswith("bias_ih")]
        second = {name.replace("_ih", "_hh"): torch.zeros_like(weights[name]) for name in biases}
        made.load_state_dict(weights | second)
        return made.train(self.training)

    def zero_state(self, batch_size: int) -> State:
        """h_0 and c_0 of zeros, (num_layers * directions, B, H)."""
        like = self._weights(0, "")[1]
        shape = (self.num_layers * len(self._suffixes), batch_size, self.hidden_size)
        return like.new_zeros(shape), like.new_zeros(shape)

    def resolve_backend(self, device: torch.device) -> str:
        """What "auto" means on this device; any other backend is itself."""
        if self.backend != "auto":
            return self.backend
        if device.type != "cpu":
            return "torch" if device.type == "cuda" and not self.zoneout else "manual"
        return "fused" if kernel.why_not() is None and self._dtype in DTYPES else "manual"

    def extra_repr(self) -> str:
        return (
            f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers},"
            f" dropout={self.dropout}, input_dropout={self.input_dropout},"
            f" weight_drop={self.weight_drop}, zoneout={self.zoneout},"
            f" bidirectional={self.bidirectional}, backend={self.backend!r}"
        )

    def _as_weights(self, part: Tensor) -> Tensor:
        """In the type of the weights; ids stay what they are."""
        return part.to(self._dtype) if part.is_floating_point() else part

    @property
    def _dtype(self) -> torch.dtype:
        return self._weights(0, "")[1].dtype

    def _weights(self, layer: int, suffix: str) -> tuple[nn.Parameter, nn.Parameter, nn.Parameter]:
        name = f"l{layer}{suffix}"
        return (  # getattr: get_parameter takes ten times as long, which decoding feels
            getattr(self, f"weight_ih_{name}"),
            getattr(self, f"weight_hh_{name}"),
            getattr(self, f"bias_ih_{name}"),
        )

    def _check(self, x: Tensor, state: State | None, lengths: Tensor | None) -> None:
        """A wrong shape is named here; further in it would broadcast or die far from its cause."""
        wanted = "(T, B, input_size) float" if x.is_floating_point() else "(T, B) ids"
        if x.dim() != (3 if x.is_floating_point() else 2) or x.shape[0] == 0 or x.shape[1] == 0:
            raise CharseqError(f"LSTM: input {tuple(x.shape)} is not {wanted}, T and B at least 1")
        if x.is_floating_point() and x.shape[2] != self.input_size:
            raise CharseqError(f"LSTM: input has {x.shape[2]} features, not {self.input_size}")
        if x.dtype == torch.bool or (x.is_floating_point() and x.dtype != self._dtype):
            raise CharseqError(f"LSTM: input is {x.dtype}, not {self._dtype} or integer ids")
        # On a GPU the look would wait for it; there the gather itself stops at a wrong id.
        if not x.is_floating_point() and x.device.type == "cpu":
            low, high = (int(bound) for bound in torch.aminmax(x))
            if low < 0 or high >= self.input_size:
                wrong = low if low < 0 else high
                raise CharseqError(f"LSTM: id {wrong} is not in 0 to {self.input_size - 1}")
        if state is not None:
            shape = (self.num_layers * len(self._suffixes), x.shape[1], self.hidden_size)
            for name, part in zip(("h_0", "c_0"), state, strict=True):
                if part.dtype != self._dtype:
                    raise CharseqError(f"LSTM: {name} is {part.dtype}, not {self._dtype}")
                if tuple(part.shape) != shape:
                    raise CharseqError(f"LSTM: {name} is {tuple(part.shape)}, not {shape}")
        if lengths is not None:
            if tuple(lengths.shape) != (x.shape[1],):
                raise CharseqError(f"LSTM: lengths is {tuple(lengths.shape)}, not ({x.shape[1]},)")
            if int(lengths.min()) < 1 or int(lengths.max()) > x.shape[0]:
                raise CharseqError(f"LSTM: lengths must lie between 1 and T = {x.shape[0]}")


def turn(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Turn time around inside each sequence; padding stays at the end. It is its own inverse."""
    if lengths is None:
        return x.flip(0)
    steps = torch.arange(x.shape[0], device=x.device)[:, None]
    index = torch.where(steps < lengths, lengths - 1 - steps, steps)  # (T, B)
    return x[index, torch.arange(x.shape[1], device=x.device)]

"""Which gradient is wrong: every parameter and gate against autograd and finite differences.

The loss under test is the cross-entropy of all characters, summed, plus a random weighting of the
final state, from a random initial state, so that nothing of the backward pass is multiplied by
zero. The characters are read twice, as ids and as float features, because both ways have a
backward of their own.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from charseq.errors import CharseqError
from charseq.lstm.cell import State
from charseq.lstm.faults import FAULTS, Fault, loss_and_gradients
from charseq.lstm.layer import BACKENDS

# Relative errors, in float64. Two right answers differ by rounding: about 1e-15 between two
# backends; about 1e-9 from finite differences, which subtract two nearly equal losses.
AUTOGRAD_TOLERANCE = 1e-9
NUMERIC_TOLERANCE = 1e-6
# In float32 the kernel of torch sets the measure. The error of one draw is luck, and so is a ratio
# of two of them: several draws are put side by side, and four roundings are forgiven.
FLOAT32_RATIO = 2.0
FLOAT32_FLOOR = 4 * torch.finfo(torch.float32).eps
FLOAT32_DRAWS = 8

STEP = 6e-6  # cube root of float64's precision: it balances truncation against rounding
ENTRIES = 32  # of a row that are compared with finite differences, drawn at random if it has more
ZERO = 1e-9  # a gradient no larger than this is zero, and would pass any comparison

Leaves = dict[str, Tensor]


@dataclass(frozen=True)
class Row:
    """One gradient: a parameter and, where it has gates, one of them."""

    parameter: str
    gate: str | None
    size: float  # its norm, by autograd of the reference in float64
    max_error: float  # largest difference from that, of any entry
    error: float  # norm of the difference, relative to size
    allowed: float  # the largest error that passes
    numeric_max_error: float | None  # the same two against finite differences; float64 only
    numeric_error: float | None
    numeric_allowed: float | None
    passed: bool


@dataclass(frozen=True)
class Report:
    """What was checked, row by row; ``fault`` is the mistake that was made on purpose."""

    backend: str  # "listing" for the pass in faults.py
    dtype: str
    rows: tuple[Row, ...]
    fault: Fault | None = None

    @property
    def wrong(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if not row.passed)

    @property
    def passed(self) -> bool:
        return not self.wrong

    def to_json(self) -> dict[str, Any]:
        """As plain data; what is not finite, as null: JSON has no NaN."""
        rows = [
            {
                key: None if isinstance(value, float) and not math.isfinite(value) else value
                for key, value in asdict(row).items()
            }
            for row in self.rows
        ]
        fault = None if self.fault is None else asdict(self.fault)
        return {
            "passed": self.passed,
            "backend": self.backend,
            "dtype": self.dtype,
            "fault": fault,
            "rows": rows,
        }


@dataclass(frozen=True)
class Problem:
    """A loss to differentiate: fixed characters and weights of the final state, and its leaves."""

    ids: Tensor  # (T, B)
    targets: Tensor  # (T, B)
    d_final: State  # the weights of h_n and c_n in the loss, each (layers, B, H)
    leaves: Leaves  # what gets a gradient, among it h_0, c_0 and, unless it is left out, x

    def to(self, dtype: torch.dtype) -> "Problem":
        h, c = self.d_final
        leaves = {name: leaf.to(dtype) for name, leaf in self.leaves.items()}
        return Problem(self.ids, self.targets, (h.to(dtype), c.to(dtype)), leaves)


def check(
    backend: str = "manual",
    dtype: torch.dtype = torch.float64,
    *,
    hidden_size: int = 8,
    num_layers: int = 2,
    vocab_size: int = 7,
    seq_len: int = 6,
    batch_size: int = 3,
    seed: int = 0,
) -> Report:
    """Compare every gradient of a backend with autograd of ``reference`` in float64.

    In float64 also with central finite differences of ``reference``. In float32 an error passes
    when it is at most twice that of torch's own kernel. Raises ``CharseqError`` for an unknown
    backend, another dtype or a size below 1.
    """
    if backend not in BACKENDS:
        raise CharseqError(
            f"gradcheck: there is no backend {backend!r}; choose one of {', '.join(BACKENDS)}"
        )
    if dtype not in (torch.float64, torch.float32):
        raise CharseqError(f"gradcheck: dtype must be float64 or float32, not {dtype}")
    sizes = hidden_size, num_layers, vocab_size, seq_len, batch_size
    if dtype == torch.float64:
        problem = draw_problem(*sizes, seed)
        rows = _exact_rows(problem, _autograd(backend, problem), seed)
    else:
        draws = [draw_problem(*sizes, seed + k) for k in range(FLOAT32_DRAWS)]
        rows = _rounded_rows(draws, backend)
    return Report(backend, str(dtype).removeprefix("torch."), tuple(rows))


def check_fault(
    fault: str | None,
    *,
    hidden_size: int = 8,
    vocab_size: int = 7,
    seq_len: int = 6,
    batch_size: int = 3,
    seed: int = 0,
) -> Report:
    """The same check, in float64, on the pass in ``faults.py`` with one fault, or none (None).

    One layer, and ids only. Raises ``CharseqError`` for an unknown fault or a size below 1.
    """
    if fault is not None and fault not in FAULTS:
        raise CharseqError(
            f"gradcheck: there is no fault {fault!r}; choose one of {', '.join(FAULTS)}"
        )
    problem = draw_problem(hidden_size, 1, vocab_size, seq_len, batch_size, seed)
    del problem.leaves["x"]
    _, found = loss_and_gradients(
        problem.leaves,
        problem.ids,
        problem.targets,
        problem.d_final,
        frozenset() if fault is None else frozenset({fault}),
    )
    rows = _exact_rows(problem, found, seed)
    return Report("listing", "float64", tuple(rows), None if fault is None else FAULTS[fault])


def draw_problem(
    hidden: int, layers: int, vocab_size: int, steps: int, batch: int, seed: int
) -> Problem:
    """Random weights, states and characters. Raises ``CharseqError`` for a size below 1."""
    sizes = {
        "hidden_size": hidden,
        "num_layers": layers,
        "vocab_size": vocab_size,
        "seq_len": steps,
        "batch_size": batch,
    }
    for name, size in sizes.items():
        if size < 1:
            raise CharseqError(f"gradcheck: {name} must be at least 1, not {size}")
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        # Numbers that float32 holds exactly: both precisions differentiate the same function.
        return (scale * torch.randn(shape, generator=generator)).double()

    leaves: Leaves = {}
    for layer in range(layers):
        inputs = vocab_size if layer == 0 else hidden
        leaves[f"weight_ih_l{layer}"] = normal(4 * hidden, inputs, scale=hidden**-0.5)
        leaves[f"weight_hh_l{layer}"] = normal(4 * hidden, hidden, scale=hidden**-0.5)
        leaves[f"bias_ih_l{layer}"] = normal(4 * hidden, scale=0.5)
    leaves["weight_out"] = normal(vocab_size, hidden, scale=hidden**-0.5)
    leaves["bias_out"] = normal(vocab_size, scale=0.5)
    leaves["h_0"] = normal(layers, batch, hidden)
    leaves["c_0"] = normal(layers, batch, hidden)
    leaves["x"] = normal(steps, batch, vocab_size)
    text = torch.randint(vocab_size, (steps + 1, batch), generator=generator)
    d_final = normal(layers, batch, hidden), normal(layers, batch, hidden)
    return Problem(text[:-1], text[1:], d_final, leaves)


def _loss(backend: str, problem: Problem, leaves: Mapping[str, Tensor]) -> Tensor:
    loss = problem.d_final[0].new_zeros(())
    for x in (problem.ids, leaves["x"]) if "x" in leaves else (problem.ids,):
        output = x
        for layer in range(len(leaves["h_0"])):
            state = leaves["h_0"][layer], leaves["c_0"][layer]
            weights = (leaves[f"{name}_l{layer}"] for name in ("weight_ih", "weight_hh", "bias_ih"))
            output, *final = BACKENDS[backend](output, state, *weights)
            for d_part, part in zip(problem.d_final, final, strict=True):
                loss = loss + (d_part[layer] * part).sum()
        logits = linear(output, leaves["weight_out"], leaves["bias_out"])
        loss = loss + cross_entropy(
            logits.flatten(0, 1), problem.targets.flatten(), reduction="sum"
        )
    return loss


def _autograd(backend: str, problem: Problem) -> Leaves:
    leaves = {name: leaf.clone().requires_grad_() for name, leaf in problem.leaves.items()}
    gradients = torch.autograd.grad(_loss(backend, problem, leaves), list(leaves.values()))
    return dict(zip(leaves, gradients, strict=True))


def _finite_differences(problem: Problem, name: str, entries: Tensor) -> Tensor:
    """(loss(a + STEP) - loss(a - STEP)) / (2 STEP) for entries, flat indices, of one leaf."""
    leaf = problem.leaves[name]
    places = torch.arange(leaf.numel())

    def loss(entry: Tensor, step: Tensor) -> Tensor:
        moved = leaf + torch.where(places == entry, step, 0.0).view_as(leaf)
        return _loss("reference", problem, problem.leaves | {name: moved})

    steps = torch.full(entries.shape, STEP, dtype=leaf.dtype)
    # All entries at once: one loss is a loop of small operations, and would be slow a thousandfold.
    losses = torch.func.vmap(loss, chunk_size=max(1, 2**20 // leaf.numel()))(
        entries.repeat(2), torch.cat([steps, -steps])
    )
    above, below = losses.chunk(2)
    return (above - below) / (2 * STEP)


def gates_of(gradients: Mapping[str, Tensor]) -> Iterator[tuple[str, str | None, slice]]:
    """Name, gate and rows of each gradient that gets a row of its own in the report."""
    for name, gradient in gradients.items():
        if name.startswith(("weight_ih", "weight_hh", "bias_ih", "bias_hh")):
            hidden = len(gradient) // 4
            for k, gate in enumerate("ifgo"):
                yield name, gate, slice(k * hidden, (k + 1) * hidden)
        else:
            yield name, None, slice(None)


def _exact_rows(problem: Problem, found: Leaves, seed: int) -> Iterator[Row]:
    wanted = _autograd("reference", problem)
    # What one difference of two losses loses to rounding, times four to be on the safe side.
    loss = _loss("reference", problem, problem.leaves).abs().item()
    noise = 4 * torch.finfo(torch.float64).eps * max(loss, 1.0) / STEP
    generator = torch.Generator().manual_seed(seed)
    for name, gate, rows in gates_of(wanted):
        ours, theirs = found[name][rows].flatten(), wanted[name][rows].flatten()
        some = torch.randperm(len(ours), generator=generator)[:ENTRIES]
        indices = torch.arange(wanted[name].numel()).view_as(wanted[name])[rows].flatten()
        numeric = _finite_differences(problem, name, indices[some])
        max_error, error = errors(ours, theirs)
        numeric_max_error, numeric_error = errors(ours[some], numeric)
        numeric_allowed = NUMERIC_TOLERANCE + (noise * len(some) ** 0.5 / numeric.norm()).item()
        size = theirs.norm().item()
        # "<=" is False for a NaN, as it should be.
        passed = size > ZERO and error <= AUTOGRAD_TOLERANCE and numeric_error <= numeric_allowed
        yield Row(
            parameter=name,
            gate=gate,
            size=size,
            max_error=max_error,
            error=error,
            allowed=AUTOGRAD_TOLERANCE,
            numeric_max_error=numeric_max_error,
            numeric_error=numeric_error,
            numeric_allowed=numeric_allowed,
            passed=passed,
        )


def _rounded_rows(draws: Sequence[Problem], backend: str) -> Iterator[Row]:
    def pooled(backend: str, dtype: torch.dtype) -> Leaves:
        """The gradients of all draws side by side."""
        each = [_autograd(backend, problem.to(dtype)) for problem in draws]
        return {name: torch.stack([leaves[name] for leaves in each], dim=1) for name in each[0]}

    wanted = pooled("reference", torch.float64)
    found, kernel = pooled(backend, torch.float32), pooled("torch", torch.float32)
    for name, gate, rows in gates_of(wanted):
        max_error, error = errors(found[name][rows].double(), wanted[name][rows])
        _, kernel_error = errors(kernel[name][rows].double(), wanted[name][rows])
        allowed = FLOAT32_RATIO * kernel_error + FLOAT32_FLOOR
        size = wanted[name][rows].norm().item()
        yield Row(
            parameter=name,
            gate=gate,
            size=size,
            max_error=max_error,
            error=error,
            allowed=allowed,
            numeric_max_error=None,
            numeric_error=None,
            numeric_allowed=None,
            passed=size > ZERO and error <= allowed,
        )


def errors(found: Tensor, wanted: Tensor) -> tuple[float, float]:
    """The largest difference of any entry, and the difference relative to wanted, by norm."""
    difference = found - wanted
    return difference.abs().max().item(), (difference.norm() / wanted.norm()).item()


def agree(max_error: float, error: float, allowed: float) -> bool:
    """Not with a NaN; and where zero is right, as of f at the first step, zero is."""
    return error <= allowed or max_error == 0.0

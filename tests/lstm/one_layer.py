"""One layer in one direction, with everything random: what a backend makes of it, and the truth.

The truth takes each sequence by itself through ``reference.lstm`` in float64; one that is read from
its end is turned around beforehand. So no batch and no padding is in it.
"""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad

from charseq.lstm import kernel
from charseq.lstm.cell import State
from charseq.lstm.compiler import INSTRUCTIONS
from charseq.lstm.reference import lstm as reference_lstm

Run = Callable[..., tuple[Tensor, Tensor, Tensor]]
Results = dict[str, Tensor]
LEAVES = ("x", "h_0", "c_0", "weight_ih", "weight_hh", "bias_ih")

# Every build that this processor can run; and every kind of arithmetic of each
BUILDS = [pytest.param(name, marks=pytest.mark.kernel(name)) for name in INSTRUCTIONS]
BUILD_KINDS = [
    pytest.param(name, kind, marks=pytest.mark.kernel(name))
    for name in INSTRUCTIONS
    for kind in ("float32", "float64", *(["bfloat16"] if name == "avx512_bf16" else []))
]


@contextmanager
def build_for(instructions: str) -> Iterator[None]:
    """Compute with this build of the kernel instead of the best one."""
    build = kernel.load(instructions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "load", lambda: build)
        yield


@dataclasses.dataclass(frozen=True)
class Problem:
    """Arguments of a backend, and the gradients that arrive at its three results."""

    x: Tensor  # (T, B, I), or ids (T, B)
    h_0: Tensor
    c_0: Tensor
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor
    grads: tuple[Tensor, ...]
    lengths: Tensor | None = None
    reverse: bool = False
    update: Tensor | float = 1.0  # (T, B, H), or one for all

    def leaves(self) -> dict[str, Tensor]:
        """The arguments that have a gradient."""
        named = {name: getattr(self, name) for name in LEAVES}
        return {name: leaf for name, leaf in named.items() if leaf.is_floating_point()}

    def map(self, change: Callable[[Tensor], Tensor]) -> "Problem":
        """With every number changed."""
        changed: dict[str, Any] = {name: change(leaf) for name, leaf in self.leaves().items()}
        if isinstance(self.update, Tensor):
            changed["update"] = change(self.update)
        return self.replace(grads=tuple(map(change, self.grads)), **changed)

    def replace(self, **changes: Any) -> "Problem":
        return dataclasses.replace(self, **changes)

    def row(self, row: int) -> "Problem":
        """One sequence of the batch by itself, without its padding."""
        here = slice(row, row + 1)
        steps = len(self.x) if self.lengths is None else int(self.lengths[row])
        d_output, d_h, d_c = self.grads
        return self.replace(
            x=self.x[:steps, here],
            h_0=self.h_0[here],
            c_0=self.c_0[here],
            grads=(d_output[:steps, here], d_h[here], d_c[here]),
            lengths=None,
            update=self.update[:steps, here] if isinstance(self.update, Tensor) else self.update,
        )


def draw(
    steps: int,
    batch: int,
    hidden: int,
    inputs: int,
    *,
    ids: bool = False,
    lengths: list[int] | None = None,
    reverse: bool = False,
    seed: int = 0,
    zoneout: float = 0.0,
    training: bool = False,
) -> Problem:
    """A problem in float64; its weights are as large as those that an LSTM starts with.

    With ``zoneout`` and ``training`` each unit keeps its cell state or not; else all keep a part.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    features = normal(steps, batch, inputs)
    return Problem(
        x=torch.randint(inputs, (steps, batch), generator=generator) if ids else features,
        h_0=normal(batch, hidden),
        c_0=normal(batch, hidden),
        weight_ih=normal(4 * hidden, inputs) * inputs**-0.5,
        weight_hh=normal(4 * hidden, hidden) * (3 * hidden) ** -0.5,
        bias_ih=normal(4 * hidden),
        grads=(normal(steps, batch, hidden), normal(batch, hidden), normal(batch, hidden)),
        lengths=None if lengths is None else torch.tensor(lengths),
        reverse=reverse,
        update=(normal(steps, batch, hidden) > 0).double() if zoneout and training else 1 - zoneout,
    )


def forward(run: Run, problem: Problem, **options: Any) -> tuple[Tensor, Tensor, Tensor]:
    p = problem
    weights = (p.weight_ih, p.weight_hh, p.bias_ih)
    return run(p.x, (p.h_0, p.c_0), *weights, p.lengths, p.update, reverse=p.reverse, **options)


def results(run: Run, problem: Problem, **options: Any) -> Results:
    """The three results of a backend, and the gradient of every argument that has one."""
    leaves = {name: leaf.detach().requires_grad_() for name, leaf in problem.leaves().items()}
    found = forward(run, problem.replace(**leaves), **options)
    gradients = torch.autograd.grad(found, list(leaves.values()), problem.grads)
    named = dict(zip(("output", "h_n", "c_n"), (part.detach() for part in found), strict=True))
    return named | {f"d_{name}": grad for name, grad in zip(leaves, gradients, strict=True)}


def truth(problem: Problem) -> Results:
    """What is right, in float64."""
    return results(one_by_one, problem.map(Tensor.double))


def one_by_one(
    x: Tensor,
    state: State,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    lengths: Tensor | None = None,
    update: Tensor | float = 1.0,
    *,
    reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """A backend that never sees two sequences together."""
    outputs, h_n, c_n = [], [], []
    for row in range(x.shape[1]):
        here, steps = slice(row, row + 1), len(x) if lengths is None else int(lengths[row])
        mine = x[:steps, here].flip(0) if reverse else x[:steps, here]
        h_c = (state[0][here], state[1][here])
        u = update
        if isinstance(u, Tensor):
            u = u[:steps, here].flip(0) if reverse else u[:steps, here]
        output, h, c = reference_lstm(mine, h_c, weight_ih, weight_hh, bias_ih, None, u)
        output = output.flip(0) if reverse else output
        outputs.append(pad(output, (0, 0, 0, 0, 0, len(x) - steps)))
        h_n.append(h)
        c_n.append(c)
    return torch.cat(outputs, dim=1), torch.cat(h_n), torch.cat(c_n)


def assert_same(found: Results, wanted: Results) -> None:
    """Equal to the bit; NaN equals NaN."""
    assert set(found) == set(wanted)
    for name, value in found.items():
        torch.testing.assert_close(value, wanted[name], rtol=0, atol=0, equal_nan=True, msg=name)


def relative_errors(found: Results, exact: Results) -> Results:
    """Norm of the difference to norm of the truth, by name."""
    return {
        name: (found[name].double() - value).norm() / value.norm() for name, value in exact.items()
    }

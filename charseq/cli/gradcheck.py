"""``charseq gradcheck``: is every gradient right, and if not, which one, of which gate?"""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charseq.cli.next_commands import command_line
from charseq.cli.options import refuse_options
from charseq.cli.writing import print_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from charseq.lstm.gradcheck import Report, Row

NARROW = 76  # columns of a screen that has not room for the whole table


# The names are repeated here because charseq.lstm imports torch, and --help must not; a test
# compares them.
class Backend(StrEnum):
    FUSED = "fused"
    MANUAL = "manual"
    REFERENCE = "reference"
    TORCH = "torch"


class Precision(StrEnum):
    FLOAT64 = "float64"
    FLOAT32 = "float32"


class FaultName(StrEnum):
    SOFTMAX_DERIVATIVE = "softmax-derivative"
    TANH_OF_RAW_CELL = "tanh-of-raw-cell"
    ONES_INITIAL_STATE = "ones-initial-state"
    NO_HIDDEN_GRADIENT = "no-hidden-gradient"


def gradcheck(
    backend: Annotated[
        Backend | None,
        typer.Option(help="Whose gradients to check.", show_default="manual"),
    ] = None,
    dtype: Annotated[
        Precision | None,
        typer.Option(
            help="float32 is measured against the float64 reference, and may be at most twice as "
            "far from it as torch's own kernel.",
            show_default="float64",
        ),
    ] = None,
    hidden_size: Annotated[int, typer.Option(min=1, help="Units of a layer.")] = 8,
    num_layers: Annotated[
        int | None, typer.Option(min=1, help="Layers of the stack.", show_default="2")
    ] = None,
    seq_len: Annotated[int, typer.Option(min=1, help="Time steps.")] = 6,
    batch_size: Annotated[int, typer.Option(min=1, help="Sequences.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, characters and states.")] = 0,
    fault: Annotated[
        FaultName | None,
        typer.Option(
            metavar="NAME",
            help="Check a backward pass, one layer, with this mistake made on purpose: "
            f"{', '.join(FaultName)}.",
        ),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a problem for an LSTM of yours: the weights of one layer and of an output "
            "layer, characters, their loss; as .npz (numpy) or .safetensors.",
        ),
    ] = None,
    mine: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Check the gradients that your LSTM has for that problem: an array for each "
            "weight, by its name.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare every gradient with autograd and with finite differences, gate by gate.

    For an LSTM of yours --write has a problem; --mine says which of its gradients is wrong, and
    what may be the matter. The exit code is 1 if one is wrong, as with --fault it is bound to be.

    Example: charseq gradcheck --fault tanh-of-raw-cell

    Example: charseq gradcheck --mine gradients.npz
    """
    from charseq.lstm.gradcheck import check, check_fault

    hint = ""
    if write is not None or mine is not None:
        others = {"--backend": backend, "--dtype": dtype, "--num-layers": num_layers}
        refuse_options({**others, "--fault": fault}, "goes without --write and --mine")
        if write is not None:
            refuse_options({"--mine": mine}, "goes without --write")
        sizes = {"hidden_size": hidden_size, "seq_len": seq_len, "batch_size": batch_size}
        found = _of_mine(write, mine, **sizes, seed=seed)
        if found is None:
            return
        report, hint = found
    elif fault is None:
        import torch

        report = check(
            backend or "manual",
            torch.float32 if dtype is Precision.FLOAT32 else torch.float64,
            hidden_size=hidden_size,
            num_layers=num_layers or 2,
            seq_len=seq_len,
            batch_size=batch_size,
            seed=seed,
        )
    else:
        refuse_options(
            {"--backend": backend, "--dtype": dtype, "--num-layers": num_layers},
            "goes without --fault, which checks one layer, in float64, with a pass of its own",
        )
        report = check_fault(
            fault, hidden_size=hidden_size, seq_len=seq_len, batch_size=batch_size, seed=seed
        )
    if as_json:
        told = {"hint": hint or None} if mine is not None else {}
        print_json(report.to_json() | told)
    else:
        from rich.console import Console

        console = Console(highlight=False, markup=False)
        _show(console, report)
        if hint:
            console.print(f"\n{hint}")
    if not report.passed:
        raise typer.Exit(1)


def _of_mine(write: Path | None, mine: Path | None, **sizes: int) -> "tuple[Report, str] | None":
    """What is found in the gradients of ``mine``; None where the problem is only written."""
    from charseq.lstm.gradient_files import read_gradients, write_problem
    from charseq.lstm.own_gradients import check_own, own_problem

    problem = own_problem(**sizes)
    if mine is not None:
        return check_own(read_gradients(mine), problem)
    assert write is not None  # noqa: S101
    write_problem(write, problem)
    same = [
        part for name, size in sizes.items() for part in ("--" + name.replace("_", "-"), str(size))
    ]
    typer.echo(
        f"wrote {write}\nnext: write your gradients, by the names of the weights, into a file, and"
        f" then\n  {command_line('gradcheck', *same, '--mine', 'FILE')}"
    )
    return None


def _show(console: "Console", report: "Report") -> None:
    from rich.text import Text

    from charseq.cli.console import plain_table, show_facts

    exact = all(row.numeric_error is not None for row in report.rows)
    against = "vs autograd" if exact else "error" if report.backend == "yours" else "vs float64"
    sizes = console.width >= NARROW  # the least missed of the columns
    table = plain_table()
    table.add_column("parameter", no_wrap=True)
    table.add_column("gate", no_wrap=True)
    if sizes:
        table.add_column("|gradient|", justify="right", no_wrap=True)
    table.add_column(against, justify="right", no_wrap=True)
    table.add_column("vs differences" if exact else "allowed", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in report.rows:
        last = row.numeric_error if exact else row.allowed
        table.add_row(
            row.parameter,
            row.gate or "",
            *([f"{row.size:.2e}"] if sizes else []),
            f"{row.error:.1e}",
            f"{last:.1e}",
            Text("ok", "green") if row.passed else Text("WRONG", "bold red"),
        )
    console.print(table)

    whose = f"({report.backend}, {report.dtype})"
    if report.passed:
        console.print(
            f"\nPASSED: all {len(report.rows)} gradients are right {whose}", style="green"
        )
    else:
        count = f"{len(report.wrong)} of {len(report.rows)} gradients are wrong {whose}"
        console.print(f"\nFAILED: {count}", style="bold red")
        right = _names(row for row in report.rows if row.passed)
        show_facts(console, {"wrong": _names(report.wrong), "right": right}, "  ")
    if report.fault:
        fault = report.fault
        console.print(f"\n{fault.name}", style="bold")
        facts = {"wrong": fault.listing, "right": fault.right, "mend": fault.mend}
        show_facts(console, facts, "  ")


def _names(rows: "Iterable[Row]") -> str:
    """``weight_ih_l0 (i, f), bias_out``: parameters, each with those of its gates."""
    gates: dict[str, list[str]] = {}
    for row in rows:
        gates.setdefault(row.parameter, []).extend([row.gate] if row.gate else [])
    names = (f"{name} ({', '.join(of)})" if of else name for name, of in gates.items())
    return ", ".join(names) or "none"

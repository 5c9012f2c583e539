"""``charseq sweep``: many trainings of one configuration, ranked by their validation values."""

from pathlib import Path
from typing import Annotated

import typer

from charseq.cli.asides import show_note
from charseq.cli.options import AsJson, Axis, CurvesBy, Overrides, Plot, refuse_options
from charseq.cli.stopping import quiet_interrupt


def sweep(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="A YAML configuration, or a sweep's folder.")
    ],
    over: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUES",
            help="Try these values of a setting, 0.1,0.3; may be given repeatedly. With --random "
            "also a range, 1e-4..1e-2.",
        ),
    ] = None,
    overrides: Overrides = None,
    seeds: Annotated[
        int, typer.Option(min=1, max=1000, help="Train each combination with so many seeds.")
    ] = 1,
    draws: Annotated[
        int | None,
        typer.Option(
            "--random",
            metavar="N",
            min=1,
            help="Draw so many combinations instead of trying all.",
            show_default=False,
        ),
    ] = None,
    draw_seed: Annotated[int, typer.Option(min=0, help="Seed of these draws.")] = 0,
    jobs: Annotated[
        int,
        typer.Option(
            min=1, max=1024, help="Trainings side by side; they share the processor's cores."
        ),
    ] = 1,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.0, help="Stop the whole sweep after so long.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of the sweep.", show_default="runs/<name of CONFIG>-sweep"
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda|cuda:N", help="Where to train.")
    ] = "auto",
    report: Annotated[
        bool, typer.Option("--report", help="Train nothing; show what there is so far.")
    ] = False,
    by: CurvesBy = Axis.STEP,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Train a configuration with all combinations of some values, and rank them by validation.

    Each training is a run, DIR/<values>/seed-0. The same command again goes on: what is finished
    is kept. Ctrl-C stops all trainings, which save; twice leaves at once.

    A range is drawn from evenly, on a logarithmic scale where its ends are a factor of 10 or more
    apart. OMP_NUM_THREADS says how many threads each training has, where it should not be its
    share.

    Example: charseq sweep configs/dates.yaml --over model.dropout=0.1,0.3 --seeds 3 --jobs 2

    Example: charseq sweep runs/dates-sweep --report --plot sweep.svg
    """
    from charseq.cli.sweep_report import show_report
    from charseq.cli.sweep_train import plan_sweep, train_sweep
    from charseq.reports.image import file_format

    if plot:
        file_format(plot)
    is_folder = config.is_dir()
    folder = config if is_folder else out or Path("runs") / f"{config.stem}-sweep"
    if is_folder:
        why = f"{config} is the folder of a sweep, which knows; name its configuration to change it"
        given = {"--over": over, "--set": overrides, "--random": draws, "--out": out}
        refuse_options({**given, "--seeds": seeds > 1}, why)
    code, go_on = 0, None
    if report and (over or draws or overrides):
        show_note(f"--report shows what stands in {folder}, whatever is to be tried now")
    if not report:
        planned = None
        if not is_folder:
            planned = plan_sweep(
                config,
                overrides or (),
                over or (),
                seeds=seeds,
                draws=draws,
                draw_seed=draw_seed,
            )
        with quiet_interrupt():
            code, go_on = train_sweep(
                folder,
                planned,
                over or (),
                jobs=jobs,
                minutes=minutes,
                device=device,
                as_json=as_json,
            )
    show_report(folder, by.value, plot, as_json=as_json)
    if go_on:
        typer.echo(f"go on with: {go_on}", err=as_json)
    raise typer.Exit(code)

"""Commands that look at whole paths, and at optimizers beside their SDEs: simulate, weak."""

from typing import Annotated

import typer

from sam_sde.cli.arm_by_arm import run_arms
from sam_sde.cli.options import Changes, ConfigFile, Out, app
from sam_sde.endings import end_as, reports_errors, results_of
from sam_sde.terminal import print_table, say
from sam_sde.wording import weak_text


@app.command()
@reports_errors
def simulate(
    config: ConfigFile,
    paths: Annotated[int, typer.Option(min=1, help="How many paths of each arm.")] = 5,
    replay: Annotated[int | None, typer.Option(min=0, metavar="ID", help="One path of an escape run, alone.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Keep every so-manieth state.")] = 1,
    out: Out = None,
    changes: Changes = None,
) -> None:
    """Write whole trajectories (trajectories.csv) and, in two dimensions, their picture on the surface."""
    from sam_sde import checks
    from sam_sde.config.building import Setting
    from sam_sde.config.loading import load_config
    from sam_sde.figures.folder import draw_result
    from sam_sde.jobs.escape import Experiment
    from sam_sde.jobs.simulate import Simulation

    experiment = Experiment(Setting(load_config(config, changes or ()), config.parent))
    for run in experiment.runs.values():
        checks.whole("--replay", replay or 0, low=0, high=run.n_paths - 1)
    simulation = Simulation(experiment, paths=paths, replay=replay, every=every)
    with results_of("simulate", out, config) as destination:
        simulation.execute()
        written = simulation.write(destination)
        written += draw_result(destination.written, "simulate")
        for line in simulation.lines():
            say(line)
        say(f"written: {', '.join(map(str, written))}")
    end_as(simulation.arms)


@app.command()
@reports_errors
def weak(config: ConfigFile, out: Out = None, changes: Changes = None) -> None:
    """Compare each optimizer with its SDE: weak errors at several learning rates, and the order they vanish in."""
    from sam_sde.jobs.weak import WeakExperiment

    def tell(found: WeakExperiment) -> None:
        print_table(weak_text(found.errors, found.orders))

    run_arms("weak", WeakExperiment, tell, config=config, out=out, changes=changes)

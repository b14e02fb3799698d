"""Commands of theory: exact, stability and action, which draw no random numbers, and displacement beside paths."""

from typing import TYPE_CHECKING

from sam_sde.cli.arm_by_arm import run_arms
from sam_sde.cli.options import Changes, ConfigFile, Out, app
from sam_sde.endings import reports_errors, results_of
from sam_sde.terminal import print_caution, print_table, say
from sam_sde.wording import action_text, basins_lines, displacement_text, exact_text, stability_text

if TYPE_CHECKING:
    from sam_sde.jobs.stability import StabilityExperiment


@app.command()
@reports_errors
def exact(config: ConfigFile, out: Out = None, changes: Changes = None) -> None:
    """Compute escape times without paths, in one or two dimensions: mean, deviation, rate, survival, exits by side."""
    from sam_sde.jobs.exact import ExactExperiment

    def tell(found: ExactExperiment) -> None:
        print_table(exact_text(found.summary))

    run_arms("exact", ExactExperiment, tell, config=config, out=out, changes=changes)


@app.command()
@reports_errors
def stability(config: ConfigFile, out: Out = None, changes: Changes = None) -> None:
    """Critical points and stalls, which optimizers they attract, and from where; draws no random numbers."""
    from sam_sde.config.building import Setting
    from sam_sde.config.loading import load_config
    from sam_sde.figures.folder import draw_result
    from sam_sde.jobs.stability import StabilityExperiment

    experiment = StabilityExperiment(Setting(load_config(config, changes or ()), config.parent))
    with results_of("stability", out, config) as destination:
        experiment.execute(lambda what: say(what, error=True))
        experiment.write(destination)
        print_stability(experiment)
        draw_result(destination.written, "stability")
        say(f"written to {destination.written}")


@app.command()
@reports_errors
def action(config: ConfigFile, out: Out = None, changes: Changes = None) -> None:
    """The most likely way out of the region, and the exponent of the escape time; draws no random numbers."""
    from sam_sde.jobs.action import ActionExperiment

    def tell(found: ActionExperiment) -> None:
        print_table(action_text(found.summary))
        for sentence in found.cautions:
            print_caution(sentence)

    run_arms("action", ActionExperiment, tell, config=config, out=out, changes=changes)


def print_stability(experiment: "StabilityExperiment") -> None:
    lr, momentum, rho = experiment.compared_at
    print_table(stability_text(experiment.points_table(), f"lr {lr:g}, momentum {momentum:g}, ρ {rho:g}"))
    for arm, each in experiment.stalls.items():
        if each:
            say(f"{arm}: {len(each)} stalls that are no critical points, see stability_stalls.csv")
    for line in basins_lines(experiment.basins_table()) if experiment.ends else []:
        say(line)
    for sentence in experiment.cautions:
        print_caution(sentence)
    for arm, found in experiment.critical_rhos.items():
        say(f"{arm}: critical rho {found}" if isinstance(found, str) else f"{arm}: trapped from rho = {found:.4g} on")


@app.command()
@reports_errors
def displacement(config: ConfigFile, out: Out = None, changes: Changes = None) -> None:
    """Mean-squared displacement from a critical point over time: paths, exact moments, and the published formulas."""
    from sam_sde.jobs.displacement import DisplacementExperiment

    def tell(found: DisplacementExperiment) -> None:
        print_table(displacement_text(found.table))
        for sentence in found.cautions:
            print_caution(sentence)

    run_arms("displacement", DisplacementExperiment, tell, config=config, out=out, changes=changes)

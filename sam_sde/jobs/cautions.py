"""What a user has to know before believing a table."""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
import torch

from sam_sde.dynamics import GradientDynamics
from sam_sde.dynamics.exact_steps import largest_step
from sam_sde.engines import ENGINES
from sam_sde.escape import EscapeResult, EscapeRun
from sam_sde.escape.checking import statistical_half_width
from sam_sde.statistics import FEW_ESCAPES, Departure, Outcome, departure_from_constant_rate
from sam_sde.theory import lost_damping, perturbation_over_noise, trap_exponent
from sam_sde.theory.action import escape_exponent

MANY_FAILURES = 0.01
MUCH_DAMPING = 0.1
LONG_STEP = 0.5  # of a relaxation time
EXITS = 200  # at which the loss of all samples is looked at

CHANGING_RATES = (
    "no constant rate; `rate` and `rate_ratio` are averages to t_max that do not extrapolate, read rmst and rmst_ratio"
)
SPLIT = "add `rare: {}` to the configuration, which measures the mean time of such an arm by splitting"
SMALLER_STEPS = "try a smaller dt or lr, or a region that ends before the loss grows so steep"


def find_cautions(
    runs: Mapping[str, EscapeRun],
    results: Mapping[str, EscapeResult],
    comparison: pd.DataFrame | None,
    rare: Collection[str] = (),
    splits: bool = False,
    exponents: Mapping[str, float | None] | None = None,
) -> list[str]:
    """One sentence for each thing that limits what the results say.

    rare: the arms that were measured by splitting. splits: whether the configuration asks for that.
    exponents: of the escape times of arms that hardly escape, from `least_exponent`, where they were looked for.
    """
    of_sdes = [arm for arm in results if ENGINES[runs[arm].engine].of_sde]
    found = [_unresolved_step(arm, runs[arm]) for arm in of_sdes]
    found += [_lost_damping(arm, runs[arm]) for arm in of_sdes]
    found += [_long_exact_step(arm, runs[arm]) for arm in of_sdes]
    found += [_rare_looks(arm, runs[arm]) for arm in results]
    found += [_some_samples(arm, runs[arm], result) for arm, result in results.items()]
    found += [_step_beyond_statistics(arm, result) for arm, result in results.items() if result.step_check is not None]
    found += [_levels(arm, result) for arm, result in results.items() if result.levels]
    found += [f"{arm}: {sentence}" for arm in results for sentence in runs[arm].precision_warnings]
    exponents = exponents or {}
    found += [
        _few_escapes(arm, runs[arm], result, splits, exponents.get(arm))
        for arm, result in results.items()
        if arm not in rare
    ]
    found += [_failures(arm, result) for arm, result in results.items()]
    if comparison is not None:
        found += [
            f"{row.arm}: its survival curve crosses that of {row.reference}, so which of them stays longer depends on "
            "the time; look at the curves, one ratio does not tell"
            for row in comparison.itertuples()
            if row.curves_cross
        ]
    return [sentence for sentence in found if sentence]


def _rare_looks(arm: str, run: EscapeRun) -> str | None:
    every = run.problem.region.every
    if every == 1:
        return None
    return (
        f"{arm}: the region is looked at after every {every} steps, so that escape times are up to "
        f"{(every - 1) * run.problem.dt:.3g} too long, and more where a path came back between two looks"
    )


def _some_samples(arm: str, run: EscapeRun, result: EscapeResult) -> str | None:
    """What the loss of all samples is where paths left by that of some."""
    region = run.problem.region
    if getattr(region, "samples", None) is None:
        return None
    said = f"{arm}: the region looks at {region.samples} of {region.surface.n_samples} samples"
    points = torch.from_numpy(result.exit_points[result.outcome == Outcome.ESCAPED][:EXITS])
    if not len(points):
        return f"{said}; no path left, so that nothing tells how far off their loss is"
    differences = region.surface.value(points) - region.looked_at.value(points)
    return (
        f"{said}; where paths left, the loss of all is {differences.mean():+.2g} of theirs on average, "
        f"{differences.min():+.2g} to {differences.max():+.2g}, beside a level of {region.level:g}"
    )


def _step_beyond_statistics(arm: str, result: EscapeResult) -> str | None:
    """Where the change with dt/2 is more than the statistical error, and more than chance."""
    change, low, high = result.step_check.dt_change.values()
    half_width = statistical_half_width(result)
    if not abs(change) > half_width or low <= 0 <= high:
        return None
    return (
        f"{arm}: its mean time changes by {change:.2g} ({low:.2g} to {high:.2g}) with a step of dt/2, more than its "
        f"statistical error of ±{half_width:.2g}; set run.dt below {result.dt / 2:.2g}, or run.accuracy"
    )


def _levels(arm: str, result: EscapeResult) -> str:
    *longer, finest = result.levels
    n_paths = sum(map(len, longer))
    return (
        f"{arm}: behind rmst, and what is computed from it, are {n_paths} paths at longer steps too, of "
        f"{longer[0].dt:.2g} and less; all else is of the {len(finest)} paths at dt = {finest.dt:.2g}"
    )


def hardly_escapes(result: EscapeResult) -> bool:
    return result.count(Outcome.ESCAPED) / len(result) < FEW_ESCAPES


def least_exponent(run: EscapeRun) -> float | None:
    """The exponent of the escape time of an SDE by the way of least action, where it is quickly had."""
    if not ENGINES[run.engine].of_sde:
        return None
    return escape_exponent(run.problem.dynamics, start=run.start.mean, region=run.problem.region)


def _few_escapes(arm: str, run: EscapeRun, result: EscapeResult, splits: bool, exponent: float | None) -> str | None:
    if not hardly_escapes(result):
        return None
    fraction = result.count(Outcome.ESCAPED) / len(result)
    sentence = (
        f"{arm}: only {100 * fraction:.3g} % of the paths escaped before t_max = {result.t_max:g}; "
        "its times are restricted to t_max, and their ratio to those of a faster arm is a lower bound"
    )
    if exponent is not None:
        return (
            f"{sentence}. For little noise the logarithm of its escape time grows like V·B/η = {exponent:.3g}, V the "
            "least action of a way out, which `sam-sde action` shows; lower rho or batch_size, or raise lr"
            + ("" if splits else f", or {SPLIT}")
        )
    exponent = trap_exponent(run.problem.dynamics, run.start.mean)
    if exponent is None:
        return sentence if splits else f"{sentence}; {SPLIT}"
    return (
        f"{sentence}. SAM is trapped: the logarithm of its escape time grows like ρ²|λ|B/(ησ²) = {exponent:.3g}; "
        "lower rho or batch_size, or raise lr" + ("" if splits else f", or {SPLIT}")
    )


def _failures(arm: str, result: EscapeResult) -> str | None:
    failed = result.count(Outcome.FAILED)
    if failed <= MANY_FAILURES * len(result):
        return None
    return (
        f"{arm}: {failed} of {len(result)} paths failed (their state became NaN or infinite, or the level NaN) and are "
        f"left out of the survival curve; {result.overflow_warning or SMALLER_STEPS}"
    )


def changing_rates(results: Mapping[str, EscapeResult]) -> str | None:
    """One sentence for all arms: escapes from a saddle have a delay first, so there are often several."""
    departures = {arm: departure_from_constant_rate(result) for arm, result in results.items()}
    refuted = [f"{arm} ({_departure(found)})" for arm, found in departures.items() if found and found.refutes]
    if not refuted:
        return None
    return f"{', '.join(refuted)}: {CHANGING_RATES}"


def _departure(departure: Departure) -> str:
    return (
        f"{100 * departure.escapes:.2g} % of the escapes in the first {100 * departure.time_inside:.2g} % of the time "
        "inside"
    )


def _unresolved_step(arm: str, run: EscapeRun) -> str | None:
    ratio = perturbation_over_noise(run.problem.dynamics, run.start.mean, run.problem.dt)
    if ratio is None or not ratio > 1:  # not a number where there is no Hessian
        return None
    return (
        f"{arm}: a step does not resolve SAM's perturbation (ρ‖H‖·dt is {ratio:.3g} times the noise of a step, "
        f"√(v·dt)); the SDE needs a dt below {run.problem.dt / ratio**2:.2g}"
    )


def _lost_damping(arm: str, run: EscapeRun) -> str | None:
    """Of Euler's method alone: those of higher order keep the damping."""
    problem = run.problem
    fraction = lost_damping(problem.dynamics, run.start.mean, problem.dt) if problem.method == "euler" else None
    if fraction is None or not fraction > MUCH_DAMPING:
        return None
    return (
        f"{arm}: a step does not resolve the momentum, Euler changes its damping 1-γ by {100 * fraction:.3g} % "
        f"(dt·‖H‖/(1-γ)); the SDE needs a dt below {problem.dt * MUCH_DAMPING / fraction:.2g}, or "
        "method heun"
    )


def _long_exact_step(arm: str, run: EscapeRun) -> str | None:
    """Of the SDE that is exact on quadratics, whose rates grow beyond 1/lr where lr · λ comes near to 1."""
    dynamics, dt = run.problem.dynamics, run.problem.dt
    if not isinstance(dynamics, GradientDynamics) or not dynamics.is_exact:
        return None
    rate = -np.log1p(-largest_step(dynamics, run.start.mean[None])) / dynamics.lr
    if not rate * dt > LONG_STEP:
        return None
    return (
        f"{arm}: a step does not resolve the exact SDE, dt is {rate * dt:.3g} of its shortest relaxation time at the "
        f"start; it needs a dt below {LONG_STEP / rate:.2g}"
    )

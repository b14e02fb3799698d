"""What run.json says of an escape run."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from sam_sde.escape import EscapeResult, Plan
from sam_sde.jobs.record import make_record

if TYPE_CHECKING:
    from sam_sde.jobs.escape import Experiment


def escape_record(experiment: "Experiment", comparison: pd.DataFrame | None) -> dict[str, Any]:
    """What run.json says of the run, but for the tables."""
    results = experiment.results.values()
    path_steps = sum(result.path_steps for result in results)
    kept = sum(entry.path_steps for entry in experiment.kept.values())
    common = make_record(
        "escape",
        experiment.config.model_dump(),
        experiment.setting.folder,
        wall_time=experiment.wall_time,
        interrupted=experiment.interrupted,
        unfinished=experiment.unfinished,
    )
    return common | {
        "seed": experiment.config.run.seed,
        "engine": _only({result.engine for result in results}),
        "engines": {arm: result.engine for arm, result in experiment.results.items()},
        "ways": {arm: result.way for arm, result in experiment.results.items() if result.way},
        "device": _only({result.device for result in results}),
        "workers": _only({run.workers for run in experiment.runs.values()}),
        "block_size": _only({result.block_size for result in results}),
        "dt": {arm: result.dt for arm, result in experiment.results.items()},
        "accuracy": {arm: _chosen(plan, experiment.results.get(arm)) for arm, plan in experiment.plans.items()},
        "chosen": {arm: asdict(choice) for arm, choice in experiment.choices.items()},
        "path_steps": path_steps,
        "path_steps_kept": kept,
        "path_steps_per_second": round((path_steps - kept) / experiment.wall_time),
        "warnings": experiment.cautions(comparison),
    }


def _chosen(plan: Plan, result: EscapeResult | None) -> dict[str, Any]:
    """What was chosen for an accuracy, the shares of the error that were expected of it, and what its levels gave."""
    names = ("way", "dt", "n_paths", "statistical_error", "step_error")
    levels = [
        {"dt": level.dt, "n_paths": len(level), "mean": level.mean, "standard_error": level.error}
        for level in (result.levels if result is not None else ())
    ]
    return {name: getattr(plan, name) for name in names} | ({"levels": levels} if levels else {})


def _only(values: set):
    """The value that all arms share, or all of them."""
    return next(iter(values)) if len(values) == 1 else sorted(values)

"""What commands have in common that go through the arms of a configuration, and keep those that have ended."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sam_sde.endings import end_as, results_of
from sam_sde.terminal import say


def run_arms(
    command: str,
    experiment_of: Callable[[Any], Any],
    tell: Callable[[Any], None],
    *,
    config: Path,
    out: Path | None,
    changes: list[str] | None,
) -> None:
    """Checks the experiment that `experiment_of` makes of a `Setting`, executes, writes and draws it.

    tell: prints what was found, also where it could not be written.
    """
    from sam_sde.config.building import Setting
    from sam_sde.config.loading import load_config
    from sam_sde.figures.folder import draw_result

    experiment = experiment_of(Setting(load_config(config, changes or ()), config.parent))
    with results_of(command, out, config) as destination:
        experiment.execute(lambda what: say(what, error=True), destination)
        try:
            experiment.write(destination)
        finally:
            tell(experiment)
        draw_result(destination.written, command)
        say(f"written to {destination.written}")
    end_as(experiment.arms)

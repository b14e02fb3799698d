"""How many workers a run is worth, where nobody says."""

import torch

from sam_sde.engines import ENGINES, EscapeProblem

# Numbers in the states of a block from which its steps take longer than to call them, so that a thread more is of use.
NUMBERS_A_THREAD = 2**13

# Coordinates of all paths in all steps, times the samples of a loss over data: processes take seconds to start.
WORTH_PROCESSES = 1e9


def worthwhile_workers(problem: EscapeProblem, engine: str, n_paths: int, device: torch.device) -> int:
    """As many as torch itself would use threads, where the work is worth that; a GPU has one."""
    if device.type != "cpu":
        return 1
    if ENGINES[engine].in_threads:
        fitting = n_paths * problem.dynamics.state_dim // NUMBERS_A_THREAD
        return max(1, min(torch.get_num_threads(), fitting))
    work = n_paths * problem.n_steps * numbers_of_a_step(problem)
    return torch.get_num_threads() if work >= WORTH_PROCESSES else 1


def numbers_of_a_step(problem: EscapeProblem) -> int:
    """Coordinates of a path; a loss over data sums them over its samples."""
    dynamics = problem.dynamics
    return dynamics.dim * getattr(getattr(dynamics, "surface", None), "n_samples", 1)

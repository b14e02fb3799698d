"""How many workers a run is worth, where nobody says."""

import torch

from sam_sde.engines import ENGINES, EscapeProblem, work_of

# Numbers in the states of a block from which its steps take longer than to call them, so that a thread more is of use.
NUMBERS_A_THREAD = 2**13

# As `work_of` counts it, from ten seconds on: the first processes take three to start.
WORTH_PROCESSES = 3e8


def worthwhile_workers(problem: EscapeProblem, engine: str, n_paths: int, device: torch.device) -> int:
    """As many as torch itself would use threads, where the work is worth that; a GPU has one."""
    if device.type != "cpu":
        return 1
    if ENGINES[engine].in_threads:
        fitting = n_paths * problem.dynamics.state_dim // NUMBERS_A_THREAD
        return max(1, min(torch.get_num_threads(), fitting))
    return torch.get_num_threads() if work_of(problem, n_paths, ENGINES[engine].of_sde) >= WORTH_PROCESSES else 1

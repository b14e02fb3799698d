"""The same Brownian paths with steps of half the length: what a change of dt does, path by path.

The noise of a step is split by a Brownian bridge, from keyed numbers of its own. With the bridge that looks for
crossings within a step, the coarse paths see the same bridge point in the middle of their steps, and the same uniform
numbers decide for both in each half (Giles, "Improved multilevel Monte Carlo convergence using the Milstein scheme",
MCQMC 2006): without that many a path near the boundary would leave in the one and not in the other.
"""

from dataclasses import replace

import torch

from sam_sde.dynamics import times
from sam_sde.engines.first_exit import Exits, first_exits
from sam_sde.engines.integration import Chunk
from sam_sde.engines.problem import EscapeProblem
from sam_sde.random import Purpose, RefinedStream


def half_steps(problem: EscapeProblem) -> tuple[EscapeProblem, EscapeProblem]:
    """The problem at dt and at dt/2, with the same Brownian paths: path i of the one belongs to path i of the other.

    Each has the law that the problem has at that dt, up to the rule of crossing, which for "bridge" is that of dt/2.
    """
    halves = replace(problem, dt=0.5 * problem.dt, stream=RefinedStream(problem.stream.seed, problem.stream.arm))
    return (replace(problem, halves=halves) if problem.crossing == "bridge" else problem), halves


def exits_in_halves(
    problem: EscapeProblem, chunk: Chunk, paths: torch.Tensor, first_step: int, n_valid: torch.Tensor
) -> Exits:
    """`first_exits` of the problem, looked for in the halves of its steps."""
    exits = first_exits(
        problem.halves, _with_middles(problem, chunk, paths, first_step), paths, 2 * first_step, 2 * n_valid
    )
    fraction = 0.5 * (exits.step % 2 + exits.fraction)
    return exits._replace(step=exits.step // 2, fraction=fraction, n_valid=exits.n_valid // 2)


def _with_middles(problem: EscapeProblem, chunk: Chunk, paths: torch.Tensor, first_step: int) -> Chunk:
    """The chunk of 2 · steps: between two the bridge ½(w₀ + w₁) + ½√dt g(t, w₀) ζ, as dt/2 has it."""
    dynamics, stream, states, moved = problem.dynamics, problem.stream, chunk.states, chunk.moved
    refined = moved.new_empty(2 * len(moved) - 1, *moved.shape[1:])
    refined[::2] = moved
    channel = torch.arange(dynamics.channels, device=paths.device)
    for i, step in enumerate(range(first_step, first_step + len(states) - 1)):
        number = torch.full_like(paths, step)[:, None]
        zeta = stream.normals(Purpose.REFINEMENT, paths[:, None], number, channel).to(states)
        spread = 0.5 * problem.dt**0.5 * dynamics.g_prod(times(step * problem.dt, zeta), states[i], zeta)
        refined[2 * i + 1] = 0.5 * (moved[i] + moved[i + 1]) + spread
    return chunk._replace(moved=refined)

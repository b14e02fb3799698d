"""The same Brownian paths with steps of half the length: what a change of dt does, path by path.

The noise of a step is split by a Brownian bridge, from keyed numbers of its own. With the bridge that looks for
crossings within a step, the coarse paths see the same bridge point in the middle of their steps, and the same uniform
numbers decide for both in each half (Giles, "Improved multilevel Monte Carlo convergence using the Milstein scheme",
MCQMC 2006): without that many a path near the boundary would leave in the one and not in the other.
"""

from dataclasses import replace

import torch

from sam_sde.engines.bridge import Bridges, bridges
from sam_sde.engines.candidates import Candidates, candidates_of, times
from sam_sde.engines.first_exit import Exits, bridge_exits, no_exits
from sam_sde.engines.integration import Chunk
from sam_sde.engines.problem import EscapeProblem
from sam_sde.random import Purpose, RefinedStream


def half_steps(problem: EscapeProblem) -> tuple[EscapeProblem, EscapeProblem]:
    """The problem at dt and at dt/2, with the same Brownian paths: path i of the one belongs to path i of the other.

    Each has the law that the problem has at that dt, but for steps that may leave by either of two faces.
    """
    stream = problem.stream
    halves = replace(problem, dt=0.5 * problem.dt, stream=RefinedStream(stream.seed, stream.arm, stream.level))
    return (replace(problem, halves=halves) if problem.crossing == "bridge" else problem), halves


def exits_in_halves(
    problem: EscapeProblem, chunk: Chunk, paths: torch.Tensor, first_step: int, n_valid: torch.Tensor
) -> Exits:
    """`first_exits` of the problem, looked for in the halves of its steps."""
    states = chunk.states
    if not states.shape[1]:
        return no_exits(states, n_valid)
    whole, n_valid = candidates_of(problem, chunk, states, first_step, n_valid)
    if not len(whole.step):
        return no_exits(states, n_valid)
    found = bridges(problem, whole, first_step)
    candidates, found = _in_halves(problem, whole, found, paths, first_step)
    exits = bridge_exits(problem.halves, candidates, found, paths, 2 * first_step, states, n_valid)
    return exits._replace(step=exits.step // 2, fraction=0.5 * (exits.step % 2 + exits.fraction))


def _in_halves(
    problem: EscapeProblem, whole: Candidates, found: Bridges, paths: torch.Tensor, first_step: int
) -> tuple[Candidates, Bridges]:
    """The first halves and the second ones, between them ½(w₀ + w₁) + ½√dt g(t, w₀) ζ, as dt/2 has it.

    The level is there that of the bridge, linear in the weights, so that whole steps cross with the law they have
    without halves.
    """
    dynamics, step, path = problem.dynamics, first_step + whole.step, paths[whole.row]
    channel = torch.arange(dynamics.channels, device=path.device)
    zeta = problem.stream.normals(Purpose.REFINEMENT, path[:, None], step[:, None], channel).to(whole.w0)
    moved = 0.5 * problem.dt**0.5 * dynamics.g_prod(times(problem, whole.w0, step), whole.w0, zeta)
    middle = 0.5 * (whole.w0 + whole.w1) + moved
    level = 0.5 * (found.level0 + found.level1) + (found.normal * moved).sum(-1)
    found = found._replace(variance=0.5 * found.variance)
    candidates = _joined(
        whole._replace(step=2 * whole.step, w1=middle, level1=level),
        whole._replace(step=2 * whole.step + 1, w0=middle, level0=level),
    )
    return candidates, _joined(found._replace(level1=level), found._replace(level0=level))


def _joined(first, second):
    """One tuple of columns below the other."""
    return type(first)(*(torch.cat(columns) for columns in zip(first, second, strict=True)))

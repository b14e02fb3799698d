"""Where paths stay, and how long they take to forget where they began.

They have settled when the score at some time and at half of it, and each coordinate of the states, are taken for
samples of one law. What the score does not see counts too: a slow coordinate may open the way out only after a long
while.
"""

from dataclasses import dataclass, field

import torch
from scipy.stats import ks_2samp

from sam_sde.errors import ArgumentError
from sam_sde.rare.chain import LONGEST_WALK, STEPS, Chain, HeldError

# Paths that leave while they settle: splitting has nothing to gain.
MANY_LEAVE = 0.5
SAME = 0.2  # p-value above which all these samples are taken for those of one law; to doubt it costs time alone

# Coordinates that are looked at, or combinations of all where there are more.
MOST_LOOKED_AT = 16

# A flat direction never settles: after so many times as long as the score took, it is left behind with a warning.
PATIENCE = 64


class NotRareError(ArgumentError):
    """Paths leave before they settle anywhere."""


@dataclass(frozen=True)
class Settled:
    """scores: where paths stay. steps: in which they settle. slow: whether a coordinate had not settled by then."""

    scores: torch.Tensor
    steps: int
    slow: bool


@dataclass
class _Window:
    """From some step to twice that: what was at its beginning, and the scores at each look since."""

    first: int = STEPS
    scores: torch.Tensor | None = None
    looked_at: torch.Tensor | None = None
    seen: list[torch.Tensor] = field(default_factory=list)

    def begin(self, step: int, scores: torch.Tensor, states: torch.Tensor) -> None:
        self.first, self.scores, self.looked_at, self.seen = step, scores, _looked_at(states), []


def settle(chain: Chain, paths: torch.Tensor) -> Settled:
    """Raises NotRareError where most paths leave meanwhile, HeldError where they do not settle."""
    states, step, n_paths, window, score_settled = chain.run.states_at_start(paths), 0, len(paths), _Window(), None
    while True:
        chunk, scores = chain.look(states, paths, step)
        look = chain.exits(chunk, scores, paths, step, torch.full_like(paths, STEPS))
        inside = (look.left < 0) & (look.n_valid == STEPS)
        states, paths, last = chunk.end[inside], paths[inside], scores[-1, inside]
        step += STEPS
        if len(paths) <= (1 - MANY_LEAVE) * n_paths:
            raise NotRareError(
                "region",
                f"{n_paths - len(paths)} of {n_paths} paths left it, or failed, in {step} steps, before they settled "
                "anywhere inside: escapes are not rare, nothing is gained by splitting; direct simulation tells them",
            )
        window.seen.append(last)
        if step == 2 * window.first:
            if _alike(window.scores[:, None], last[:, None]):
                score_settled = score_settled or step
                slow = not _alike(window.looked_at, _looked_at(states))
                if not slow or step >= PATIENCE * score_settled:
                    return Settled(torch.cat(window.seen).double(), window.first, slow)
            window.begin(step, last, states)
        elif step == window.first:
            window.begin(step, last, states)
        if step >= LONGEST_WALK:
            raise HeldError(f"paths have not settled in {step} steps; try a start where they stay, or a larger dt")


def _looked_at(states: torch.Tensor) -> torch.Tensor:
    """Some columns (paths, columns) that tell of all coordinates."""
    dim = states.shape[1]
    if dim <= MOST_LOOKED_AT:
        return states.clone()
    place, column = torch.meshgrid(torch.arange(dim), torch.arange(1, MOST_LOOKED_AT + 1), indexing="ij")
    return states @ torch.cos(place * column).to(states)


def _alike(before: torch.Tensor, after: torch.Tensor) -> bool:
    columns = zip(before.cpu().double().numpy().T, after.cpu().double().numpy().T, strict=True)
    return all(ks_2samp(*pair).pvalue > SAME / before.shape[1] for pair in columns)

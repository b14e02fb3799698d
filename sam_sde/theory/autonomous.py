"""Whether drift and noise of an SDE know nothing of time, as equations for its escape ask for."""

from __future__ import annotations

import torch
from torch import Tensor

from sam_sde.dynamics import Dynamics, times

# In learning rates: a drift that is the same at all of them is taken to know nothing of time.
ASKED_TIMES = (0.0, 0.5, 1.0, 17.0, 1e3, 1e5, 1e8)


def is_autonomous(dynamics: Dynamics, at: Tensor) -> bool:
    """Whether drift and covariance at a state (1, dim), and at one beside it, are the same at all times."""
    beside = torch.cat([at, at + 1e-3 * (1 + at.abs())])
    seen = []
    for asked in ASKED_TIMES:
        t = times(asked * dynamics.lr, beside)
        seen.append(torch.cat([dynamics.f(t, beside)[..., None], dynamics.covariance(t, beside)], dim=-1))
    return all(torch.equal(seen[0].nan_to_num(), other.nan_to_num()) for other in seen[1:])

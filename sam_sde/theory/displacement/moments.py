"""The mean-squared displacement of an optimizer by theory: its SDE, its algorithm, the published formula."""

from dataclasses import dataclass

import numpy as np
import torch

from sam_sde.dynamics import GradientDynamics
from sam_sde.errors import InputError
from sam_sde.theory.displacement.expansion import Expansion
from sam_sde.theory.displacement.formulas import formula_of
from sam_sde.theory.displacement.linear_arm import LinearArm, linear_arm

# How much of drift or noise may differ from what is linear, at twice the displacement; more than rounding is told of.
MOST_BENT = 0.05
ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Theory:
    """E x² along the directions, each (times, directions) and NaN where it is not known.

    exact: of the linearized SDE. discrete: of the algorithm. formula: as it is published, with its `formula_name`;
    formula_valid: 1 where it holds to 5 %, and 0 where not. notes: a sentence for each thing that is not known. arm:
    the linear equations.
    """

    exact: np.ndarray
    discrete: np.ndarray
    formula: np.ndarray
    formula_valid: np.ndarray
    formula_name: str | None
    notes: list[str]
    arm: LinearArm | None


def theory_of(
    dynamics: GradientDynamics,
    at: Expansion,
    *,
    times: np.ndarray,
    mean: np.ndarray,
    variance: float = 0.0,
    of_algorithm: bool = False,
) -> Theory:
    """The exact mean-squared displacement near a critical point, at `times` (times,), t = lr · steps.

    mean (directions,), variance: of the coordinate x along each direction at the start. of_algorithm: whether the
    formula is judged as one of the algorithm; of the SDE otherwise.

    Drift and noise are those of the critical point, the drift linear. How far the optimizer's own differ from that is
    looked up at twice the displacement, on both sides along each direction: from where on it is more than 5 % nothing
    is stated, and below a note says how much it is at most. Times at which the algorithm has not taken a whole number
    of steps have no discrete one.
    """
    empty = np.full((len(times), len(at.directions)), np.nan)
    try:
        arm = linear_arm(dynamics, at)
    except InputError as error:
        note = f"exact, discrete and formula are empty: {getattr(error, 'message', error)}"
        return Theory(empty, empty, empty, empty, None, [note], None)
    notes = []
    exact, discrete = empty, _of_algorithm(arm, times, mean, variance)
    try:
        dynamics.check_sde()
        exact = arm.of_sde(times, mean, variance)
    except InputError as error:
        notes.append(f"exact is empty: {error}")
    formula = formula_of(arm, times, mean, variance, of_algorithm=of_algorithm or arm.is_corrected)
    if formula is None:
        notes.append("formula is empty: none is published for weight decay or Nesterov's momentum")
    bent = _bent(dynamics, arm, at, np.fmax(exact, discrete))
    known = bent <= MOST_BENT
    if not known.all():
        first = bent[~known][0]
        much = f"by {100 * first:.2g} %" if np.isfinite(first) else "altogether"  # where those vanish
        notes.append(
            f"exact, discrete and formula are empty from t = {times[~known][0]:.4g} on: drift or noise differ there "
            f"{much} from those of the critical point, within twice the displacement"
        )
    elif bent.max() > ROUNDING:
        notes.append(
            f"drift or noise differ by up to {100 * bent.max():.2g} % from those of the critical point, within twice "
            "the displacement; exact, discrete and formula hold for those"
        )
    keep = np.where(known, 1.0, np.nan)[:, None]
    return Theory(
        exact * keep,
        discrete * keep,
        empty if formula is None else formula.values * keep,
        empty if formula is None else formula.valid * keep,
        None if formula is None else formula.name,
        notes,
        arm,
    )


def _of_algorithm(arm: LinearArm, times: np.ndarray, mean: np.ndarray, variance: float) -> np.ndarray:
    counts = np.rint(times / arm.lr)
    whole = np.abs(times / arm.lr - counts) <= 1e-6
    return np.where(whole[:, None], arm.of_algorithm(counts, mean, variance), np.nan)


@torch.no_grad()
def _bent(dynamics: GradientDynamics, arm: LinearArm, at: Expansion, squares: np.ndarray) -> np.ndarray:
    """How far drift or noise differ from the linear ones up to each time (times,), as a share of the largest.

    squares (times, directions): E x². The share is that of the largest of the moving directions at a time.
    """
    vectors, location = torch.from_numpy(at.eigenvectors), torch.from_numpy(at.location)
    expected_noise = torch.from_numpy(arm.variance)
    shares = []
    for far in 2.0 * np.sqrt(squares):
        if not np.isfinite(far).all():  # nothing is stated where nothing is known
            shares.append(0.0 if np.isnan(far).all() else np.inf)
            continue
        x = torch.cat([torch.diag(torch.from_numpy(far)), -torch.diag(torch.from_numpy(far))])
        x = x[x.any(-1)]
        w = location + x @ vectors.T
        descent = dynamics.descent(0.0, w) + dynamics.weight_decay * w
        linear = (x * torch.from_numpy(arm.curvature)) @ vectors.T + dynamics.weight_decay * location
        noise = torch.stack([_variance_along(dynamics, w, unit) for unit in vectors.T], dim=-1)
        # A flat direction has no drift of its own to compare with: then with that of the largest curvature.
        size = np.abs(arm.curvature).max() * x.norm(dim=-1)
        shares.append(
            max(_share((descent - linear).norm(dim=-1), size), _share(noise - expected_noise, expected_noise))
        )
    return np.maximum.accumulate(np.array(shares))


def _variance_along(dynamics: GradientDynamics, w: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    """V (paths,) of a minibatch along a direction (dim,) at the weights w (paths, dim)."""
    along = unit.expand_as(w).contiguous()
    return dynamics.minibatch_variance * dynamics.transposed_noise(0.0, w, along).square().sum(-1)


def _share(difference: torch.Tensor, size: torch.Tensor) -> float:
    """The largest difference as a share of the largest of the sizes; what differs where all are zero is infinite."""
    if not difference.numel() or not difference.any():
        return 0.0
    largest = size.abs().max().item()
    found = difference.abs().max().item() / largest if largest else np.inf
    return found if np.isfinite(found) else np.inf

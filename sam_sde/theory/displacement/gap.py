"""By how much SAM is displaced less than SGD: Corollary 1 of Kim et al. (arXiv 2301.06308), and where it holds."""

import numpy as np

from sam_sde.theory.displacement.formulas import TOLERANCE
from sam_sde.theory.displacement.linear_arm import LinearArm


def comparable(reference: LinearArm, arm: LinearArm) -> bool:
    """Whether Corollary 1 is about the two: SGD and USAM without momentum, with all else equal."""
    plain = not any(each.momentum or each.weight_decay for each in (reference, arm))
    noise = np.allclose(reference.variance * arm.gain, arm.variance, rtol=1e-9, atol=0)
    return plain and reference.lr == arm.lr and reference.rho == 0 < arm.rho and noise


def gap_formula(
    reference: LinearArm, arm: LinearArm, times: np.ndarray, *, of_algorithm: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """2ηt²λ²ρV of SGD minus USAM, V = s/B the noise of a minibatch of SGD, and where it holds (times, directions).

    To the third order in t the gap of a drift D and noise c²V is ηV ((1-c²)t + (c²D-λ)t² - ⅔(c²D²-λ²)t³). The formula
    is its t² for c² = 1 and D = λ(1+ρλ)², to first order in ρλ: it is off by the shares ½ρ|λ| and ⅔|D+λ|t. For the
    drift of the algorithm the gap is half as large, and with the same batch for both gradients it begins with t.
    """
    times, eigenvalues, rho = np.asarray(times, dtype=float)[:, None], arm.eigenvalues, arm.rho
    values = 2.0 * arm.lr * times**2 * eigenvalues**2 * rho * reference.variance
    total = eigenvalues * (1.0 + rho * eigenvalues) ** 2
    own = arm.algorithm_curvature if of_algorithm else arm.curvature
    with np.errstate(all="ignore"):
        error = 0.5 * rho * np.abs(eigenvalues) + 2.0 / 3.0 * np.abs(total + eigenvalues) * times
        error = error + np.abs((own - total) / (total - eigenvalues))
        error = error + np.abs((1.0 - arm.gain) / ((total - eigenvalues) * times))
        if of_algorithm:
            error = error + arm.lr / times
    return values, (error <= TOLERANCE).astype(float)

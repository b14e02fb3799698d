"""Equations of a Markov chain that hardly leaves, solved to full relative accuracy."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, SuperLU, eigs, splu

from sam_sde.errors import ArgumentError

MOST_PINS = 24
ACCURATE, SMALL = 1e-11, 1e-6
REGULAR = 1e-13
TOO_RARE = 1e-300  # a rate


class Chain:
    """A continuous-time Markov chain that leaves by its faces: A = diag(Σ_j q_ij + Σ_f e_if) - Q.

    q: rates (states, states) between states, sparse, none of them negative; leaving: rates (states, faces).
    pins: states where the chain is found first, such as the start.

    A is nearly singular where the mean time is large, and its factors then lose as many digits. But all of its
    equations are additions of positive numbers once a few states are pinned, at least one in each place where the
    chain is held: the chain that ends at them is quickly over, and the small chain of the pinned states alone is
    eliminated without subtractions (Grassmann, Taksar and Heyman, Operations Research 33, 1985). Whether it ends at
    all is told by the probabilities of all ends, whose sum is 1; as long as it is not, the state is pinned where the
    chain stays longest.

    Attributes
        rounding: how far that sum is from 1, which bounds the relative error of rounding in `solve`.
    """

    def __init__(self, q: sparse.csr_array, leaving: np.ndarray, pins: list[int]):
        self.q, self.leaving = q, leaving
        self.total = np.asarray(q.sum(axis=1)).ravel() + leaving.sum(axis=1)
        self.pins = list(pins)
        self._pin()
        while self.rounding > ACCURATE and len(self.pins) < MOST_PINS:
            held = np.abs(self._lu.solve(np.ones(len(self._free)), "T"))
            before = self.rounding
            self.pins.append(int(self._free[np.nan_to_num(held, posinf=np.inf).argmax()]))
            self._pin()
            if 0.5 * before < self.rounding < SMALL:
                break
        if not self.rounding < SMALL:
            raise ArgumentError(
                "dynamics",
                f"paths are held for so long in more than {MOST_PINS} places that the equations lose all digits; try "
                "more noise, or a smaller region",
            )

    @property
    def a(self) -> sparse.csr_array:
        return (sparse.diags_array(self.total) - self.q).tocsr()

    def _pin(self) -> None:
        free = np.ones(len(self.total), dtype=bool)
        free[self.pins] = False
        self._free = np.flatnonzero(free)
        among = self.q[self._free][:, self._free]
        total = self.total[self._free]
        try:
            self._lu = without_pivots(sparse.diags_array(total) - among)
        except RuntimeError:  # exactly singular: held for good, as far as the digits tell; good enough to see where
            self._lu, self.rounding = without_pivots(sparse.diags_array(total * (1 + REGULAR)) - among), np.inf
            return
        self._to_pins = self._lu.solve(self.q[self._free][:, self.pins].toarray())
        leaves = self._lu.solve(self.leaving[self._free])
        self._from_pins = self.q[self.pins][:, self._free]
        self._between = self.q[self.pins][:, self.pins].toarray() + self._from_pins @ self._to_pins
        self._pins_leave = self.leaving[self.pins] + self._from_pins @ leaves
        error = np.abs(self._to_pins.sum(axis=1) + leaves.sum(axis=1) - 1)
        self.rounding = float(np.nan_to_num(error, nan=np.inf).max(initial=0.0))

    def solve(self, b: np.ndarray) -> np.ndarray:
        """x of A x = b for b (states,) or (states, columns); each entry accurate where b has none below 0."""
        rest = self._lu.solve(b[self._free])
        at_pins = eliminate(self._between, self._pins_leave.sum(axis=1), b[self.pins] + self._from_pins @ rest)
        x = np.empty_like(b, dtype=float)
        x[self.pins] = at_pins
        x[self._free] = rest + self._to_pins @ at_pins
        return x

    def occupation(self) -> np.ndarray:
        """The mean time (states,) that the chain spends in each state when it begins in the first of its pins."""
        units = np.eye(len(self.pins))
        times = np.empty(len(self.total))
        times[self.pins] = eliminate(self._between, self._pins_leave.sum(axis=1), units)[0]
        times[self._free] = self._lu.solve(self._from_pins.T @ times[self.pins], "T")
        return times

    def slowest(self, mean: np.ndarray) -> tuple[float, np.ndarray]:
        """The smallest eigenvalue λ of A, and its eigenvector (states,) with the largest entry 1.

        The probability to be inside falls as e^{-λt} in the end. mean (states,): times to leave, to begin with.
        """
        scale = mean.max()
        inverse = LinearOperator((len(mean),) * 2, matvec=lambda b: self.solve(b.ravel()) / scale, dtype=float)
        values, vectors = eigs(inverse, k=1, v0=mean / scale, tol=1e-10, maxiter=3000)
        mode = vectors[:, 0].real
        mode = mode / mode[np.abs(mode).argmax()]
        # The quotient of sums has the digits that an eigenvalue of nearly parallel vectors lacks.
        return float(1 / (values[0].real * scale)), mode


def eliminate(between: np.ndarray, leaving: np.ndarray, b: np.ndarray) -> np.ndarray:
    """x of (diag(Σ_j r_ij + e_i) - R) x = b without a subtraction, for rates r_ij, e_i and b (states, …)."""
    r, e, x = between.copy(), leaving.copy(), np.array(b, dtype=float)
    totals = np.empty(len(e))
    for k in reversed(range(len(e))):
        totals[k] = r[k, :k].sum() + e[k]
        if not totals[k] > TOO_RARE:
            raise beyond(-np.log10(totals[k]) if totals[k] > 0 else None)
        share = r[:k, k] / totals[k]
        r[:k, :k] += np.outer(share, r[k, :k])
        e[:k] += share * e[k]
        x[:k] += np.multiply.outer(share, x[k])
    for k in range(len(e)):
        x[k] = (x[k] + np.tensordot(r[k, :k], x[:k], axes=1)) / totals[k]
    return x


def beyond(log10: float | None) -> ArgumentError:
    """The error of a mean time that is no number of double precision."""
    about = "" if log10 is None else f": about 10^{log10:.5g}"
    return ArgumentError(
        "dynamics", f"the mean escape time is beyond 1e300{about}; try more noise, a smaller rho, or a smaller region"
    )


def without_pivots(matrix: sparse.sparray) -> SuperLU:
    """The LU factors with the pivots on the diagonal, as an M-matrix allows."""
    options = {"SymmetricMode": True}
    return splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)

"""Escape over a barrier: Kramers' time for white noise, with its prefactor, and Xie's for noise of the Hessian."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sam_sde import checks
from sam_sde.checks import shown
from sam_sde.dynamics import SGD, Dynamics
from sam_sde.errors import ArgumentError
from sam_sde.parameters import Point
from sam_sde.surfaces import LossSurface
from sam_sde.theory.action.attractor import flow_from
from sam_sde.theory.action.field import Field
from sam_sde.theory.autonomous import is_autonomous
from sam_sde.theory.stability.linear import is_flat
from sam_sde.theory.stability.points import Critical, critical_point_at, critical_points

LOW = 4.0  # barrier over temperature below which the formula is off by tens of percent
BESIDE = 1e-3  # of 1+‖w‖: how far from a saddle its two sides are
NEAR = 1e-3  # of 1+‖w‖: a flow that ends so near a minimum ends at it
LARGEST_LOG = 300 * math.log(10)  # of a time, as of exact ones
ROUND = 1e-9  # relative difference of variances in two directions that counts as none


@dataclass(frozen=True)
class Kramers:
    """The mean time to cross from a minimum over saddles, for little noise. Times are t = lr · steps.

    mean_time: 1/Σ rates. temperature: T = ησ²/(2B(1-γ)). saddles (saddles, dim); barriers, prefactors, rates
    (saddles,): ΔL, k e^{ΔL/T} and k of each.
    """

    mean_time: float
    temperature: float
    saddles: np.ndarray
    barriers: np.ndarray
    prefactors: np.ndarray
    rates: np.ndarray


def kramers_time(dynamics: Dynamics, *, minimum: Point, saddles: Sequence[Point] | None = None) -> Kramers:
    """Kramers' and Eyring's mean time to leave the basin of a minimum over one or several saddles, in any dimension.

    For SGD with noise of the same variance σ² in all directions, of temperature T = ησ²/(2B(1-γ)),

        k = λ₊/(2π) · √(det H_a/|det H_b|) · e^{-ΔL/T}

    for each saddle, H_a and H_b the Hessians of minimum and saddle, λ₊ the rate at which the flow leaves the saddle:
    |λ_b| without momentum, |λ_b|/(1-γ) for overdamped momentum, the positive root of ηλ² + (1-γ)λ = |λ_b| for
    underdamped (Kramers, Physica 7, 1940; Langer, Annals of Physics 54, 1969; Hänggi, Talkner and Borkovec, Rev. Mod.
    Phys. 62, 1990). The mean time is that to the other side of the saddles, 1/Σk up to a relative error of the order
    T/ΔL; where a region ends on a saddle it is half as long. With momentum the damping must not be weak beside T:
    (1-γ)ΔL ≫ T √(ηλ).

    minimum: one point (dim,). saddles: points of index 1 that lead out of its basin; by default those of the points
    that the surface lists. A saddle behind another one does not count.

    Raises
        ArgumentError: another optimizer than SGD, noise that differs between directions or from place to place,
            schedules, weight decay, points that are no minimum and no saddle with the minimum on one side alone, a
            mean time beyond 1e300.
    """
    temperature = _temperature(dynamics)
    surface = dynamics.surface
    bottom = critical_point_at(surface, checks.vector("minimum", minimum, dynamics.dim).numpy(), "minimum")
    if bottom.index or is_flat(bottom.eigenvalues).any():
        raise _not_one("minimum", bottom, "a minimum without flat directions")
    passes = _passes(surface, bottom, saddles)
    barriers = np.array([each.loss - bottom.loss for each in passes])
    prefactors = np.array([_prefactor(dynamics, bottom, each) for each in passes])
    if barriers.min() < LOW * temperature:
        warnings.warn(
            f"the barrier is {barriers.min() / temperature:.2g} temperatures high; Kramers' time is off by about "
            f"{temperature / barriers.min():.0%}, and holds from {LOW:g} on",
            UserWarning,
            stacklevel=2,
        )
    rates = prefactors * np.exp(-barriers / temperature)
    locations = np.array([each.location for each in passes])
    log_time = -np.logaddexp.reduce(np.log(prefactors) - barriers / temperature)
    return Kramers(_time("dynamics", log_time), temperature, locations, barriers, prefactors, rates)


def xie_time(
    *, barrier: float, minimum_sharpness: float, saddle_sharpness: float, lr: float, batch_size: int, s: float
) -> float:
    """Xie's mean escape time for SGD with noise |H|: 2π/|h_b| · exp[(2BΔL/η)(s/h_a + (1-s)/|h_b|)].

    h_a and h_b: curvatures along the way out, at the minimum and at the saddle. s in (0, 1) is not predicted, but what
    part of the way counts as the minimum's: fit it, see `fit_xie` (Xie, Sato and Sugiyama, ICLR 2021, Theorem 3.2).

    Raises
        ArgumentError: a value out of its range, a time beyond 1e300.
    """
    height, above = checks.positive("barrier", barrier), checks.positive("minimum_sharpness", minimum_sharpness)
    below = abs(checks.real("saddle_sharpness", saddle_sharpness))
    if not below:
        raise ArgumentError("saddle_sharpness", "expected a curvature that is not 0, got 0")
    scale = 2 * checks.whole("batch_size", batch_size, low=1) * height / checks.positive("lr", lr)
    if not 0 <= checks.real("s", s) <= 1:
        raise ArgumentError("s", f"expected a number from 0 to 1, got {shown(s)}")
    return _time("barrier", math.log(2 * math.pi / below) + scale * (s / above + (1 - s) / below))


def _time(name: str, log_time: float) -> float:
    """A time from its logarithm; raises ArgumentError where double precision has no such number."""
    if log_time > LARGEST_LOG:
        raise ArgumentError(
            name,
            f"the mean time is beyond 1e300, about 10^{log_time / math.log(10):.5g}; try more noise, or a larger lr",
        )
    return math.exp(log_time)


def _temperature(dynamics: Dynamics) -> float:
    if type(dynamics) is not SGD:
        raise ArgumentError(
            "dynamics", f"expected SGD, of whose escapes Kramers' time tells, got {type(dynamics).__name__}"
        )
    changed = {
        "weight_decay": dynamics.weight_decay,
        "drift_order": dynamics.drift_order != 1,
        "sde": dynamics.sde != "usual",
    }
    for key in [key for key, is_changed in changed.items() if is_changed]:
        raise ArgumentError(key, "Kramers' time is that of the gradient of the loss alone; leave it out")
    factor = dynamics.noise.factor(torch.zeros(1, dynamics.dim, dtype=torch.float64))[0]
    covariance = (factor @ factor.mT).numpy()
    variance = float(covariance[0, 0])
    uneven = np.abs(covariance - variance * np.eye(dynamics.dim)).max()
    if not dynamics.noise.additive or not variance > 0 or uneven > ROUND * variance:
        raise ArgumentError(
            "noise",
            "Kramers' time is that of noise with the same variance everywhere and in all directions; try "
            "IsotropicNoise, or least_action for the exponent alone",
        )
    origin = torch.zeros(1, dynamics.dim, dtype=torch.float64)
    at = dynamics.initial_state(origin, torch.zeros(1, dynamics.channels, dtype=torch.float64))
    if not is_autonomous(dynamics, at):
        raise ArgumentError("lr_schedule", "Kramers' time is that of a constant learning rate; leave it out")
    return dynamics.lr * dynamics.minibatch_variance * variance / (2 * (1 - dynamics.momentum))


def _prefactor(dynamics: SGD, bottom: Critical, top: Critical) -> float:
    """λ₊/(2π) · √(det H_a/|det H_b|), by logarithms."""
    unstable, damping = abs(top.eigenvalues[0]), 1 - dynamics.momentum
    growth = unstable / damping
    if dynamics.state_dim != dynamics.dim:
        growth = 2 * unstable / (damping + math.sqrt(damping**2 + 4 * dynamics.lr * unstable))
    log_ratio = np.log(bottom.eigenvalues).sum() - np.log(np.abs(top.eigenvalues)).sum()
    return growth / (2 * math.pi) * math.exp(log_ratio / 2)


def _passes(surface: LossSurface, bottom: Critical, saddles: Sequence[Point] | None) -> list[Critical]:
    """The saddles that lead out of the basin of a minimum."""
    if saddles is None:
        listed = [each for each in critical_points(surface) if _is_pass(each)]
        found = [each for each in listed if sum(_sides(surface, each, bottom)) == 1]
        if not found:
            raise ArgumentError(
                "saddles", f"none of the points that the surface {surface.name} lists leads out of the basin; name some"
            )
        return found
    found = [
        critical_point_at(surface, checks.vector("saddles", each, surface.dim).numpy(), "saddles") for each in saddles
    ]
    for each in found:
        if not _is_pass(each):
            raise _not_one("saddles", each, "saddles of index 1 without flat directions")
        if sum(_sides(surface, each, bottom)) != 1:
            raise _not_one("saddles", each, "saddles with the minimum on one of their two sides")
    if not found:
        raise ArgumentError("saddles", "expected at least one point, got none")
    return found


def _is_pass(point: Critical) -> bool:
    return point.index == 1 and not is_flat(point.eigenvalues).any()


def _sides(surface: LossSurface, top: Critical, bottom: Critical) -> list[bool]:
    """Whether the gradient leads to the minimum from each of the two sides of a saddle."""
    identity = torch.eye(surface.dim, dtype=torch.float64)
    field = Field(lambda w: -surface.gradient(w), lambda w: identity.expand(len(w), -1, -1), surface.dim, additive=True)
    reaches = []
    for sign in (-1, 1):
        beside = top.location + sign * BESIDE * (1 + np.linalg.norm(top.location)) * top.eigenvectors[:, 0]
        try:
            end = flow_from(field, beside, lambda _: True).end
        except ArgumentError:  # to infinity
            reaches.append(False)
            continue
        reaches.append(bool(np.linalg.norm(end - bottom.location) <= NEAR * (1 + np.linalg.norm(bottom.location))))
    return reaches


def _not_one(name: str, point: Critical, expected: str) -> ArgumentError:
    return ArgumentError(
        name,
        f"expected {expected}, got {shown(np.round(point.location, 6).tolist())} with the eigenvalues "
        f"{shown(np.round(point.eigenvalues, 6).tolist())}",
    )

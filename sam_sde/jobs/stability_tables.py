"""The tables of `sam-sde stability`, from what was found."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from sam_sde.dynamics import SAM, SGD, USAM, Dynamics, GradientDynamics
from sam_sde.noise import NoNoise
from sam_sde.surfaces import LossSurface
from sam_sde.theory.stability import Critical, Stall, admitted, rho_threshold, stability
from sam_sde.theory.stability.arms import descended
from sam_sde.theory.stability.linear import is_flat

MOST_COORDINATES = 16  # that a table has


def points_table(
    surface: LossSurface, points: Sequence[Critical], *, lr: float, momentum: float, nesterov: bool, rho: float
) -> pd.DataFrame:
    """One row a critical point; of GD, USAM and SAM, all at this lr, momentum and ρ, whether it attracts them."""
    plain = {"lr": lr, "momentum": momentum, "nesterov": nesterov}
    three: dict[str, Dynamics] = {
        "attracts_gd": SGD(surface, NoNoise(), **plain),
        "attracts_usam": USAM(surface, NoNoise(), rho=rho, **plain),
        "attracts_sam": SAM(surface, NoNoise(), rho=rho, **plain),
    }
    return pd.DataFrame(
        [
            {
                "point": number,
                "kind": point.kind,
                "loss": point.loss,
                "index": point.index,
                "eigenvalues": _text(point.eigenvalues),
                **{name: _flag(stability(each, point).attracts) for name, each in three.items()},
                "rho_threshold": rho_threshold(point.eigenvalues),
                "trapping_radius": rho if point.index else np.nan,
                **_coordinates(point.location),
            }
            for number, point in enumerate(points)
        ]
    )


def arms_table(arms: Mapping[str, GradientDynamics], points: Sequence[Critical]) -> pd.DataFrame:
    """One row for each arm and critical point."""
    return pd.DataFrame(
        [
            {"arm": arm, "point": number, **_at_point(dynamics, point)}
            for arm, dynamics in arms.items()
            for number, point in enumerate(points)
        ]
    )


def _at_point(dynamics: GradientDynamics, point: Critical) -> dict[str, float | str]:
    found = stability(dynamics, point)
    return {
        "flow": _text(found.flow),
        "multipliers": _text(found.multipliers),
        "attracts_flow": _flag(found.attracts_flow),
        "attracts": _flag(found.attracts),
        "largest_lr": found.largest_lr if np.isfinite(found.largest_lr) else np.nan,
        "admitted": _admitted(dynamics, point),
    }


def _admitted(dynamics: GradientDynamics, point: Critical) -> float:
    """Whether USAM, or SGD, which is USAM with ρ = 0, can have the point as its limit at all; NaN for others."""
    if not isinstance(dynamics, USAM | SGD) or dynamics.nesterov:
        return np.nan
    eigenvalues = np.where(is_flat(point.eigenvalues), 0.0, point.eigenvalues)
    options = {"lr": dynamics.lr, "rho": getattr(dynamics, "rho", 0.0), "momentum": dynamics.momentum}
    return float(admitted(eigenvalues, **options).all())


def stalls_table(stalls: Mapping[str, Sequence[Stall]], dim: int) -> pd.DataFrame:
    """One row a stall of each arm."""
    rows = [
        {
            "arm": arm,
            "point": number,
            "loss": stall.loss,
            "gradient_norm": stall.gradient_norm,
            "flow": _text(stall.stability.flow),
            "multipliers": _text(stall.stability.multipliers),
            "attracts_flow": _flag(stall.stability.attracts_flow),
            "attracts": _flag(stall.stability.attracts),
            **_coordinates(stall.location),
        }
        for arm, each in stalls.items()
        for number, stall in enumerate(each)
    ]
    columns = ["arm", "point", "loss", "gradient_norm", "flow", "multipliers", "attracts_flow", "attracts"]
    return pd.DataFrame(rows, columns=[*columns, *_coordinates(np.empty(dim))])


def field_table(dynamics: GradientDynamics, points: np.ndarray) -> pd.DataFrame:
    """The loss and the velocity of the flow at points (points, 2)."""
    w = torch.from_numpy(points)
    with torch.no_grad():
        velocity, loss = -descended(dynamics)(w).numpy(), dynamics.surface.value(w).numpy()
    columns = {"x0": points[:, 0], "x1": points[:, 1], "loss": loss}
    return pd.DataFrame(columns | {"velocity0": velocity[:, 0], "velocity1": velocity[:, 1]})


def _coordinates(location: np.ndarray) -> dict[str, float]:
    return {f"x{i}": value for i, value in enumerate(location[:MOST_COORDINATES])}


def _text(numbers: np.ndarray) -> str:
    """Numbers in one column; complex ones as 0.9+0.1j."""
    real = np.isrealobj(numbers) or not np.abs(numbers.imag).any()
    return ";".join(f"{x:.10g}" for x in (numbers.real if real else numbers))


def _flag(known: bool | None) -> float:
    """1, 0, or NaN where it is not known."""
    return np.nan if known is None else float(known)

"""What an escape run asks, in words, from its configuration."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from sam_sde.report.words import listed, number, place, settings

MOST_NAMES = 3  # of arms in a heading

Section = Mapping[str, Any]


def heading(arms: list[str]) -> str:
    if len(arms) > MOST_NAMES:
        return f"How long do {len(arms)} optimizers stay?"
    return f"How long {'do' if len(arms) > 1 else 'does'} {listed(arms)} stay?"


def question(config: Section, labels: list[str], summary: pd.DataFrame, engines: set[str]) -> list[str]:
    """The question as one sentence, and those that say how it was asked."""
    escape, optimizer = config["escape"], config["optimizer"]
    asked = (
        f"How long {'do' if len(labels) > 1 else 'does'} {listed(labels)} stay in {region_words(escape['region'])}, "
        f"on {surface_words(config['surface'])}, when {'they start' if len(labels) > 1 else 'it starts'} "
        f"{start_words(escape['start'])}?"
    )
    shared = [f"the gradient has {noise_words(config['noise'])}"]
    if optimizer["lr"] is not None:
        shared.append(f"the learning rate is {number(optimizer['lr'])}")
    shared.append(f"the batch size {number(optimizer['batch_size'])}")
    if optimizer["momentum"]:
        shared.append(f"the momentum {number(optimizer['momentum'])}")
    own = any(arm.get(key) is not None for arm in config["arms"].values() for key in ("lr", "batch_size", "momentum"))
    how = listed(shared)
    followed = (
        f"{paths_words(summary)} were followed to t_max = {_range(summary['t_max'])}, paths of "
        f"{engine_words(engines)}; time is t = lr · steps."
    )
    return [asked, f"{how[0].upper()}{how[1:]}{', unless an arm has its own' if own else ''}.", followed]


def paths_words(summary: pd.DataFrame) -> str:
    each = " of each arm" if summary["arm"].nunique() > 1 else ""
    return f"{_range(summary['n_paths'], '{:,}')} paths{each}"


def _range(values: pd.Series, form: str = "{:.6g}") -> str:
    """What they all are, or from where to where they reach."""
    ends = [form.format(end) for end in (values.min(), values.max())]
    return ends[0] if values.nunique() == 1 else " to ".join(ends)


def engine_words(engines: set[str]) -> str:
    """What the paths are of: the SDE, the algorithm itself, or each as the arms say."""
    of_algorithm = {engine for engine in engines if "discrete" in engine}
    if not of_algorithm:
        return "the optimizer's stochastic differential equation"
    return (
        "the algorithm itself" if of_algorithm == engines else "the stochastic differential equation or the algorithm"
    )


def surface_words(surface: Section) -> str:
    extra = settings(surface, ("name", "model", "expression", "python", "data", "dim"))
    if surface.get("expression") is not None:
        return f"the loss {surface['expression']}"
    if surface.get("python") is not None:
        return f"the loss {surface['python']} of {surface['dim']} coordinates"
    if surface.get("name") is not None:
        return f"the surface {surface['name']}{extra}"
    data = surface.get("data")
    of_data = "" if data is None else f" on {data['csv'] if isinstance(data, Mapping) else data}"
    return f"the model {surface['model']}{of_data}{extra}"


def start_words(start: Any) -> str:
    if isinstance(start, Mapping):
        normal = start["normal"]
        return f"scattered around {place(normal['mean'])} with a standard deviation of {number(normal['std'])}"
    return f"at {place(start)}"


def noise_words(noise: Section) -> str:
    kind = noise["kind"]
    known = {
        "none": "no noise",
        "isotropic": f"noise that is the same in all directions{settings(noise, ['kind'])}",
        "constant": f"noise of one covariance everywhere{settings(noise, ['kind'])}",
        "hessian": "noise whose covariance is the Hessian"
        + (f" at {place(noise['at'])}" if noise.get("at") is not None else "")
        + " with its eigenvalues made positive",
        "empirical": f"the noise of minibatches of the data{settings(noise, ['kind'])}",
    }
    return known.get(kind, f"{kind} noise{settings(noise, ['kind'])}")


def region_words(region: Section) -> str:
    words = _REGIONS.get(region["kind"])
    return f"the region {region['kind']}{settings(region, ['kind'])}" if words is None else words(region)


def _loss(region: Section) -> str:
    bounds = [f"{side} {number(region[side])}" for side in ("above", "below") if region.get(side) is not None]
    samples, every = region.get("samples"), region.get("every")
    of = "" if samples is None else f" of {number(samples)} of the samples"
    looks = "" if every in (None, 1) else f", looked at after every {number(every)} steps"
    return f"the region where the loss{of} is {listed(bounds)}{looks}"


_REGIONS: dict[str, Callable[[Section], str]] = {
    "ball": lambda region: f"the ball of radius {number(region['radius'])} around {place(region['centre'])}",
    "slab": lambda region: (
        f"the slab around {place(region['centre'])} of half width {number(region['half_width'])} along "
        f"{place(region['direction'])}"
    ),
    "box": lambda region: f"the box from {place(region['low'])} to {place(region['high'])}",
    "loss": _loss,
    "unstable": lambda region: (
        f"the region within {number(region['distance'])} of {place(region['at'])}, along the directions in which the "
        "loss falls"
    ),
}

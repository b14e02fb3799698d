"""What has no most likely way out is refused with the reason."""

import numpy as np
import pytest
import torch

import sam_sde as ss
from sam_sde.surfaces import quadratic
from sam_sde.theory.action import Field, attractor, least_action_of

WELL = ss.LossSurface(lambda w: (w[0] ** 2 - 1) ** 2 / 4 + w[1] ** 2 / 2, dim=2)
NOISE = ss.IsotropicNoise(1.0)
REGION = ss.Ball([-1, 0], 0.5)


def sgd(surface=WELL, noise=NOISE, **options):
    return ss.SGD(surface, noise, lr=0.01, **options)


@pytest.mark.parametrize(
    ("dynamics", "ends", "message"),
    [
        (sgd(noise=ss.NoNoise()), {}, "noise: the covariance has no noise in some direction"),
        (sgd(noise=ss.ConstantNoise([[1.0, 1.0], [1.0, 1.0]])), {}, "noise: the covariance has no noise in some"),
        (sgd(momentum=0.9), {}, "momentum: an underdamped path has noise in its velocity alone"),
        (sgd(lr_schedule=ss.CosineSchedule(t_end=5.0)), {}, "dynamics: .* do not change with time"),
        (sgd(), {"start": [-1.5, 0.0]}, "start: it lies outside the region"),
        (sgd(), {"region": ss.LevelSet(lambda w: -1 - w[1] ** 2)}, "region: no boundary .* no way out"),
        (sgd(), {"region": None}, "region: expected one of region and to, got neither"),
        (sgd(), {"to": [0.0, 0.0]}, "region: expected one of region and to, got both"),
        (sgd(), {"region": None, "to": [0.0]}, "to: expected 2 numbers"),
        (sgd(), {"start": [-1.0]}, "start: expected 2 numbers"),
        (sgd(), {"region": "ball"}, "region: expected a Region"),
        ("SGD", {}, "dynamics: expected an optimizer"),
        (sgd(), {"start": [0.0, 0.0], "region": ss.Ball([0, 0], 2.0)}, "start: .* goes to different places"),
        (sgd(quadratic([1.0] * 101)), {"start": [0.0] * 101, "region": ss.Ball([0.0] * 101, 1.0)}, "at most 100"),
        (
            sgd(ss.LossSurface(lambda w: -w[0] - w[1], dim=2)),
            {"region": None, "to": [0.0, 0.0]},
            "start: without noise the flow .* goes to infinity",
        ),
    ],
)
def test_what_cannot_be_done_is_one_error(dynamics, ends, message):
    options = {"start": [-1.0, 0.2], "region": REGION} | ends
    with pytest.raises(ss.ArgumentError, match=message):
        ss.least_action(dynamics, **{key: value for key, value in options.items() if value is not None})


def test_noise_that_vanishes_on_the_way_is_refused():
    """|H| vanishes at the inflection between the minimum and the saddle: there no path crosses it."""
    surface = ss.LossSurface(lambda w: (w[0] ** 2 - 1) ** 2 / 4, dim=1)
    dynamics = ss.SGD(surface, ss.HessianNoise(surface), lr=0.01)
    with pytest.raises(ss.ArgumentError, match=r"noise: the covariance .* at \[-0\.577"):
        ss.least_action(dynamics, start=[-1.0], region=ss.Box([-30.0], [0.2]))


def test_a_way_into_what_is_not_finite_is_refused():
    surface = ss.LossSurface(lambda w: (w[0] - 2) ** 2 / 2 + w[0] ** 1.5, dim=1)
    with pytest.raises(ss.ArgumentError, match="is not finite"):
        ss.least_action(sgd(surface), start=[2.0], to=[-1.0])


def test_a_flow_that_never_rests_is_refused(monkeypatch):
    monkeypatch.setattr(attractor, "MOST_STEPS", 300)

    def circle(w):
        x, y = w.unbind(-1)
        growth = 1 - x**2 - y**2
        return torch.stack([growth * x - y, growth * y + x], dim=-1)

    field = Field(circle, lambda w: torch.eye(2, dtype=w.dtype).expand(len(w), 2, 2), 2, additive=True)
    with pytest.raises(ss.ArgumentError, match=r"start: without noise the flow .* does not come to rest"):
        least_action_of(field, np.array([0.5, 0.0]), region=ss.Ball([0, 0], 2.0))

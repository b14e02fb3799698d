"""A grid is every combination of the values of its keys, each a configuration that was checked."""

import math
from itertools import pairwise

import pytest

from sam_sde.config.errors import ConfigError
from sam_sde.config.grid import expand, load_grid
from sam_sde.config.loading import check_config

DOCUMENT = {
    "surface": {"name": "quadratic", "eigenvalues": [1.0, -1.0]},
    "noise": {"kind": "none"},
    "optimizer": {"lr": 0.01},
    "arms": {"SGD": {"kind": "sgd"}, "SAM 0.1": {"kind": "sam", "rho": 0.1}},
    "escape": {"start": [0, 0], "region": {"kind": "ball", "centre": [0, 0], "radius": 1.0}, "t_max": 1.0},
}


def values(**sweep):
    return [condition.values for condition in expand(DOCUMENT | {"sweep": sweep}).conditions]


def test_all_combinations_in_the_order_of_the_keys_the_last_one_fastest():
    found = values(**{"optimizer.lr": [0.1, 0.2], "optimizer.batch_size": [1, 2, 3]})
    assert [tuple(each.values()) for each in found] == [(lr, size) for lr in (0.1, 0.2) for size in (1, 2, 3)]


def test_ranges_are_evenly_spaced_and_written_as_a_person_would():
    (lrs,) = zip(*(each.values() for each in values(**{"optimizer.lr": {"linear": [0.1, 0.5, 5]}})), strict=True)
    assert lrs == (0.1, 0.2, 0.3, 0.4, 0.5)
    (lrs,) = zip(*(each.values() for each in values(**{"optimizer.lr": {"log": [0.001, 1, 4]}})), strict=True)
    assert lrs == (0.001, 0.01, 0.1, 1.0)
    (lrs,) = zip(*(each.values() for each in values(**{"optimizer.lr": {"log": [0.02, 0.5, 7]}})), strict=True)
    assert all(b / a == pytest.approx(25 ** (1 / 6)) for a, b in pairwise(lrs))


def test_linked_keys_go_together():
    linked = {"optimizer.lr": [0.1, 0.01], "escape.t_max": [1.0, 10.0]}
    found = values(linked=linked, **{"optimizer.batch_size": [1, 2]})
    assert [tuple(each.values()) for each in found] == [(0.1, 1.0, 1), (0.1, 1.0, 2), (0.01, 10.0, 1), (0.01, 10.0, 2)]
    assert values(linked=[linked]) == values(linked=linked)


def test_each_condition_is_the_document_with_its_values():
    (condition,) = expand(DOCUMENT | {"sweep": {'arms."SAM 0.1".rho': [0.3]}}).conditions
    arms = DOCUMENT["arms"] | {"SAM 0.1": {"kind": "sam", "rho": 0.3}}
    assert condition.config == check_config(DOCUMENT | {"arms": arms})
    assert str(condition) == 'arms."SAM 0.1".rho = 0.3'


def test_values_may_be_lists_and_sections():
    (first, second) = expand(DOCUMENT | {"sweep": {"escape.start": [[0, 0], [0.1, 0]]}}).conditions
    assert (first.config.escape.start, second.config.escape.start) == ([0, 0], [0.1, 0])
    regions = [{"kind": "ball", "centre": [0, 0], "radius": 1.0}, {"kind": "box", "low": [-1, -1], "high": [1, 1]}]
    conditions = expand(DOCUMENT | {"sweep": {"escape.region": regions}}).conditions
    assert [each.config.escape.region.kind for each in conditions] == ["ball", "box"]


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        (None, "sweep: expected keys with the values they take"),
        ([1], "sweep: expected keys with the values they take"),
        ({"optimizer.lr": 0.1}, r"sweep\.optimizer\.lr: expected the values it takes, got 0.1; give a list"),
        ({"optimizer.lr": []}, "at least one value, got an empty list"),
        ({"optimizer.lr": [0.1, 0.2, 0.1]}, "the value 0.1 is given twice"),
        ({"optimizer.lr": {"lin": [1, 2, 3]}}, "did you mean 'linear'"),
        ({"optimizer.lr": {"log": [0, 1, 3]}}, "two different numbers above 0, got 0 and 1"),
        ({"optimizer.lr": {"log": [1, 1, 3]}}, "two different numbers above 0"),
        ({"optimizer.lr": {"linear": [0, 1]}}, r"expected \[first, last, count\]"),
        ({"optimizer.lr": {"linear": [0, 1, 2.5]}}, r"expected \[first, last, count\]"),
        ({"optimizer.lr": {"linear": [0, math.inf, 3]}}, r"expected \[first, last, count\]"),
        (
            {"linked": {"optimizer.lr": [1, 2], "escape.t_max": [1]}},
            "optimizer.lr has 2, escape.t_max has 1",
        ),
        ({"linked": [1]}, "sweep.linked: expected keys with lists"),
        ({"optimizer.lr": [1], "linked": {"optimizer.lr": [2]}}, r"sweep\.optimizer\.lr: given twice"),
        ({"optimizer.lr": [1], 'optimizer."lr"': [2]}, r"sweep\.optimizer\.\"lr\": given twice"),
        ({"optimizer": [{"lr": 1}], "optimizer.lr": [2]}, r"sweep\.optimizer\.lr: overlaps with optimizer, "),
        ({"linked": {"arms.a.rho": [1]}, "arms": [{}]}, r"sweep\.arms: overlaps with arms\.a\.rho, "),
        ({"reference": ["SGD", "SAM 0.1"]}, r"sweep\.reference: conditions are compared"),
        ({"sweep.optimizer.lr": [1]}, r"sweep\.sweep\.optimizer\.lr: a grid is not a part of its own conditions"),
        ({"optimizer.lr": {"linear": [-1e308, 1e308, 3]}}, "numbers that are less apart"),
        ({"optimizer.rl": [1, 2]}, "sweep: optimizer.rl: unknown key; did you mean 'lr'"),
        ({"arms.SAM.rho": [1, 2]}, r"sweep\.arms\.SAM\.rho: unknown arm 'SAM'; did you mean 'SAM 0.1'"),
        ({"arms.SAM 0.1.rho": [1, 2]}, 'write the name of this arm in quotes, as arms."SAM 0.1"'),
        ({"optimizer.lr": [1, "x", -1]}, "2 of 3 conditions cannot be run: optimizer.lr = x: .*; optimizer.lr = -1: "),
        ({"optimizer.lr": {"linear": [-1, -9, 9]}}, "9 of 9 conditions .*; and 6 more"),
        (
            {"optimizer.lr": {"linear": [1, 2, 200]}, "escape.t_max": {"linear": [1, 2, 200]}},
            "at most 10000.*got 40000",
        ),
        ({"": [1]}, "expected a key such as arms.SAM.rho"),
    ],
)
def test_what_is_no_grid_is_named(sweep, message):
    with pytest.raises(ConfigError, match=message):
        expand(DOCUMENT | {"sweep": sweep})


def test_a_change_reaches_the_grid_itself(tmp_path):
    (tmp_path / "config.yaml").write_text("sweep: {optimizer.lr: [1, 2]}")
    with pytest.raises(ConfigError, match="surface: missing"):
        load_grid(tmp_path / "config.yaml", ["sweep={optimizer.lr: [0.1]}"])

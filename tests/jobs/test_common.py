"""What the configurations of a sweep have in common: their sections, with every value where they differ."""

import json

from sam_sde.jobs.common import in_common


def test_one_configuration_is_what_it_has_in_common():
    config = {"run": {"dt": None, "seed": 0}, "arms": {"SGD": {"kind": "sgd"}}}
    assert in_common([config]) == in_common([config] * 3) == config


def test_each_value_stands_once_where_they_differ():
    configs = [{"run": {"seed": 0, "n": n}, "at": at} for n in (1, 2) for at in ([0, 1], None, [0, 1])]
    varied = {"run": {"seed": 0, "n": {"varies": [1, 2]}}, "at": {"varies": [[0, 1], None]}}
    assert in_common(configs) == varied
    assert json.loads(json.dumps(varied)) == varied


def test_sections_with_other_keys_have_those_of_all():
    ball, box = {"kind": "ball", "radius": 1.0}, {"kind": "box", "low": [0.0]}
    found = in_common([{"region": ball}, {"region": box}])["region"]
    assert found == {
        "kind": {"varies": ["ball", "box"]},
        "radius": {"varies": [1.0, None]},
        "low": {"varies": [None, [0.0]]},
    }

"""Bad input ends in one short message that names the key and says what was expected; nothing is written."""

import copy
import math
import re

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

import sam_sde as ss
from sam_sde.cli import app

pytestmark = pytest.mark.filterwarnings("error")

NAN, INF = math.nan, math.inf
GONE = object()
LONGEST = 400

CONFIG = {
    "surface": {"name": "quadratic", "eigenvalues": [1.0, -1.0]},
    "noise": {"kind": "isotropic", "sigma": 1.0},
    "optimizer": {"lr": 0.01, "batch_size": 4},
    "arms": {"SGD": {"kind": "sgd"}, "SAM": {"kind": "sam", "rho": 0.1}},
    "escape": {"start": [0.0, 0.0], "region": {"kind": "ball", "centre": [0.0, 0.0], "radius": 0.5}, "t_max": 0.2},
    "run": {"n_paths": 8},
}

LATE = {"kind": "switch", "first": "SGD", "second": "SAM", "at": 0.1}

LOSSES = """
import torch

def vector(w): return w**2
def nan(w): return w.sum() * float("nan")
def raises(w): raise RuntimeError("my own error\\nof two lines " + "x" * 1000)
def number(w): return 3.0
def branches(w): return w[0] ** 2 if w[0] > 0 else w[1] ** 2
def detached(w): return torch.tensor(w[0].item())
def three(w): return w[2] ** 2
value = 3
"""


def config(changes):
    """The valid configuration above with some of its keys, written with dots, set or removed."""
    document = copy.deepcopy(CONFIG)
    for key, value in changes.items():
        *sections, last = key.split(".")
        section = document
        for name in sections:
            section = section[name]
        if value is GONE:
            del section[last]
        else:
            section[last] = value
    return yaml.safe_dump(document, sort_keys=False)


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """Runs `sam-sde escape` on a text, and gives the one message in which it has to end."""
    monkeypatch.chdir(tmp_path)

    def run(text, *options):
        (tmp_path / "config.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return message_of("escape", "config.yaml", *options)

    yield run
    left = {path.name for path in tmp_path.iterdir()} - {"config.yaml", "losses.py", "__pycache__"}
    assert not left


def message_of(*arguments):
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    message = result.stderr.removesuffix("\n")
    assert message.startswith("error: ")
    assert "\n" not in message
    assert len(message) < LONGEST
    return message.removeprefix("error: ")


def table(rows):
    """(changes, key, words …) as parameters whose ids are the changes."""
    return [pytest.param(changes, key, words, id=_id(changes)) for changes, key, *words in rows]


def _id(changes):
    written = ", ".join(f"{key}={'GONE' if value is GONE else value}" for key, value in changes.items())
    return written if len(written) < 70 else written[:70] + "…"


UNKNOWN_KEYS = [
    ({"surfaces": {}}, "surfaces", "did you mean 'surface'?"),
    ({"surface.eigenvalue": 1}, "surface.eigenvalue", "did you mean 'eigenvalues'?"),
    ({"noise.sigm": 1}, "noise.sigm", "did you mean 'sigma'?"),
    ({"optimizer.learning_rate": 1}, "optimizer.learning_rate", "Known: batch_size, drift_order, initial_velocity, lr"),
    ({"arms.SAM.roh": 1}, "arms.SAM.roh", "did you mean 'rho'?"),
    ({"arms.SGD.rho": 1}, "arms.SGD.rho", "Known: batch_size, drift_order, engine, initial_velocity, kind, lr"),
    ({"escape.tmax": 1}, "escape.tmax", "did you mean 't_max'?"),
    ({"escape.region.radious": 1}, "escape.region.radious", "did you mean 'radius'?"),
    ({"escape.start": {"uniform": {}}}, "escape.start.uniform", "did you mean 'normal'?"),
    ({"escape.start": {"normal": {"mean": [0, 0], "sd": 1}}}, "escape.start.normal.sd", "did you mean 'std'?"),
    ({"run.n_path": 1}, "run.n_path", "did you mean 'n_paths'?"),
    ({"surface": {"name": "beale", "a": 1}}, "surface.a", "unknown key", "Known: none"),
    ({"surface": {"name": "beale", "dim": 3}}, "surface.dim", "unknown key"),
    ({"surface": {"expression": "x*y", "a": 1}}, "surface.a", "unknown key"),
]

MISSING_KEYS = [
    *[({key: GONE}, key, "missing") for key in ("surface", "noise", "arms", "escape")],
    *[({f"escape.{key}": GONE}, f"escape.{key}", "missing") for key in ("start", "region", "t_max")],
    ({"arms": {}}, "arms", "at least one arm", "kind: sgd"),
    ({"arms": {"SGD": {}}}, "arms.SGD.kind", "missing", "sam-sde list"),
    ({"arms.SAM.rho": GONE}, "arms.SAM.rho", "missing"),
    ({"optimizer.lr": GONE}, "optimizer.lr", "missing", "arms.SGD.lr"),
    ({"escape.region": {}}, "escape.region.kind", "missing"),
    ({"escape.region.radius": GONE}, "escape.region.radius", "missing"),
    ({"noise": {"kind": "constant"}}, "noise.covariance", "missing"),
    ({"escape.start": {}}, "escape.start.normal", "missing"),
    ({"surface": {}}, "surface", "expected one of name, model, expression or python, got none"),
    ({"surface": {"name": "quadratic"}}, "surface.eigenvalues", "missing"),
    ({"surface": {"python": "losses.py:nan"}}, "surface.dim", "missing", "number of coordinates"),
]

NOT_A_NUMBER = [
    *[
        ({key: value}, key, f"expected {kind}, got {got}")
        for key in ("optimizer.lr", "arms.SAM.rho", "run.dt", "escape.t_max", "escape.region.radius", "noise.sigma")
        for value, kind, got in (
            ("0.01", "a number", "'0.01'"),
            (True, "a number", "true"),
            ([0.1], "a number", "[0.1]"),
            (NAN, "a finite number", "nan"),
            (INF, "a finite number", "inf"),
        )
    ],
    *[({key: None}, key, "expected a number, got nothing") for key in ("arms.SAM.rho", "escape.t_max", "noise.sigma")],
    *[
        ({key: value}, key, "expected a whole number, got")
        for key in ("optimizer.batch_size", "run.n_paths", "run.seed", "run.block_size")
        for value in (1.5, "many", [1])
    ],
    ({"run.common_noise": "yes please"}, "run.common_noise", "expected true or false, got 'yes please'"),
    ({"run.common_noise": 1}, "run.common_noise", "expected true or false, got 1"),
    ({"run.device": 3}, "run.device", "expected text, got 3"),
    ({"escape.start": "sadle"}, "escape.start", "unknown value 'sadle'", "did you mean 'saddle'?"),
    ({"escape.start": [0, "a"]}, "escape.start.1", "expected a number, got 'a'"),
    ({"escape.start": [NAN, 0]}, "escape.start.0", "expected a finite number, got nan"),
    ({"escape.start": [[0, 0]]}, "escape.start.0", "expected a number, got [0, 0]"),
    ({"escape.start": []}, "escape.start", "not empty"),
    ({"noise": {"kind": "constant", "covariance": [1, 2]}}, "noise.covariance.0", "expected a list, got 1"),
    ({"noise": {"kind": "constant", "covariance": [[NAN, 0], [0, 1]]}}, "noise.covariance.0.0", "finite number"),
]

OUT_OF_RANGE = [
    *[({key: value}, key, "above 0") for key in ("optimizer.lr", "run.dt", "escape.t_max") for value in (0, -1)],
    *[({key: -1}, key, "at least 0", "got -1") for key in ("arms.SAM.rho", "noise.sigma", "run.seed")],
    *[({key: 0}, key, "at least 1", "got 0") for key in ("optimizer.batch_size", "run.n_paths", "run.block_size")],
    *[({key: 1e200}, key, "1e+100") for key in ("optimizer.lr", "arms.SAM.rho", "noise.sigma", "escape.t_max")],
    ({"arms.SAM.lr": 0}, "arms.SAM.lr", "above 0"),
    ({"escape.region.radius": 0}, "escape.region.radius", "above 0"),
    ({"optimizer.batch_size": 10**310}, "optimizer.batch_size", "whole number from 1 to"),
    ({"optimizer.momentum": 1}, "optimizer.momentum", "from 0 to below 1", "got 1"),
    ({"optimizer.momentum": -0.1}, "optimizer.momentum", "at least 0", "got -0.1"),
    ({"optimizer.weight_decay": -1}, "optimizer.weight_decay", "at least 0", "got -1"),
    ({"optimizer.lr_schedule": {"kind": "cosine", "t_end": 0}}, "optimizer.lr_schedule.t_end", "above 0"),
    ({"arms.SAM.rho_schedule": {"kind": "step", "every": 1, "factor": 2}}, "arms.SAM.rho_schedule.factor", "at most 1"),
    ({"arms.late": LATE | {"at": -1}}, "arms.late.at", "above 0", "got -1"),
    ({"arms.SGD.momentum": 1.5}, "arms.SGD.momentum", "from 0 to below 1", "got 1.5"),
    ({"run.n_paths": 1e30}, "run.n_paths", "from 1 to 2147483648"),
    ({"run.seed": 2**64}, "run.seed", "at most 18446744073709551615"),
    ({"run.dt": 1.0}, "run.dt", "at most t_max = 0.2", "got 1"),
    ({"optimizer.lr": 1.0}, "escape.t_max", "at least one step of arms.SGD, lr = 1", "run.dt"),
    ({"escape.t_max": 1e20}, "escape.t_max", "steps of dt = 0.01", "try a smaller t_max"),
    ({"escape.t_max": 1e90, "run.dt": 1e-300}, "escape.t_max", "got inf"),
    ({"surface": {"name": "double_well", "dim": 0}}, "surface.dim", "at least 1"),
    ({"surface": {"name": "double_well", "dim": 1e9}}, "surface.dim", "at most 1000000"),
    ({"surface": {"name": "double_well", "dim": 2.5}}, "surface.dim", "whole number"),
    ({"surface": {"name": "rosenbrock", "b": -1}}, "surface.b", "above 0"),
    ({"surface.eigenvalues": [0, 0]}, "surface.eigenvalues", "at least one that is not 0"),
]

UNKNOWN_WORDS = [
    ({"surface": {"name": "beal"}}, "surface.name", "did you mean 'beale'?", "quadratic"),
    ({"noise": {"kind": "isotrop"}}, "noise.kind", "did you mean 'isotropic'?"),
    ({"noise": {"kind": "empirica"}}, "noise.kind", "Known: constant, empirical, hessian, isotropic, none"),
    ({"arms.SGD.kind": "smm"}, "arms.SGD.kind", "did you mean 'sam'?"),
    ({"arms.SGD.kind": 3}, "arms.SGD.kind", "unknown kind"),
    ({"arms.SAM.ascent": "ful"}, "arms.SAM.ascent", "did you mean 'full'?"),
    ({"arms.SAM.drift": "totl"}, "arms.SAM.drift", "did you mean 'total'?"),
    ({"escape.region.kind": "bal"}, "escape.region.kind", "did you mean 'ball'?"),
    ({"arms.SGD.momentum_model": "under"}, "arms.SGD.momentum_model", "did you mean 'underdamped'?"),
    ({"arms.SGD.initial_velocity": "none"}, "arms.SGD.initial_velocity", "Known: equilibrium, zero"),
    ({"arms.SGD.lr_schedule": {"kind": "cos"}}, "arms.SGD.lr_schedule.kind", "did you mean 'cosine'?"),
    ({"arms.late": LATE | {"first": "SDG"}}, "arms.late.first", "got 'SDG'", "did you mean 'SGD'?"),
    ({"arms.late": LATE | {"second": "late"}}, "arms.late.second", "another arm that is no switch itself"),
    ({"reference": "SGDD"}, "reference", "unknown arm", "did you mean 'SGD'?"),
    ({"run.method": "eulr"}, "run.method", "did you mean 'euler'?"),
    ({"run.engine": "torchsd"}, "run.engine", "did you mean 'torchsde'?"),
    ({"run.crossing": "brigde"}, "run.crossing", "did you mean 'bridge'?"),
    ({"run.dtype": "float16"}, "run.dtype", "float32"),
    *[({"run.device": name}, "run.device", "try 'auto'") for name in ("cuda:99", "gpu", "meta", "privateuseone", "")],
]

NOT_A_SECTION = [
    ({"surface": "beale"}, "surface", "a section", "try {name: beale}"),
    ({"noise": "isotropic"}, "noise", "a section", "try {kind: isotropic}"),
    ({"arms.SGD": "sgd"}, "arms.SGD", "a section", "try {kind: sgd}"),
    ({"arms.SGD": None}, "arms.SGD", "a section", "got nothing"),
    ({"arms": [{"kind": "sgd"}]}, "arms", "a section"),
    ({"arms": {1: {"kind": "sgd"}}}, "arms", "a name for each arm", "in quotes", "got 1"),
    ({"arms": {"": {"kind": "sgd"}}}, "arms", "a name for each arm"),
    ({"run": 3}, "run", "a section", "got 3"),
    ({"escape.region": [1]}, "escape.region", "a section", "got [1]"),
    ({"escape.start": {"normal": [0, 0]}}, "escape.start.normal", "a section"),
    ({"surface": {"name": "beale", "expression": "x"}}, "surface", "got name and expression"),
]

TWO_COORDINATES = "expected 2 numbers, one for each coordinate, got"
WRONG_DIMENSION = [
    ({"escape.start": [0]}, "escape.start", TWO_COORDINATES),
    ({"escape.start": {"normal": {"mean": [0, 0, 0], "std": 1}}}, "escape.start.normal.mean", TWO_COORDINATES),
    ({"escape.region.centre": [0, 0, 0]}, "escape.region.centre", TWO_COORDINATES),
    (
        {"escape.region": {"kind": "slab", "centre": [0, 0], "direction": [1], "half_width": 1}},
        "escape.region.direction",
        TWO_COORDINATES,
    ),
    ({"escape.region": {"kind": "box", "low": [-1], "high": [1]}}, "escape.region.low", TWO_COORDINATES),
    ({"escape.region": {"kind": "box", "low": [-1, -1], "high": [1]}}, "escape.region.high", TWO_COORDINATES),
    ({"escape.region": {"kind": "unstable", "at": [0], "distance": 1}}, "escape.region.at", TWO_COORDINATES),
    ({"noise": {"kind": "hessian", "at": [0, 0, 0]}}, "noise.at", TWO_COORDINATES),
    ({"noise": {"kind": "constant", "covariance": [[1]]}}, "noise", "made for 1 coordinates, but the surface has 2"),
    ({"surface": {"expression": "x*y*z", "dim": 2}}, "surface.dim", "at least 3"),
]

IMPOSSIBLE = [
    ({"noise": {"kind": "constant", "covariance": [[1, 0.5], [0, 1]]}}, "noise.covariance", "symmetric"),
    ({"noise": {"kind": "constant", "covariance": [[1, 2], [2, 1]]}}, "noise.covariance", "semidefinite", "-1"),
    ({"noise": {"kind": "constant", "covariance": [[1, 2], [2]]}}, "noise.covariance", "a matrix"),
    ({"arms.late": LATE, "arms.SAM.lr": 0.02}, "arms.late.second", "the lr of the first optimizer, 0.01, got 0.02"),
    ({"arms.late": LATE, "arms.SAM.momentum": 0.9}, "arms.late.second", "a velocity where the first optimizer has one"),
    ({"escape.start": [5, 5]}, "escape.start", "outside the region Ball", "(5, 5)"),
    ({"escape.start": {"normal": {"mean": [0, 0], "std": 9}}}, "escape.start", "8 of 8 paths start outside"),
    ({"escape.region": {"kind": "loss", "below": -1}}, "escape.start", "outside the region LossBelow(-1)"),
    ({"escape.region": {"kind": "loss"}}, "escape.region", "one of below and above, got neither"),
    ({"escape.region": {"kind": "loss", "below": 1, "above": 0}}, "escape.region", "below and above, got both"),
    ({"escape.region": {"kind": "box", "low": [1, 1], "high": [-1, 1]}}, "escape.region.low", "below high"),
    (
        {"escape.region": {"kind": "slab", "centre": [0, 0], "direction": [0, 0], "half_width": 1}},
        "escape.region.direction",
        "not zero",
    ),
    ({"escape.region": {"kind": "unstable", "at": [1, 1], "distance": 1}}, "escape.region.at", "no critical point"),
    (
        {"escape.region": {"kind": "unstable", "at": [0, 0], "distance": 1}, "surface.eigenvalues": [1, 2]},
        "escape.region.at",
        "no unstable direction",
        "[1.0, 2.0]",
    ),
    (
        {
            "escape.region": {"kind": "unstable", "at": [0, 0], "distance": 1},
            "surface": {"expression": "abs(x)**1.5 - y**2"},
        },
        "escape.region.at",
        "Hessian",
        "not finite",
    ),
    ({"run.method": "srk", "noise": {"kind": "hessian"}}, "run.method", "'srk'", "try 'euler'"),
    ({"run.method": "milstein", "noise": {"kind": "hessian"}}, "run.method", "'milstein'", "try 'euler'"),
    ({"run.method": "srk", "arms.SAM.ascent": "same"}, "run.method", "try 'euler'"),
    ({"arms.SAM.drift": "total", "arms.SAM.ascent": "same"}, "arms.SAM.drift", "ascent 'full' only"),
    ({"arms.SAM.drift": "expansion", "arms.SAM.ascent": "independent"}, "arms.SAM.drift", "ascent 'full' only"),
    ({"arms.SAM.kind": "dnsam"}, "escape.start", "DNSAM", "use SAM"),
    ({"run.crossing": "shift", "escape.region.radius": 1e-3}, "escape.start", "'shift'", "'bridge'"),
    ({"noise.sigma": 1e99}, "escape.start", "noise there is not finite"),
]

MODEL = {"surface": {"model": "toy_network", "n": 6}, "noise": {"kind": "empirical"}, "optimizer.batch_size": 4}
IRIS = {"model": "mlp", "data": "iris"}
LOSSES_OVER_DATA = [
    ({"noise": {"kind": "empirical"}}, "noise", "needs a loss over data", "FiniteSum"),
    ({"surface": {"model": "mpl"}}, "surface.model", "did you mean 'mlp'?"),
    ({"surface": {"model": "mlp"}}, "surface.data", "missing"),
    ({"surface": {"model": "mlp", "data": "irs"}}, "surface.data", "did you mean 'iris'?"),
    ({"surface": {"model": "mlp", "data": 3}}, "surface.data", "expected text"),
    ({"surface": {"model": "mlp", "data": {"cvs": "a.csv"}}}, "surface.data.cvs", "did you mean 'csv'?"),
    ({"surface": {"model": "mlp", "data": {"csv": "none.csv"}}}, "surface.data.csv", "cannot read", "No such file"),
    ({"surface": IRIS | {"hiden": 3}}, "surface.hiden", "did you mean 'hidden'?"),
    ({"surface": IRIS | {"hidden": 0}}, "surface.hidden", "whole number"),
    ({"surface": IRIS | {"activation": "tan"}}, "surface.activation", "did you mean 'tanh'?"),
    ({"surface": IRIS | {"name": "beale"}}, "surface", "got name and model"),
    ({"surface": {"model": "logistic_regression", "data": "iris"}}, "surface.data", "expected 2 classes", "got 3"),
    (MODEL | {"noise": {"kind": "empirical", "sampling": "epoch"}}, "noise.sampling", "did you mean 'epochs'?"),
    (
        MODEL | {"noise": {"kind": "empirical", "sampling": "epochs"}, "optimizer.batch_size": 7},
        "optimizer.batch_size",
        "at most the 6 samples",
        "got 7",
    ),
    (
        MODEL,
        "escape.start",
        "drift and noise both vanish",
        "try to start beside it",
        "{normal: {mean: ..., std: 0.01}}",
    ),
    (MODEL | {"escape.start": "initial"}, "escape.start", "no initial of the surface toy_network", "minimum, saddle"),
    ({"surface": {"expression": "x*y"}, "escape.start": "saddle"}, "escape.start", "no saddle", "only nothing"),
    ({"escape.start": {"normal": {"mean": "peak", "std": 1}}}, "escape.start.normal.mean", "unknown value 'peak'"),
    ({"escape.region.centre": "maximum"}, "escape.region.centre", "no maximum of the surface quadratic"),
    ({"noise": {"kind": "hessian", "at": "minimum"}}, "noise.at", "no minimum of the surface quadratic"),
]

NOT_A_LOSS = [
    ({"surface": {"expression": '__import__("os").system("touch hacked")'}}, "surface.expression", "only numbers"),
    ({"surface": {"expression": "x**2 -"}}, "surface.expression", "cannot read"),
    ({"surface": {"expression": "x^2 - y^2"}}, "surface.expression", "use ** for powers"),
    ({"surface": {"expression": "q**2"}}, "surface.expression", "'q': unknown name"),
    ({"surface": {"expression": "3"}}, "surface.expression", "expected a variable"),
    ({"surface": {"expression": 3}}, "surface.expression", "expected text"),
    ({"surface": {"expression": "9**9**9**9*x + y"}}, "surface.expression", "too large"),
    ({"surface": {"expression": "log(x) + y"}}, "escape.start", "the loss is not finite"),
    ({"surface": {"expression": "sqrt(x**2 + y**2)"}}, "escape.start", "the gradient of the loss is not finite"),
    (
        {"surface": {"expression": "log(x + 1) + y"}, "noise": {"kind": "hessian", "at": [-2, 0]}},
        "noise.at",
        "not finite",
    ),
    (
        {"surface": {"expression": "abs(x)**1.5 - y**2"}, "noise": {"kind": "hessian"}},
        "escape.start",
        "noise there is not finite",
    ),
    ({"surface": {"python": "absent.py:loss", "dim": 2}}, "surface.python", "found none at"),
    ({"surface": {"python": "losses.py", "dim": 2}}, "surface.python", "expected 'file.py:function'"),
    ({"surface": {"python": "losses.py:vectr", "dim": 2}}, "surface.python", "did you mean 'vector'?"),
    ({"surface": {"python": "losses.py:value", "dim": 2}}, "surface.python", "not a function but int"),
    ({"surface": {"python": "config.yaml:loss", "dim": 2}}, "surface.python", "ends in .py"),
    ({"surface": {"python": "losses.py:vector", "dim": 2}}, "surface", "must be a scalar, got shape (2,)", ".sum()"),
    ({"surface": {"python": "losses.py:nan", "dim": 2}}, "escape.start", "the loss is not finite"),
    ({"surface": {"python": "losses.py:raises", "dim": 2}}, "surface", "RuntimeError: my own error of two lines"),
    ({"surface": {"python": "losses.py:number", "dim": 2}}, "surface", "must return a torch scalar, got float"),
    ({"surface": {"python": "losses.py:branches", "dim": 2}}, "surface", "torch.where"),
    ({"surface": {"python": "losses.py:detached", "dim": 2}}, "surface", "no gradient", ".item()"),
    ({"surface": {"python": "losses.py:three", "dim": 2}}, "surface", "IndexError", "shape (2,)"),
]


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        *table(UNKNOWN_KEYS),
        *table(MISSING_KEYS),
        *table(NOT_A_NUMBER),
        *table(OUT_OF_RANGE),
        *table(UNKNOWN_WORDS),
        *table(NOT_A_SECTION),
        *table(WRONG_DIMENSION),
        *table(IMPOSSIBLE),
        *table(LOSSES_OVER_DATA),
    ],
)
def test_a_bad_configuration_is_refused_by_the_name_of_its_key(changes, key, words, refused):
    message = refused(config(changes))
    assert message.startswith(f"{key}: ")
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize(("changes", "key", "words"), table(NOT_A_LOSS))
def test_a_bad_loss_is_refused_by_the_name_of_its_key(changes, key, words, refused, tmp_path):
    (tmp_path / "losses.py").write_text(LOSSES)
    message = refused(config(changes))
    assert message.startswith(f"{key}: ")
    assert [word for word in words if word not in message] == []


def nested_aliases(levels):
    """A few lines of YAML for a list of 10^levels numbers."""
    lists = ["&a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lists += [f"&a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, levels)]
    return f"[{', '.join(lists)}]"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", ["config.yaml: expected the keys surface, noise", "got nothing"], id="empty"),
        pytest.param("# later\n", ["config.yaml: expected the keys surface, noise", "got nothing"], id="comment"),
        pytest.param("- surface\n- noise\n", ["config.yaml: expected the keys", "got ['surface', 'noise']"], id="list"),
        pytest.param("hello", ["config.yaml: expected the keys", "got 'hello'"], id="word"),
        pytest.param(bytes(range(256)), ["cannot read config.yaml", "not text in UTF-8"], id="binary"),
        pytest.param(config({}).encode("utf-16"), ["cannot read config.yaml", "UTF-8"], id="UTF-16"),
        pytest.param("a: \0", ["config.yaml: not valid YAML", "#x0000"], id="NUL"),
        pytest.param("a: [1\nb: 2", ["not valid YAML: line 2, column 2: expected ',' or ']'"], id="open bracket"),
        pytest.param("surface:\n\tname: beale", ["line 2, column 1", "spaces, not with tabs"], id="tab"),
        pytest.param("a: *b", ["line 1, column 4", "undefined alias 'b'"], id="alias"),
        pytest.param("{[1]: 2}", ["a key must be a word"], id="list as key"),
        pytest.param("a: 1\n---\nb: 2", ["another document"], id="two documents"),
        pytest.param("[" * 5000, ["nested too deeply"], id="deep"),
        pytest.param('a: !!float ""', ["line 1, column 4", "not a valid float"], id="empty float"),
        pytest.param('a: !!bool "abc"', ["not a valid bool"], id="tagged word"),
        pytest.param("a: !!timestamp '2024-13-45'", ["not a valid timestamp", "quotes"], id="impossible date"),
        pytest.param("a: !!python/object/apply:os.getcwd []", ["could not determine a constructor"], id="code"),
        pytest.param(config({}) + "noise: {kind: none}\n", ["the key 'noise' is given twice"], id="duplicate section"),
        pytest.param(
            config({}).replace("sigma: 1.0", "sigma: 1.0\n  sigma: 2.0"),
            ["the key 'sigma' is given twice"],
            id="duplicate key",
        ),
        pytest.param(
            config({}).replace("n_paths: 8", f"n_paths: {nested_aliases(12)}"),
            ["run.n_paths: expected a whole number, got [["],
            id="billions of numbers",
        ),
        pytest.param("surface: &a {name: *a}", ["surface.name: expected text, got {'name'"], id="recursion"),
        pytest.param(config({"run.device": "x" * 10_000}), ["run.device: cannot use 'xxx"], id="long word"),
        pytest.param("x" * 500 + ": 1", ["xxx…: unknown key"], id="long key"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(text, words, refused):
    message = refused(text)
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("run.n_paths", "--set: expected KEY=VALUE such as run.n_paths=1000, got 'run.n_paths'"),
        ("=3", "--set: expected KEY=VALUE such as run.n_paths=1000, got '=3'"),
        ("run..n_paths=3", "--set: expected KEY=VALUE such as run.n_paths=1000, got 'run..n_paths=3'"),
        ("", "--set: expected KEY=VALUE such as run.n_paths=1000, got ''"),
        ("run.n_paths=", "run.n_paths: expected a whole number, got nothing"),
        ("run.n_path=3", "run.n_path: unknown key; did you mean 'n_paths'?"),
        ("run.n_paths=[", "--set run.n_paths=[: not valid YAML"),
        ("run.n_paths=a: b: c", "--set run.n_paths=a: b: c: not valid YAML"),
        ("surface.name.x=3", "--set surface.name.x=3: surface.name has no keys of its own but the value 'quadratic'"),
        ("escape.start.0=3", "--set escape.start.0=3: escape.start has no keys of its own but the value [0.0, 0.0]"),
        ("arms.sam.rho=0.2", "--set arms.sam.rho=0.2: unknown arm 'sam'; Known: SAM, SGD"),
        ("arms.SAM.rho=-1", "arms.SAM.rho: expected a number of at least 0, got -1"),
        ("sections.that.are=unknown", "sections: unknown key"),
        ("run=3", "run: expected a section with keys of its own, got 3"),
    ],
)
def test_a_bad_change_is_refused(change, message, refused):
    assert refused(config({}), "--set", change).startswith(message)


@pytest.mark.parametrize("command", ["escape", "simulate", "validate"])
def test_a_configuration_that_cannot_be_read_is_refused(command, tmp_path):
    assert message_of(command, str(tmp_path / "absent.yaml")).endswith("absent.yaml: No such file or directory")
    assert message_of(command, str(tmp_path)) == f"cannot read {tmp_path}: Is a directory"


@pytest.mark.parametrize("command", ["escape", "simulate"])
def test_a_folder_that_cannot_be_made_is_refused_before_any_work(command, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(config({"run.n_paths": 10**9}))
    message = message_of(command, str(path), "--out", str(path / "results"))
    assert message == f"--out: cannot write to {path / 'results'}: Not a directory; choose another folder"


def test_a_path_that_does_not_exist_cannot_be_replayed(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(config({}))
    message = message_of("simulate", str(path), "--replay", "8", "--out", str(tmp_path / "out"))
    assert message == "--replay: expected a whole number from 0 to 7, got 8"
    assert not (tmp_path / "out").exists()


SADDLE = ss.LossSurface(lambda w: w[0] ** 2 - w[1] ** 2, dim=2)
WHITE = ss.IsotropicNoise(1.0)
SGD = ss.SGD(SADDLE, WHITE, lr=0.01)
ONE_WEIGHT = ss.SGD(ss.LossSurface(lambda w: w[0] ** 2, dim=1), WHITE, lr=0.1)
OUTSIDE = "start: it lies outside the region Ball(centre=(0, 0), radius=1), at (3, 4), where the region's level is 4"


def escape(dynamics=SGD, **changes):
    arguments = {"start": [0, 0], "region": ss.Ball([0, 0], 1.0), "t_max": 0.1, "n_paths": 4, **changes}
    return ss.escape_times(dynamics, **arguments)


def momentum(gamma, **options):
    return ss.SGD(SADDLE, WHITE, lr=0.1, momentum=gamma, **options)


def sam(**options):
    return ss.SAM(SADDLE, WHITE, lr=0.1, rho=0.1, **options)


def escape_on(loss):
    return escape(ss.SGD(ss.LossSurface(loss, 2), WHITE, lr=0.01))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: escape(SADDLE), "dynamics: expected an optimizer such as SGD"),
        (lambda: escape(start=[0]), "start: expected 2 numbers, one for each coordinate, got 1"),
        (lambda: escape(start="saddle"), "start: expected a list of numbers, got 'saddle'"),
        (lambda: escape(start=[0, NAN]), "start: expected finite numbers, got [0, nan]"),
        (lambda: escape(start=None), "start: expected a list of numbers, got None"),
        (lambda: escape(start=np.array([0, 1j])), "start: expected a list of numbers, got array"),
        (lambda: escape(start=[0, 10**400]), "start: expected a list of numbers, got [0, 1000"),
        (lambda: escape(start=[3, 4]), OUTSIDE),
        (lambda: escape(start=ss.NormalStart([0, 0, 0], 0.1)), "start: expected 2 numbers"),
        (lambda: ss.NormalStart([0, 0], -1), "std: expected a number that is 0 or more, got -1"),
        (lambda: escape(region=None), "region: expected a Region such as Ball"),
        (lambda: escape(region=ss.Ball([0], 1)), "region: made for 1 coordinates"),
        (
            lambda: escape(region=ss.LevelSet(lambda w: w)),
            "level: expected a scalar for one vector, got the shape (2,)",
        ),
        (lambda: escape(region=ss.LevelSet(lambda w: w[5])), "level: failed at the start, IndexError"),
        (lambda: escape(region=ss.LevelSet(lambda w: -1.0 if w[0] < 1 else w[0])), "level: failed at the start"),
        (lambda: ss.LevelSet(3), "level: expected a function of one vector"),
        (lambda: escape(t_max=-1), "t_max: expected a number above 0, got -1"),
        (lambda: escape(t_max="1"), "t_max: expected a finite number, got '1'"),
        (lambda: escape(t_max=INF), "t_max: expected a finite number, got inf"),
        (lambda: escape(n_paths=0), "n_paths: expected a whole number from 1 to 2147483648, got 0"),
        (lambda: escape(n_paths=1e3), "n_paths: expected a whole number from 1 to 2147483648, got 1000.0"),
        (lambda: escape(seed=-1), "seed: expected a whole number from 0 to"),
        (lambda: escape(dt=NAN), "dt: expected a finite number, got nan"),
        (lambda: escape(dt=1), "dt: expected at most t_max = 0.1, got 1"),
        (lambda: escape(method="rk4"), "method: unknown value 'rk4'"),
        (lambda: escape(engine="torchsd"), "engine: unknown value 'torchsd'; did you mean 'torchsde'?"),
        (lambda: escape(crossing=None), "crossing: unknown value None"),
        (lambda: escape(dtype=torch.float16), "dtype: unknown value 'float16'"),
        (lambda: escape(device="cuda:99"), "device: cannot use 'cuda:99'"),
        (lambda: escape(device=None), "device: cannot use 'None'"),
        (lambda: escape(block_size=0), "block_size: expected a whole number of at least 1, got 0"),
        (lambda: escape(chunk=0), "chunk: expected a whole number of at least 1, got 0"),
        (lambda: escape().replay(4), "path: expected a whole number from 0 to 3, got 4"),
        (lambda: escape().to_csv("/dev/null/x.csv"), "cannot write /dev/null/x.csv"),
        (lambda: escape_on(lambda w: w.sum() * NAN), "start: the loss is not finite for 1 of 1 path"),
        (lambda: escape_on(lambda w: 1 / 0), "surface: the loss raised ZeroDivisionError: division by zero"),
        (lambda: escape_on(lambda w: w), "surface: the loss of one weight vector must be a scalar, got shape (2,)"),
        (lambda: ss.LossSurface("x**2", 2), "loss: expected a function of one weight vector, got 'x**2'"),
        (lambda: ss.LossSurface(torch.sum, 0), "dim: expected a whole number of at least 1, got 0"),
        (lambda: ss.SGD(SADDLE, WHITE, lr="0.1"), "lr: expected a finite number, got '0.1'"),
        (lambda: ss.SGD(SADDLE, WHITE, lr=0), "lr: expected a number above 0, got 0"),
        (lambda: ss.SGD(SADDLE, WHITE, lr=10**400), "lr: expected a number of at most 1e+100 in size, got 1000"),
        (lambda: ss.SGD(SADDLE, WHITE, lr=0.1, batch_size=True), "batch_size: expected a whole number of at least 1"),
        (lambda: ss.SGD(SADDLE, WHITE, lr=0.1, momentum=1), "momentum: expected a number from 0 to below 1, got 1"),
        (lambda: momentum(-0.5), "momentum: expected a number from 0 to below 1, got -0.5"),
        (lambda: momentum(NAN), "momentum: expected a finite number, got nan"),
        (lambda: momentum(0.9, momentum_model="none"), "momentum_model: unknown value 'none'; Known: overdamped"),
        (lambda: momentum(0.9, initial_velocity=0), "initial_velocity: unknown value 0"),
        (lambda: momentum(0.9, weight_decay=-1), "weight_decay: expected a number that is 0 or more, got -1"),
        (lambda: momentum(0.9, lr_schedule=0.5), "lr_schedule: expected a function of time such as CosineSchedule"),
        (lambda: escape(momentum(0.9, lr_schedule=lambda t: 0.05 - t)), "lr_schedule: expected finite factors that"),
        (lambda: escape(momentum(0.9, lr_schedule=lambda t: 1 / t)), "lr_schedule: expected finite factors"),
        (lambda: escape(momentum(0.9, lr_schedule=lambda t: t[0])), "lr_schedule: failed on a tensor of times"),
        (
            lambda: escape(momentum(0.9, lr_schedule=lambda t: 1.0 if t < 1 else 0.5)),
            "lr_schedule: failed on a tensor of times, RuntimeError",
        ),
        (lambda: escape(sam(rho_schedule=lambda t: -t)), "rho_schedule: expected finite factors that are 0 or more"),
        (lambda: escape(sam(rho_schedule=lambda t: t.mT[..., :3])), "rho_schedule: "),
        (lambda: ss.CosineSchedule(0), "t_end: expected a number above 0, got 0"),
        (lambda: ss.StepSchedule(1, factor=2), "factor: expected a number from 0 to 1, got 2"),
        (lambda: ss.Switch(SGD, SADDLE, at=1), "second: expected an optimizer such as SGD"),
        (lambda: ss.Switch(SGD, momentum(0.9), at=0), "at: expected a number above 0, got 0"),
        (lambda: ss.Switch(SGD, momentum(0.9), at=1), "second: expected the lr of the first optimizer, 0.01, got 0.1"),
        (lambda: ss.Switch(sam(), momentum(0.9), at=1), "second: expected a velocity where"),
        (lambda: ss.Switch(sam(), ONE_WEIGHT, at=1), "second: expected 2 weights as the first optimizer has, got 1"),
        (lambda: ss.SGD(torch.sum, WHITE, lr=0.1), "surface: expected a LossSurface"),
        (lambda: ss.SGD(SADDLE, 1.0, lr=0.1), "noise: expected a Noise such as IsotropicNoise(sigma), got 1.0"),
        (lambda: ss.SGD(SADDLE, ss.ConstantNoise([[1]]), lr=0.1), "noise: made for 1 coordinates"),
        (lambda: ss.SAM(SADDLE, WHITE, lr=0.1, rho=-1), "rho: expected a number that is 0 or more, got -1"),
        (lambda: ss.SAM(SADDLE, WHITE, lr=0.1, rho=1, ascent="both"), "ascent: unknown value 'both'"),
        (lambda: ss.PerturbedSGD(SADDLE, WHITE, lr=0.1, perturbation=3), "perturbation: expected a function"),
        (lambda: ss.ConstantNoise([[NAN, 0], [0, 1]]), "covariance: expected finite numbers, got [[nan, 0], [0, 1]]"),
        (lambda: ss.ConstantNoise([[1, 2], [0, 1]]), "covariance: expected a symmetric matrix"),
        (lambda: ss.ConstantNoise([1, 2]), "covariance: expected a matrix (a list of rows), got [1, 2]"),
        (lambda: ss.IsotropicNoise(None), "sigma: expected a finite number, got None"),
        (lambda: ss.Ball(0, 1), "centre: expected a list of numbers, got 0"),
        (
            lambda: ss.Ball([0] * 10**5 + ["a"], 1),
            "centre: expected a list of numbers, got [0, 0, 0, 0, 0, 0, 0, 0, ...]",
        ),
        (lambda: ss.Box([1], [0]), "low: expected it below high everywhere, got [1.0] and [0.0]"),
        (lambda: ss.Slab([0, 0], [0, 0], 1), "direction: expected a vector that is not zero"),
        (lambda: ss.compare([escape(), escape()]), "results: expected a dictionary of arms"),
        (lambda: ss.compare({"a": escape()}), "samples: expected at least two arms to compare, got 1"),
        (lambda: ss.compare({"a": escape(), "b": escape(seed=1)}, "c"), "reference: unknown arm 'c'"),
    ],
)
def test_a_bad_call_is_refused_by_the_name_of_its_argument(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as error:
        call()
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < LONGEST


@pytest.mark.parametrize(
    "start",
    [
        np.zeros(2, dtype=np.float32),
        np.array([1.0, 0.0])[::-1] * 0,
        np.broadcast_to(0.0, 2),
        torch.zeros(2, requires_grad=True),
        (0, 0),
    ],
    ids=["float32", "reversed", "read-only", "requires_grad", "tuple"],
)
def test_any_array_of_numbers_is_accepted(start):
    assert (escape(start=start).times == escape().times).all()

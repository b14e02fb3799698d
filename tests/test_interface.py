"""The package shows what a user may call, and nothing else."""

import inspect
import subprocess
import sys

import pytest

import sam_sde as ss
from sam_sde.escape import prepare


def test_dir_shows_the_interface_alone():
    assert dir(ss) == sorted(ss.__all__)
    assert not {"checks", "files", "layout", "engines", "config"} & set(dir(ss))


@pytest.mark.parametrize("name", ss.__all__)
def test_every_name_can_be_had_and_says_what_it_is(name):
    assert inspect.getdoc(getattr(ss, name))


def test_an_unknown_name_is_an_error():
    with pytest.raises(AttributeError):
        ss.SDG  # noqa: B018


def test_escape_times_takes_what_a_run_takes():
    parameters = inspect.signature(ss.escape_times).parameters
    own = ("accuracy", "executor", "check_dt", "progress")
    ours = {name: parameter for name, parameter in parameters.items() if name not in own}
    of_a_run = dict(inspect.signature(prepare).parameters)
    assert list(ours) == list(of_a_run)
    del of_a_run["n_paths"], ours["n_paths"]  # an accuracy may stand in its place
    assert all(ours[name].default == parameter.default for name, parameter in of_a_run.items())
    assert not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())


def test_importing_the_package_imports_neither_torch_nor_private_parts_of_it():
    code = "import sys, sam_sde; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
    code = (
        "import sys, sam_sde as ss, torch, torchsde; before = set(sys.modules)\n"
        "[getattr(ss, name) for name in ss.__all__]\n"
        "new = sorted(m for m in set(sys.modules) - before if m.startswith('torch.') and '._' in m)\n"
        "print([m for m in new if 'inductor' in m or 'dispatch' in m or 'guards' in m])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"

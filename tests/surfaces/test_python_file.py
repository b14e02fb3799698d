import copy
import pickle
import subprocess
import sys

import pytest
import torch

from sam_sde.surfaces import python_surface

SOURCE = """
from dataclasses import dataclass

import torch

COUNT = 3


@dataclass
class Scaled:
    by: float

    def __call__(self, w):
        return self.by * (w**2).sum()


scaled = Scaled(2.0)


def loss(w):
    return w[0] ** 2 - torch.cos(w[1])


def fails(w):
    return w[7]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "my_loss.py").write_text(SOURCE)
    return tmp_path


def test_the_surface_is_the_function_and_is_named_after_it(folder):
    surface = python_surface("my_loss.py:loss", 2, folder)
    w = torch.randn(5, 2)
    surface.check_at(w)
    torch.testing.assert_close(surface.value(w), w[:, 0] ** 2 - w[:, 1].cos())
    assert (surface.name, surface.dim) == ("my_loss.py:loss", 2)


def test_a_callable_object_and_an_absolute_path_will_do(folder):
    surface = python_surface(f"{folder / 'my_loss.py'}:scaled", 3)
    torch.testing.assert_close(surface.gradient(torch.ones(2, 3)), torch.full((2, 3), 4.0))


def test_a_relative_path_starts_at_the_working_directory(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert python_surface("my_loss.py:loss", 2).dim == 2


def test_a_new_process_can_unpickle_it(folder):
    surface = python_surface("my_loss.py:loss", 2, folder)
    (folder / "surface.pickle").write_bytes(pickle.dumps(surface))
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; import pickle, torch; "
        "print(pickle.load(open('surface.pickle', 'rb')).value(torch.ones(1, 2)))"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == str(surface.value(torch.ones(1, 2)))


def test_a_copy_does_not_run_the_file_again(folder):
    surface = python_surface("my_loss.py:loss", 2, folder)
    (folder / "my_loss.py").unlink()
    w = torch.ones(1, 2)
    assert torch.equal(copy.deepcopy(surface).value(w), surface.value(w))


def test_two_files_of_one_name_do_not_mix(folder):
    (folder / "other").mkdir()
    (folder / "other" / "my_loss.py").write_text("scale = 5\ndef loss(w):\n    return scale * w.sum()\n")
    first = python_surface("my_loss.py:loss", 2, folder)
    second = python_surface("other/my_loss.py:loss", 2, folder)
    w = torch.zeros(1, 2)
    assert (first.value(w).item(), second.value(w + 1).item()) == (-1.0, 10.0)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("my_loss.py", "expected 'file.py:function', got 'my_loss.py'"),
        ("my_loss.py:", "expected 'file.py:function'"),
        (":loss", "expected 'file.py:function'"),
        (3, "expected 'file.py:function', got 3"),
        ("missing.py:loss", "found none at .*missing.py"),
        ("my_loss.txt:loss", "ends in .py"),
        ("my_loss.py:los", "has no function 'los'; did you mean 'loss'"),
        ("my_loss.py:COUNT", "'COUNT' in my_loss.py is not a function but int"),
        ("empty.py:loss", "it defines no functions"),
        ("broken.py:loss", "importing broken.py failed with SyntaxError"),
        ("raises.py:loss", "importing raises.py failed in line 3 with ModuleNotFoundError: No module named"),
        ("leaves.py:loss", "importing leaves.py failed in line 2 with SystemExit: 1"),
    ],
)
def test_what_cannot_be_loaded_is_refused_in_one_line(folder, spec, message):
    (folder / "my_loss.txt").write_text(SOURCE)
    (folder / "empty.py").write_text("")
    (folder / "broken.py").write_text("def loss(w:\n")
    (folder / "raises.py").write_text("\n\nimport module_that_is_not_there\n")
    (folder / "leaves.py").write_text("import sys\nsys.exit(1)\n")
    with pytest.raises(ValueError, match=message) as caught:
        python_surface(spec, 2, folder)
    assert "\n" not in str(caught.value)


def test_an_error_inside_the_function_is_found_at_the_start(folder):
    with pytest.raises(ValueError, match="the loss raised IndexError"):
        python_surface("my_loss.py:fails", 2, folder).check_at(torch.zeros(1, 2))

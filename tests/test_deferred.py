"""A deferred module is the module, from the moment that something of it is used."""

import subprocess
import sys


def output_of(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_torch_is_imported_when_it_is_first_used():
    code = """
import sys
from sam_sde.deferred import defer
defer("torch")
import torch
print("torch._C" in sys.modules)
print(torch.ones(2).sum().item(), "torch._C" in sys.modules, torch is sys.modules["torch"])
from torch.func import vmap
import torchsde
print(vmap(torch.sin)(torch.zeros(2)).tolist())
"""
    assert output_of(code).splitlines() == ["False", "2.0 True True", "[0.0, 0.0]"]


def test_a_module_that_is_imported_stays_as_it_is():
    assert output_of("import json; from sam_sde.deferred import defer; defer('json'); print(json.dumps([1]))") == "[1]"


def test_the_list_of_names_needs_no_torch():
    code = """
import sys
from typer.testing import CliRunner
from sam_sde.cli import app
result = CliRunner().invoke(app, ["list"])
print(result.exit_code, "quadratic eigenvalues" in result.output, "torch._C" in sys.modules)
"""
    assert output_of(code) == "0 True False"

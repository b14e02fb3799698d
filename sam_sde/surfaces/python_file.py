"""Losses that are functions in the user's own Python file."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch

from sam_sde.checks import nearest
from sam_sde.errors import ArgumentError
from sam_sde.surfaces.surface import LossSurface


def python_surface(spec: str, dim: int, folder: str | Path = ".") -> LossSurface:
    """The surface of a function in a Python file, `spec` = "file.py:function", named after `spec`.

    The function takes ONE weight vector of shape (dim,) and returns a torch scalar. A relative path starts
    at `folder` (default: the working directory). The file is run, as an import runs it, here and again in
    each process that unpickles the surface.

    Raises ValueError where `spec` has no colon, the file is missing or fails to import, or it has no such
    function.
    """
    file, colon, function = spec.rpartition(":") if isinstance(spec, str) else ("", "", "")
    if not (file and colon and function):
        raise ArgumentError("python", f"expected 'file.py:function', got {spec!r}")
    return LossSurface(FunctionInFile(Path(folder, file).resolve(), function), dim, name=spec)


class FunctionInFile:
    """A function of a Python file; pickled as its place, since other processes cannot import it by name."""

    def __init__(self, path: Path, function: str):
        self.path, self.function = path, function
        self._call = _function(_module(path), function)

    def __call__(self, w: torch.Tensor) -> torch.Tensor:
        return self._call(w)

    def __repr__(self) -> str:
        return f"FunctionInFile({str(self.path)!r}, {self.function!r})"

    def __reduce__(self):
        return FunctionInFile, (self.path, self.function)

    def __deepcopy__(self, memo: dict) -> FunctionInFile:
        return self  # a function, as functions are: copying must not run the file again


def _module(path: Path) -> ModuleType:
    if not path.is_file():
        raise ArgumentError("python", f"expected a file, found none at {path}")
    if path.suffix != ".py":
        raise ArgumentError("python", f"expected a file that ends in .py, got {path.name!r}")
    name = f"surface_in_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # data classes and the like look their module up by name
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        said = " ".join(f"{type(error).__name__}: {error}".split())
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        where = f" in line {lines[-1]}" if lines else ""
        raise ArgumentError("python", f"importing {path.name} failed{where} with {said}") from error
    return module


def _function(module: ModuleType, name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    file = Path(module.__file__).name
    if not hasattr(module, name):
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        known = [key for key in own if callable(vars(module)[key])]
        hint = nearest(name, known) if known else "it defines no functions"
        raise ArgumentError("python", f"{file} has no function {name!r}; {hint}")
    function = getattr(module, name)
    if not callable(function):
        raise ArgumentError("python", f"{name!r} in {file} is not a function but {type(function).__name__}")
    return function

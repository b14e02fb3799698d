"""The package's modules import one way: each room only from those above it, and none in a circle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "sam_sde"

# From the top down; rooms in one line do not import each other.
FLOORS = [
    ["errors", "parameters", "deferred"],
    ["checks", "files", "interrupts", "device_copies", "layout", "purity"],
    ["statistics", "random"],
    ["surfaces"],
    ["noise"],
    ["regions"],
    ["dynamics"],
    ["engines"],
    ["theory"],
    ["escape"],
    ["weak", "rare"],
    ["config"],
    ["jobs"],
    ["reproduction"],
    ["figures", "wording"],
    ["report"],
    ["terminal"],
    ["endings"],
    ["cli"],
    ["__main__"],
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def modules() -> dict[str, Path]:
    """Every module but the package itself, by its name without `sam_sde.`"""
    paths = {path.relative_to(PACKAGE).with_suffix(""): path for path in PACKAGE.rglob("*.py")}
    names = {".".join(name.parts).removesuffix(".__init__"): path for name, path in paths.items()}
    return {name: path for name, path in names.items() if name != "__init__"}


MODULES = modules()


def imports(name: str, *, when_used: bool = False) -> set[str]:
    """The modules of the package that a module imports: at its top, or anywhere."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if when_used else tree.body
    found = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sam_sde":
            base = node.module.removeprefix("sam_sde").lstrip(".")
            for alias in node.names:
                inside = f"{base}.{alias.name}".lstrip(".")
                found.add(inside if inside in MODULES else base)
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("sam_sde.") for alias in node.names if alias.name.startswith("sam_sde.")}
    return found - {"", name}


def room(name: str) -> str:
    return name.split(".")[0]


def test_every_room_has_its_floor():
    assert {room(name) for name in MODULES} == set(FLOOR)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_from_rooms_above_its_own(name):
    for other in imports(name, when_used=True):
        assert room(other) == room(name) or FLOOR[room(other)] < FLOOR[room(name)], other


def test_no_module_imports_itself_by_way_of_others():
    try:
        TopologicalSorter({name: imports(name) for name in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))

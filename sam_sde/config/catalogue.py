"""What a configuration can name, with the parameters that each takes."""

from collections.abc import Callable, Collection, Mapping

from sam_sde.config.signatures import REQUIRED, is_supplied, parameters_of
from sam_sde.dynamics import OPTIMIZERS, SCHEDULES, GradientDynamics
from sam_sde.noise import NOISES
from sam_sde.regions import REGIONS
from sam_sde.surfaces import DATASETS, MODELS, SURFACES


def catalogue() -> dict[str, list[str]]:
    """Lines such as "isotropic sigma" under the names of the sections; a parameter in […] may be left out."""
    return {
        "surfaces": [*_lines(SURFACES), 'expression: "x**2 - y**2" [dim]', 'python: "file.py:function" dim'],
        "models": _lines(MODELS),
        "data": [*DATASETS, "csv: file.csv [target] [header=True] [index=False]"],
        "noise": _lines(NOISES),
        "optimizers": [
            f"{_line(kind, factory, parameters_of(GradientDynamics))} [engine]" for kind, factory in OPTIMIZERS.items()
        ],
        "schedules": _lines(SCHEDULES),
        "regions": _lines(REGIONS),
    }


def _lines(table: Mapping[str, Callable], optional: Collection[str] = ()) -> list[str]:
    """A line for each entry; `optional` are parameters that may be left out although a class needs them."""
    return [_line(name, factory, optional) for name, factory in table.items()]


def _line(name: str, factory: Callable, optional: Collection[str]) -> str:
    words = [name]
    for key, parameter in parameters_of(factory).items():
        if is_supplied(parameter.annotation):
            continue
        if parameter.default is REQUIRED and key not in optional:
            words.append(key)
        else:
            given = parameter.default not in (None, REQUIRED)
            words.append(f"[{key}={parameter.default}]" if given else f"[{key}]")
    return " ".join(words)

"""What a configuration file may say of the optimizers: defaults for all arms, and each arm's own keys."""

from collections.abc import Callable
from functools import cache
from typing import Literal

from sam_sde.config.kinds import of_kind, section_of, written
from sam_sde.config.sections import Section
from sam_sde.config.signatures import is_supplied, parameters_of
from sam_sde.dynamics import OPTIMIZERS, GradientDynamics
from sam_sde.engines import ENGINES

# What all optimizers on a surface can have; the learning rate may also be given by each arm.
DEFAULTS = {
    name: parameter
    for name, parameter in parameters_of(GradientDynamics).items()
    if not is_supplied(parameter.annotation)
}
Optimizer = section_of(GradientDynamics, lr=(written(DEFAULTS["lr"].annotation) | None, None))


@cache
def section_of_arm(factory: Callable, kind: str) -> type[Section]:
    """The keys of an arm: `engine` stands before run.engine, and what is left out is taken from `optimizer`."""
    defaults = {
        name: (written(parameter.annotation) | None, None)
        for name, parameter in DEFAULTS.items()
        if name in parameters_of(factory)
    }
    engine = (Literal["auto", *ENGINES] | None, None)
    return section_of(factory, kind=(Literal[kind], ...), **defaults, engine=engine)


Arm = of_kind(OPTIMIZERS, section_of_arm)

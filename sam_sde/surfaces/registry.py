"""The surfaces that a configuration file can name, with the functions that make them."""

from collections.abc import Callable

from sam_sde.surfaces.closed_forms import (
    beale,
    himmelblau,
    monkey_saddle,
    muller_brown,
    rosenbrock,
    scalar_factorization,
    styblinski_tang,
)
from sam_sde.surfaces.separable import double_well, embedded_saddle, quadratic
from sam_sde.surfaces.surface import LossSurface

SURFACES: dict[str, Callable[..., LossSurface]] = {
    factory.__name__: factory
    for factory in (
        beale,
        double_well,
        embedded_saddle,
        himmelblau,
        monkey_saddle,
        muller_brown,
        quadratic,
        rosenbrock,
        scalar_factorization,
        styblinski_tang,
    )
}

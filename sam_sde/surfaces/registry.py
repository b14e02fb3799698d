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
from sam_sde.surfaces.finite_sum import FiniteSum
from sam_sde.surfaces.networks import (
    deep_linear_network,
    linear_autoencoder,
    linear_regression,
    logistic_regression,
    mlp,
)
from sam_sde.surfaces.separable import double_well, embedded_saddle, quadratic
from sam_sde.surfaces.surface import LossSurface
from sam_sde.surfaces.synthetic import matrix_factorization, phase_retrieval, teacher_student, toy_network

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

# Losses over data, which can have empirical noise; those with a parameter `data` take a `Dataset`.
MODELS: dict[str, Callable[..., FiniteSum]] = {
    factory.__name__: factory
    for factory in (
        deep_linear_network,
        linear_autoencoder,
        linear_regression,
        logistic_regression,
        matrix_factorization,
        mlp,
        phase_retrieval,
        teacher_student,
        toy_network,
    )
}

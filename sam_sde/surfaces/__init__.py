"""Loss surfaces: a loss of one weight vector, and its derivatives for many paths at once."""

from sam_sde.surfaces.closed_forms import (
    beale,
    himmelblau,
    monkey_saddle,
    muller_brown,
    rosenbrock,
    scalar_factorization,
    styblinski_tang,
)
from sam_sde.surfaces.csv_file import load_csv
from sam_sde.surfaces.data import DATASETS, Dataset, load_dataset
from sam_sde.surfaces.expressions import expression_surface
from sam_sde.surfaces.finite_sum import FiniteSum
from sam_sde.surfaces.module import NetworkSurface, network_surface
from sam_sde.surfaces.networks import (
    deep_linear_network,
    linear_autoencoder,
    linear_regression,
    logistic_regression,
    mlp,
)
from sam_sde.surfaces.python_file import python_surface
from sam_sde.surfaces.registry import MODELS, SURFACES
from sam_sde.surfaces.separable import double_well, embedded_saddle, quadratic
from sam_sde.surfaces.surface import CriticalPoint, LossSurface, require_surface
from sam_sde.surfaces.synthetic import matrix_factorization, phase_retrieval, teacher_student, toy_network

__all__ = [
    "DATASETS",
    "MODELS",
    "SURFACES",
    "CriticalPoint",
    "Dataset",
    "FiniteSum",
    "LossSurface",
    "NetworkSurface",
    "beale",
    "deep_linear_network",
    "double_well",
    "embedded_saddle",
    "expression_surface",
    "himmelblau",
    "linear_autoencoder",
    "linear_regression",
    "load_csv",
    "load_dataset",
    "logistic_regression",
    "matrix_factorization",
    "mlp",
    "monkey_saddle",
    "muller_brown",
    "network_surface",
    "phase_retrieval",
    "python_surface",
    "quadratic",
    "require_surface",
    "rosenbrock",
    "scalar_factorization",
    "styblinski_tang",
    "teacher_student",
    "toy_network",
]

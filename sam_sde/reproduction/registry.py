"""All statements, in the order of the papers, and what is left out."""

import difflib
from collections.abc import Sequence

from sam_sde.errors import ArgumentError
from sam_sde.reproduction import (
    benchmark,
    cures,
    limits_of_usam,
    momentum_and_batch,
    momentum_and_batch_networks,
    theorem_1,
    theorem_2,
    theorem_3,
    toy_network,
    trajectories,
    weak_order,
    worse_than_sgd,
    xie,
)
from sam_sde.reproduction.statement import Statement

STATEMENTS: dict[str, Statement] = {
    statement.name: statement
    for statement in (
        theorem_1.STATEMENT,
        theorem_2.STATEMENT,
        theorem_2.GAPS,
        theorem_3.STATEMENT,
        trajectories.BEALE,
        trajectories.PLANE,
        worse_than_sgd.STATEMENT,
        momentum_and_batch.STATEMENT,
        momentum_and_batch_networks.STATEMENT,
        toy_network.STATEMENT,
        benchmark.PERCEPTRON,
        benchmark.CONVOLUTIONAL,
        cures.STATEMENT,
        limits_of_usam.STATEMENT,
        weak_order.STATEMENT,
        xie.STATEMENT,
        xie.PREMISE,
    )
}

# What the papers show and nothing here does, with the reason.
NOT_REPRODUCED = {
    "CIFAR-10 with ResNet-18 and WideResNet (Kim et al.)": "the data set is not here; a perceptron and a small "
    "convolutional network on digits stand in for it, which show a direction and no size: 8 × 8 images, a few "
    "thousand weights, and minutes of training.",
    "The networks of Monzio Compagnoni et al. (Breast Cancer, Iris, teacher and student)": "the weak orders are "
    "measured on an embedded saddle, where an order can be told from the integrator's error; `sam-sde weak` runs "
    "the others.",
    "Styblinski–Tang and logistic regression (Xie et al.)": "more than two weights have no exact times; the line "
    "in B and 1/η is measured where they are exact.",
    "Edge of stability of SAM (arXiv 2309.12488), power laws of loss-proportional noise (arXiv 2105.09557), adaptive "
    "optimizers (arXiv 2411.15958, 2506.00181, 2509.21614)": "a largest eigenvalue along runs, that noise, and those "
    "optimizers are not part of the package.",
}


def chosen(names: Sequence[str]) -> list[Statement]:
    """The statements with these names in the order of the papers; all of them for none.

    Raises
        ArgumentError: an unknown name.
    """
    for name in names:
        if name not in STATEMENTS:
            nearest = difflib.get_close_matches(name, STATEMENTS, n=1, cutoff=0.0)[0]
            known = ", ".join(STATEMENTS)
            raise ArgumentError("--only", f"unknown statement {name!r}; did you mean {nearest!r}? Known: {known}")
    return [statement for name, statement in STATEMENTS.items() if not names or name in names]

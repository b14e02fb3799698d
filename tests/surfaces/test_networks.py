"""Models on data: their losses by formulas, and the critical points that theory gives."""

import itertools

import numpy as np
import pytest
import torch

from sam_sde.surfaces import (
    Dataset,
    deep_linear_network,
    linear_autoencoder,
    linear_regression,
    load_dataset,
    logistic_regression,
    matrix_factorization,
    mlp,
    phase_retrieval,
    teacher_student,
    toy_network,
)
from sam_sde.surfaces.layers import ACTIVATIONS

HIDDEN = 4
MODELS = {
    "linear_regression": lambda: linear_regression(load_dataset("breast_cancer")),
    "linear_autoencoder": lambda: linear_autoencoder(load_dataset("wine"), hidden=3),
    "deep_linear_network": lambda: deep_linear_network(load_dataset("iris"), hidden=[4, 2]),
    "two_layers": lambda: deep_linear_network(load_dataset("iris"), hidden=3, layers=2),
    "mlp": lambda: mlp(load_dataset("iris"), hidden=[4]),
    "sigmoid": lambda: mlp(load_dataset("iris"), hidden=[4], activation="sigmoid"),
    "squared_error": lambda: mlp(load_dataset("breast_cancer"), hidden=[4], loss="squared_error"),
    "teacher_student": teacher_student,
    "toy_network": toy_network,
    "matrix_factorization": matrix_factorization,
    "phase_retrieval": phase_retrieval,
}


@pytest.fixture(scope="module")
def digits():
    return linear_autoencoder(load_dataset("digits"), hidden=HIDDEN)


def moments():
    """Eigenvalues of the second-moment matrix of the pixels of digits, in NumPy, from scikit-learn's own array."""
    from sklearn.datasets import load_digits

    pixels = load_digits().data / 16
    pixels = pixels - pixels.mean(0)
    return torch.from_numpy(np.linalg.eigvalsh(pixels.T @ pixels / len(pixels)))


def at(surface, kind):
    location = next(point.location for point in surface.critical_points if point.kind == kind)
    return torch.tensor([location], dtype=torch.float64)


@pytest.mark.slow
def test_the_origin_of_the_autoencoder_of_digits_is_a_saddle_with_the_moments_as_eigenvalues(digits):
    origin = at(digits, "saddle")
    assert not origin.any()
    assert not digits.gradient(origin).any()
    values = torch.linalg.eigvalsh(digits.hessian(origin)[0])
    expected = torch.cat([moments(), -moments()]).repeat_interleave(HIDDEN).sort().values
    torch.testing.assert_close(values, expected, rtol=1e-9, atol=1e-12)


def test_principal_components_are_minima_of_the_autoencoder(digits):
    minimum, left_out = at(digits, "minimum"), moments()[:-HIDDEN].sum() / 2
    torch.testing.assert_close(digits.value(minimum)[0], left_out)
    assert digits.gradient(minimum).norm() < 1e-10
    nearby = minimum + 0.01 * torch.randn(50, digits.dim, generator=torch.Generator().manual_seed(0)).double()
    assert (digits.value(nearby) > left_out).all()


@pytest.mark.parametrize("model", MODELS)
def test_gradients_vanish_at_the_critical_points_and_hessians_are_those_of_their_kind(model):
    surface = MODELS[model]()
    assert surface.critical_points
    for point in surface.critical_points:
        w = torch.tensor([point.location], dtype=torch.float64)
        assert surface.gradient(w).norm() < 1e-10
        values = torch.linalg.eigvalsh(surface.hessian(w)[0])
        small = 1e-9 * max(1.0, values.abs().max().item())
        falls, rises = bool(values[0] < -small), bool(values[-1] > small)
        assert (falls, rises) in {
            "minimum": [(False, True)],
            "maximum": [(True, False)],
            "saddle": [(True, True), (False, False)],  # the Hessian of a deep linear network vanishes
        }[point.kind]


@pytest.mark.parametrize("model", ["linear_autoencoder", "deep_linear_network", "toy_network", "matrix_factorization"])
def test_no_sample_has_a_gradient_at_the_origin(model):
    surface = MODELS[model]()
    assert not surface.sample_gradients(at(surface, "saddle")).any()


def test_the_origin_of_a_factorization_has_the_singular_values_as_eigenvalues():
    rows, columns, rank = 5, 4, 2
    surface = matrix_factorization(rows, columns, rank, seed=2)
    matrix = surface.samples.tensors[2].view(rows, columns)
    singular = torch.linalg.svdvals(matrix) / (rows * columns)
    zeros = torch.zeros((rows - columns) * rank, dtype=torch.float64)
    expected = torch.cat([singular.repeat_interleave(rank), -singular.repeat_interleave(rank), zeros])
    values = torch.linalg.eigvalsh(surface.hessian(at(surface, "saddle"))[0])
    torch.testing.assert_close(values, expected.sort().values)
    u, s, vt = np.linalg.svd(matrix.numpy())
    error = matrix - torch.from_numpy(u[:, :rank] * s[:rank] @ vt[:rank])
    torch.testing.assert_close(surface.value(at(surface, "minimum"))[0], 0.5 * error.square().mean())


def test_regressions_have_the_losses_of_their_formulas():
    data = load_dataset("breast_cancer")
    w = torch.randn(3, 31, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    outputs = w[:, :-1] @ data.features.mT + w[:, -1:]
    label = torch.as_tensor(data.target, dtype=torch.float64)
    probability = torch.sigmoid(outputs)
    entropy = -(label * probability.log() + (1 - label) * (1 - probability).log()).mean(1)
    torch.testing.assert_close(logistic_regression(data).value(w), entropy, rtol=1e-6, atol=0)
    y = (label - label.mean()) / label.std(correction=0)
    torch.testing.assert_close(linear_regression(data).value(w), 0.5 * (outputs - y).square().mean(1))


def activation(name):
    return {"identity": torch.nn.Identity(), "square": torch.square, "erf": torch.erf}.get(name) or getattr(
        torch.nn, {"gelu": "GELU", "silu": "SiLU", "relu": "ReLU"}.get(name, name.capitalize())
    )()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_perceptron_is_the_one_that_torch_makes(name):
    data = load_dataset("iris")
    surface = mlp(data, hidden=[5, 3], activation=name)
    phi = activation(name)
    layers = [torch.nn.Linear(a, b, dtype=torch.float64) for a, b in itertools.pairwise([4, 5, 3, 3])]
    x = data.features
    for layer in layers[:-1]:
        x = phi(layer(x))
    labels = torch.as_tensor(data.target)
    loss = torch.nn.functional.cross_entropy(layers[-1](x), labels)
    w = torch.cat([part.flatten() for layer in layers for part in (layer.weight, layer.bias)]).detach()
    torch.testing.assert_close(surface.value(w[None])[0], loss.detach())


def test_a_deep_linear_network_is_the_product_of_its_matrices():
    surface = deep_linear_network(load_dataset("iris"), hidden=[4, 2])
    first, second, third = (torch.randn(shape).double() for shape in ((4, 4), (2, 4), (3, 2)))
    w = torch.cat([first.flatten(), second.flatten(), third.flatten()])
    x, target = surface.samples.tensors
    loss = 0.5 * (x @ (third @ second @ first).mT - target).square().sum(1).mean()
    torch.testing.assert_close(surface.value(w[None])[0], loss)
    assert target.mean(0).abs().max() < 1e-12


def test_the_toy_network_and_phase_retrieval_are_their_formulas():
    toy, phases = toy_network(seed=1), phase_retrieval(dim=3, n=9, seed=1)
    (x, y), (a, square) = toy.samples.tensors, phases.samples.tensors
    w = torch.tensor([[0.7, -0.4]], dtype=torch.float64)
    torch.testing.assert_close(toy.value(w)[0], 0.5 * (-0.4 * (0.7 * x) ** 2 - y).square().mean())
    w = torch.tensor([[0.7, -0.4, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(phases.value(w)[0], 0.25 * ((a @ w[0]) ** 2 - square).square().mean())


def test_synthetic_data_come_from_their_seed():
    for make in (teacher_student, toy_network, matrix_factorization, phase_retrieval):
        first, again, other = make(seed=1), make(seed=1), make(seed=2)
        w = torch.ones(1, first.dim)
        assert torch.equal(first.value(w), again.value(w))
        assert not torch.equal(first.value(w), other.value(w))


def test_initial_weights_have_the_variance_of_their_fan_in_and_no_biases():
    surface = mlp(load_dataset("digits"), hidden=50)
    first, bias = surface.sample_loss.layers(surface.initial_weights)[:2]
    assert first.std().item() == pytest.approx(1 / 8, rel=4 / (2 * first.numel()) ** 0.5)
    assert not bias.any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mlp(load_dataset("iris"), hidden=0), "hidden: expected a whole number of at least 1, got 0"),
        (lambda: mlp(load_dataset("iris"), hidden=[3, 0]), "hidden: expected a whole number"),
        (lambda: mlp(load_dataset("iris"), hidden="3"), "hidden: expected a whole number or a list of them, got '3'"),
        (lambda: mlp(load_dataset("iris"), activation="tan"), "activation: unknown value 'tan'; did you mean 'tanh'"),
        (lambda: mlp(load_dataset("iris"), loss="mse"), "loss: unknown value 'mse'"),
        (lambda: linear_autoencoder(load_dataset("iris"), hidden=5), "hidden: expected a whole number from 1 to 4"),
        (lambda: deep_linear_network(load_dataset("iris"), layers=1), "layers: expected a whole number of at least 2"),
        (lambda: deep_linear_network(load_dataset("iris"), hidden=[]), "hidden: expected at least one width"),
        (lambda: deep_linear_network(Dataset("own.csv", torch.ones(3, 2))), "data: expected a column to predict"),
        (lambda: teacher_student(dim=5, n=4), "n: expected a whole number of at least 5, got 4"),
        (lambda: teacher_student(label_noise=-1), "label_noise"),
        (lambda: matrix_factorization(rank=9), "rank: expected a whole number from 1 to 8"),
        (lambda: phase_retrieval(dim=0), "dim"),
        (lambda: toy_network(seed=-1), "seed"),
    ],
)
def test_bad_parameters_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()

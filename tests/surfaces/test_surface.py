import copy
import pickle

import numpy as np
import pytest
import torch
from torch.func import grad, jvp

import sam_sde as ss
from sam_sde.surfaces import CriticalPoint, LossSurface, beale

SHAPES = pytest.mark.parametrize("paths", [1, 7])
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def cubic(w):
    return w[0] ** 3 - 2 * w[0] * w[1] ** 2 + w[1]


def points(paths=5, dim=2, dtype=torch.float64, seed=0):
    return torch.randn(paths, dim, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@DTYPES
@SHAPES
def test_derivatives_are_those_of_the_formula_in_the_dtype_of_the_state(dtype, paths):
    surface, w, v = LossSurface(cubic, 2), points(paths, dtype=dtype), points(paths, dtype=dtype, seed=1)
    x, y = w.unbind(1)
    gradient = torch.stack([3 * x**2 - 2 * y**2, 1 - 4 * x * y], dim=1)
    hessian = torch.stack([6 * x, -4 * y, -4 * y, -4 * x], dim=1).reshape(paths, 2, 2)
    torch.testing.assert_close(surface.value(w), x**3 - 2 * x * y**2 + y)
    torch.testing.assert_close(surface.gradient(w), gradient)
    torch.testing.assert_close(surface.hessian(w), hessian)
    torch.testing.assert_close(surface.hessian_product(w, v), (hessian @ v[..., None])[..., 0])


@pytest.mark.parametrize(
    "loss",
    [
        lambda w: w[0] ** 2 - w[1] ** 2,
        lambda w: (w**4).sum(),
        lambda w: (w @ torch.eye(3).to(w) @ w) / 2,
        lambda w: torch.tensor(2.0, dtype=torch.float64) * w[0] + (torch.ones(3, dtype=torch.float64) * w**3).sum(),
        lambda w: torch.where(w > 0, w, -2 * w).sum(),
        lambda w: torch.logsumexp(w, 0) + torch.linalg.vector_norm(w),
    ],
)
def test_ordinary_losses_pass_the_check_and_keep_float32(loss):
    surface, w = LossSurface(loss, 3), points(4, 3, torch.float32)
    surface.check_at(w)
    results = surface.value(w), surface.gradient(w), surface.hessian(w), surface.hessian_product(w, w)
    assert [r.dtype for r in results] == [torch.float32] * 4
    assert [tuple(r.shape) for r in results] == [(4,), (4, 3), (4, 3, 3), (4, 3)]


def test_products_nest_in_other_transforms():
    # The derivative of vᵀH(w)v along u is the third derivative; by hand for the cubic.
    surface, w, u, v = LossSurface(cubic, 2), points(seed=0), points(seed=1), points(seed=2)
    curvature = lambda w: (v * surface.hessian_product(w, v)).sum(1)  # noqa: E731
    along = jvp(curvature, (w,), (u,))[1]
    expected = 6 * u[:, 0] * v[:, 0] ** 2 - 8 * u[:, 1] * v[:, 0] * v[:, 1] - 4 * u[:, 0] * v[:, 1] ** 2
    torch.testing.assert_close(along, expected)
    reverse = grad(lambda w: curvature(w).sum())(w)
    torch.testing.assert_close((reverse * u).sum(1), expected)


def test_derivatives_agree_with_finite_differences():
    surface, w, h = beale(), points(6), 1e-5
    for i, step in enumerate(h * torch.eye(2, dtype=torch.float64)):
        difference = (surface.value(w + step) - surface.value(w - step)) / (2 * h)
        torch.testing.assert_close(surface.gradient(w)[:, i], difference, rtol=1e-6, atol=1e-6)
        difference = (surface.gradient(w + step) - surface.gradient(w - step)) / (2 * h)
        torch.testing.assert_close(surface.hessian(w)[:, i], difference, rtol=1e-6, atol=1e-6)


KNOWN = {
    "quadratic": ss.surfaces.quadratic([1.0, -2.0, 0.5]),
    "turned": ss.surfaces.quadratic([1.0, -2.0, 0.5], rotation=30.0),
    "many coordinates": ss.surfaces.quadratic(torch.linspace(-1, 2, 20).tolist(), rotation=10.0),
    "embedded saddle": ss.surfaces.embedded_saddle([-1.0, 2.0], quartic=0.7, cubic=0.3),
    "double well": ss.surfaces.double_well(3, barrier=0.4),
    "well of one coordinate": ss.surfaces.double_well(1),
    "beale": ss.surfaces.beale(),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", KNOWN)
def test_gradients_in_closed_form_are_those_of_torch_and_can_be_differentiated_again(name, dtype):
    surface = KNOWN[name]
    w = torch.randn(9, surface.dim, dtype=dtype, generator=torch.Generator().manual_seed(1))
    by_torch = torch.func.vmap(torch.func.grad(surface.loss))
    digits = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-13}
    torch.testing.assert_close(surface.gradient(w), by_torch(w), **digits)
    v = w.flip(0)
    again = [torch.func.vjp(each, w)[1](v)[0] for each in (surface.gradient, by_torch)]
    torch.testing.assert_close(*again, **digits)


@pytest.mark.parametrize(
    ("gradient", "message"),
    [
        (lambda w: -2 * w, r"gradient: expected that of the loss, \[.*\] at \[.*\], got"),
        (lambda w: 2 * w.flip(-1), "gradient: expected that of the loss"),
        (lambda w: 2 * w[0], r"gradient: expected the shape \(1, 2\) of w"),
        (lambda w: 3.0, "gradient: expected the shape"),
        (lambda w: w.mul_(2), "gradient: the gradient writes into its argument"),
        (lambda w: 2 * w + 1e-9 * torch.randn(2), "gradient: the gradient draws or seeds random numbers"),
        (lambda w: w @ torch.eye(3), "gradient: it raised RuntimeError: .*many weights"),
    ],
)
def test_a_gradient_of_something_else_is_refused(gradient, message):
    with pytest.raises(ss.ArgumentError, match=message):
        ss.LossSurface(lambda w: (w**2).sum(), 2, gradient=gradient)


def test_a_gradient_has_the_dtype_of_the_weights():
    surface = ss.LossSurface(lambda w: (w**2).sum(), 2, gradient=lambda w: torch.full((2,), 2.0).double() * w)
    assert surface.gradient(torch.ones(3, 2)).dtype == torch.float32


@pytest.mark.parametrize("shift", [lambda w: w.detach(), lambda w: w, lambda w: w.double()])
def test_second_derivatives_are_those_of_the_loss_whatever_gradient_is_given(shift):
    """One that torch cannot differentiate to the end is not taken for them, and one in another precision is rounded."""
    surface = ss.LossSurface(lambda w: (w**4).sum() + w.prod(), 2, gradient=lambda w: 4 * shift(w) ** 3 + w.flip(-1))
    w, v = points().float(), points().float().flip(0)
    by_torch = ss.LossSurface(surface.loss, 2)
    for each in ("hessian", "hessian_product"):
        arguments = (w, v)[: 1 + (each == "hessian_product")]
        found, expected = (getattr(one, each)(*arguments) for one in (surface, by_torch))
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_gradient_stays_with_its_loss():
    surface, w = ss.surfaces.quadratic([1.0, -2.0]), torch.ones(3, 2)
    for copied in (copy.deepcopy(surface), pickle.loads(pickle.dumps(surface))):
        assert copied._known_gradient[1] is copied.loss
    surface.loss = lambda w: (w**2).sum()
    torch.testing.assert_close(surface.gradient(w), 2 * w)
    torch.testing.assert_close(surface.hessian(w), 2 * torch.eye(2).expand(3, 2, 2))


def test_a_gradient_is_held_against_the_loss_where_paths_start():
    surface = ss.LossSurface(lambda w: (w**2).sum(), 2, gradient=lambda w: 2 * w + (w > 3).to(w))
    surface.check_at(torch.ones(4, 2))
    with pytest.raises(ss.ArgumentError, match="gradient: expected that of the loss"):
        surface.check_at(torch.tensor([[1.0, 1.0], [1.0, 4.0]]))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_derivatives_need_no_gradient_mode(mode):
    w = points()
    with mode():
        surface = LossSurface(cubic, 2)
        surface.check_at(w)
        gradient = surface.gradient(w)
    torch.testing.assert_close(gradient, surface.gradient(w))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_a_copy_is_the_same_surface(duplicate):
    surface = LossSurface(cubic, 2, name="cubic")
    surface.gradient(points())
    twin = duplicate(surface)
    assert (twin.name, twin.dim) == ("cubic", 2)
    assert torch.equal(twin.hessian(points()), surface.hessian(points()))


def changes_its_argument(w):
    w[0] = 0.0
    return w.sum()


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda w: w**2, r"scalar, got shape \(2,\); try \.sum\(\)"),
        (lambda w: w[:1], r"scalar, got shape \(1,\).*\[0\]"),
        (lambda w: None, "torch scalar, got NoneType"),
        (lambda w: w[0].item() ** 2, "torch scalar, got float.*without .item"),
        (lambda w: (w > 0).sum(), "floating point number, got torch.int64"),
        (lambda w: torch.tensor(1.0), "has no gradient"),
        (lambda w: w.sum().detach(), "has no gradient"),
        (lambda w: torch.as_tensor(np.sin(w.detach().numpy())).sum(), "has no gradient"),
        (lambda w: w[0].item() * w[1], "without .item"),
        (lambda w: np.exp(w.numpy()).sum(), "instead of numpy"),
        (lambda w: w.detach().numpy()[0] * w[1], "without numpy"),
        (lambda w: w[0] if w[0] > 0 else w[1], "torch.where"),
        (lambda w: w[w > 0].sum() + w[0], "torch.where"),
        (lambda w: (w * torch.randn(2)).sum(), "same result at every call"),
        (lambda w: w @ torch.eye(2, dtype=torch.float64) @ w, r"\.to\(w\)"),
        (changes_its_argument, "writes into its argument in place.*x = x / 2"),
        (lambda w: w[5] ** 2, r"the loss raised IndexError: index 5.*shape \(2,\)"),
        (lambda w: w.sum() / 0 + 1 / 0, "the loss raised ZeroDivisionError"),
        (lambda w, v: w.sum(), "the loss raised TypeError.*one weight vector"),
        (
            lambda w: torch.log(w).sum(),
            r"the loss is not finite for 2 of 3 paths, first for path 1 at \(-1, 2\)",
        ),
        (lambda w: torch.sqrt((w - 1) ** 2).sum(), "the gradient of the loss is not finite for 1 of 3 paths"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_loss_that_cannot_be_used_is_refused_in_one_line(loss, message):
    w = torch.tensor([[1.0, 2.0], [-1.0, 2.0], [-1.0, -1.0]])
    with pytest.raises(ValueError, match=message) as caught:
        LossSurface(loss, 2).check_at(w)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (torch.zeros(4, 3), "start: expected 2 coordinates, got 3"),
        (torch.zeros(2), r"shape \(paths, dim\), got torch.float32, \(2,\)"),
        (torch.zeros(4, 2, dtype=torch.int64), "floating point tensor"),
        ([[0.0, 0.0]], "floating point tensor"),
        (torch.zeros(0, 2), "at least one path"),
        (torch.tensor([[0.0, 0.0], [0.0, float("nan")]]), "start: the point is not finite for 1 of 2 paths"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(start, message):
    with pytest.raises(ValueError, match=message):
        LossSurface(cubic, 2).check_at(start)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": 3}, "loss: expected a function"),
        ({"dim": 0}, "dim: expected a whole number of at least 1, got 0"),
        ({"dim": 2.0}, "dim: expected a whole number"),
        ({"critical_points": [CriticalPoint((0.0,), "saddle")]}, "expected 2 numbers"),
    ],
)
def test_a_surface_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LossSurface(**{"loss": cubic, "dim": 2, **arguments})


def test_a_critical_point_has_a_known_kind():
    with pytest.raises(ValueError, match="did you mean 'saddle'"):
        CriticalPoint((0.0, 0.0), "sadle")


CALLS = []
CONSTANT = torch.ones(2)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda w: w.mul_(2.0).sum(), "surface: the loss writes into its argument in place"),
        (lambda w: w.square().sum() * len(CALLS.append(0) or CALLS), "surface: the loss gives another result"),
        (lambda w: (w * CONSTANT.mul_(2.0)).sum(), "surface: the loss gives another result"),
        (lambda w: w.sum() * np.random.rand(), "surface: the loss draws or seeds random numbers"),  # noqa: NPY002
    ],
)
def test_a_loss_that_writes_counts_or_draws_is_refused_before_it_is_asked_for_a_value(loss, message):
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    with pytest.raises(ValueError, match=message):
        LossSurface(loss, 2)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def test_a_loss_may_be_undefined_where_nothing_starts():
    def loss(w):
        if not torch.compiler.is_compiling() and w.requires_grad and w.detach().sum() < 5:
            raise ZeroDivisionError
        return w.sum()

    assert LossSurface(loss, 2).dim == 2

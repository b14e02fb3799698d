"""A finite sum agrees with explicit loops over paths and samples, whatever the blocks."""

import pickle

import pytest
import torch

import sam_sde as ss
from sam_sde.surfaces import finite_sum

N_SAMPLES, N_PATHS, DIM = 7, 5, 4


def neuron(w, sample):
    x, y = sample
    return (torch.tanh(w[:3] @ x) * w[3] - y) ** 2


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def data(generator):
    return torch.randn(N_SAMPLES, 3, generator=generator).double(), torch.randn(N_SAMPLES, generator=generator).double()


@pytest.fixture
def w(generator):
    return torch.randn(N_PATHS, DIM, generator=generator, dtype=torch.float64)


@pytest.fixture(params=[2**24, 150, 1], ids=["one block", "blocks of paths", "one sample a block"])
def surface(request, data, monkeypatch):
    monkeypatch.setattr(finite_sum, "NUMBERS_AT_ONCE", request.param)
    monkeypatch.setattr(finite_sum, "GRADIENTS_AT_ONCE", request.param)
    return ss.FiniteSum(neuron, data, DIM)


def losses(w, data):
    """ℓ_i(w) of every path and sample, one after the other, on a graph."""
    return torch.stack([torch.stack([neuron(row, (x, y)) for x, y in zip(*data, strict=True)]) for row in w])


def gradients(w, data):
    """∇ℓ_i(w) (paths, n, dim)."""
    leaf = w.clone().requires_grad_()
    each = losses(leaf, data)
    columns = [torch.autograd.grad(each[:, i].sum(), leaf, retain_graph=True)[0] for i in range(N_SAMPLES)]
    return torch.stack(columns, dim=1)


def hessians(w, data):
    """∇²ℓ_i(w) (paths, n, dim, dim)."""

    def one(row, i):
        sample = tuple(tensor[i] for tensor in data)
        return torch.autograd.functional.hessian(lambda w: neuron(w, sample), row)

    return torch.stack([torch.stack([one(row, i) for i in range(N_SAMPLES)]) for row in w])


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


def test_value_and_derivatives_are_means_over_samples(surface, data, w, generator):
    v = torch.randn(N_PATHS, DIM, generator=generator, dtype=torch.float64)
    close(surface.value(w), losses(w, data).mean(1))
    close(surface.gradient(w), gradients(w, data).mean(1))
    hessian = hessians(w, data).mean(1)
    close(surface.hessian(w), hessian)
    close(surface.hessian_product(w, v), (hessian @ v[..., None])[..., 0])
    close(torch.func.vmap(torch.func.grad(surface.loss))(w), gradients(w, data).mean(1))


def test_gradients_of_samples_of_weighted_sums_and_of_minibatches(surface, data, w, generator):
    each = gradients(w, data)
    weights = torch.randn(N_PATHS, N_SAMPLES, generator=generator, dtype=torch.float64)
    direction = torch.randn(N_PATHS, DIM, generator=generator, dtype=torch.float64)
    index = torch.randint(N_SAMPLES, (N_PATHS, 3), generator=generator)
    close(surface.sample_gradients(w), each)
    close(surface.weighted_gradient(w, weights), torch.einsum("pn,pnd->pd", weights, each))
    close(surface.sample_slopes(w, direction), torch.einsum("pnd,pd->pn", each, direction))
    batches = torch.stack([each[path, index[path]].mean(0) for path in range(N_PATHS)])
    close(surface.minibatch_gradient(w, index), batches)


def test_the_mean_square_of_the_gradients_and_its_slope(surface, data, w):
    each = gradients(w, data)
    close(surface.mean_squared_gradient(w), each.square().sum(-1).mean(1))
    slope = 2 * torch.einsum("pnij,pnj->pi", hessians(w, data), each) / N_SAMPLES
    close(surface.mean_squared_gradient_slope(w), slope)


def test_derivatives_may_be_nested_in_transforms(surface, data, w):
    trace = torch.func.grad(lambda w: surface.hessian(w).diagonal(dim1=1, dim2=2).sum())(w)
    for i in range(DIM):
        shift = 1e-5 * torch.eye(DIM, dtype=torch.float64)[i]
        up, down = (surface.hessian(w + sign * shift).diagonal(dim1=1, dim2=2).sum(-1) for sign in (1, -1))
        torch.testing.assert_close(trace[:, i], (up - down) / 2e-5, rtol=1e-6, atol=1e-6)
    close(surface.gradient(w), gradients(w, data).mean(1))  # no copy of the data belongs to a transform that is over


def layers(w, x):
    """A linear layer, a norm with weights of its own, and a readout: on one sample (5, 4)."""
    matrix, scale, shift = w[:16].view(4, 4), w[16:20], w[20:24]
    return lambda norm: (norm((x @ matrix)[None], scale, shift).tanh() * torch.arange(4).to(w)).sum()


def instance_norm(x, scale, shift):
    return torch.nn.functional.instance_norm(x.mT, weight=scale, bias=shift).mT


NORMS = {
    "layer": lambda x, scale, shift: torch.nn.functional.layer_norm(x, (4,), scale, shift),
    "instance": instance_norm,
    "rms": lambda x, scale, shift: torch.nn.functional.rms_norm(x, (4,), scale),
    "group": lambda x, scale, shift: torch.nn.functional.group_norm(x.mT, 2, scale, shift).mT,
}


@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize("n_samples", [1, 3])
def test_second_derivatives_through_norms_are_those_of_differences(kind, n_samples, generator):
    norm = NORMS[kind]
    x = torch.randn(n_samples, 5, 4, generator=generator, dtype=torch.float64)
    of_data = ss.FiniteSum(lambda w, sample: layers(w, sample)(norm), x, 24)
    of_one = ss.LossSurface(lambda w: layers(w, x[0])(norm), 24)
    w, v = torch.randn(2, 3, 24, generator=generator, dtype=torch.float64)

    def difference(function):
        return (function(w + 1e-6 * v) - function(w - 1e-6 * v)) / 2e-6

    for surface in (of_one, of_data):
        expected = difference(surface.gradient)
        torch.testing.assert_close(surface.hessian_product(w, v), expected, rtol=1e-5, atol=1e-5)
        second_order = ss.SGD(surface, ss.NoNoise(), lr=0.1, drift_order=2).f(0.0, w)
        gradient = surface.gradient(w)
        drift = -gradient - 0.05 * surface.hessian_product(w, gradient)
        torch.testing.assert_close(second_order, drift, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close((of_data.hessian(w) @ v[..., None])[..., 0], expected, rtol=1e-5, atol=1e-5)
    slope = (of_data.mean_squared_gradient_slope(w) * v).sum(-1)
    torch.testing.assert_close(slope, difference(of_data.mean_squared_gradient), rtol=1e-5, atol=1e-4)


def test_data_are_copied_and_a_loss_that_writes_is_refused():
    data = torch.ones(3, 2, dtype=torch.float64)
    surface = ss.FiniteSum(lambda w, x: w @ x, data, 2)
    before = surface.value(torch.ones(1, 2))
    data.zero_()
    assert torch.equal(surface.value(torch.ones(1, 2)), before)
    data.fill_(1.0)
    with pytest.raises(ValueError, match="surface: the loss of a sample writes into its argument in place"):
        ss.FiniteSum(lambda w, x: w @ x.div_(4.0), data, 2)
    assert torch.equal(data, torch.ones_like(data))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_data_follow_the_dtype_of_the_weights_and_labels_keep_theirs(dtype):
    data = (torch.randn(6, 2).numpy(), torch.tensor([0, 1, 2, 0, 1, 2]))

    def loss(w, sample):
        x, label = sample
        assert (x.dtype, label.dtype) == (dtype, torch.int64)
        return torch.nn.functional.cross_entropy(w.view(3, 2) @ x, label)

    surface = ss.FiniteSum(loss, data, 6)
    w = torch.zeros(2, 6, dtype=dtype)
    assert surface.value(w).dtype == surface.gradient(w).dtype == dtype
    torch.testing.assert_close(surface.value(w), torch.full((2,), 3.0, dtype=dtype).log())


def test_one_tensor_of_data_gives_samples_that_are_tensors(w):
    data = torch.arange(8.0).view(2, 4)
    surface = ss.FiniteSum(lambda w, x: w @ x, data, 4)
    close(surface.gradient(w), data.double().mean(0).expand(N_PATHS, -1))
    close(surface.minibatch_gradient(w, torch.ones(N_PATHS, 1, dtype=torch.int64)), data[1].double().expand(5, -1))


def test_a_finite_sum_can_be_pickled(data, w):
    surface = ss.FiniteSum(neuron, data, DIM)
    gradient = surface.gradient(w)
    assert torch.equal(pickle.loads(pickle.dumps(surface)).gradient(w), gradient)


ROWS = torch.zeros(3, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ss.FiniteSum("loss", ROWS, 2), "sample_loss: expected a function of w and one sample, got 'loss'"),
        (lambda: ss.FiniteSum(neuron, [], 2), "data: expected at least one sample"),
        (lambda: ss.FiniteSum(neuron, ROWS[:0], 2), "data: expected at least one sample"),
        (lambda: ss.FiniteSum(neuron, (ROWS, ROWS[:2]), 2), r"data: expected the same number .* got \[3, 2\]"),
        (lambda: ss.FiniteSum(neuron, "digits", 2), "data: expected tensors with one row a sample, got 'digits'"),
        (lambda: ss.FiniteSum(neuron, ROWS + torch.nan, 2), "data: expected finite numbers, .* first in sample 0"),
        (lambda: ss.FiniteSum(neuron, (ROWS, torch.tensor(1.0)), 2), "data: expected tensors"),
        (lambda: ss.FiniteSum(neuron, ROWS, 0), "dim"),
    ],
)
def test_bad_sums_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda w, x: w * x, "must be a scalar, got shape"),
        (lambda w, x: w[5], "the loss raised IndexError"),
        (lambda w, x: w[0] if x[0] > 1 else w[1], "use torch.where"),
        (lambda w, x: x.sum(), "does not depend on w"),
        (lambda w, x: (w - x).log().sum(), "is not finite"),
    ],
)
def test_a_bad_loss_of_one_sample_is_told_at_the_start(loss, message):
    with pytest.raises(ValueError, match=message):
        ss.FiniteSum(loss, ROWS + 1, 2).check_at(torch.zeros(3, 2))

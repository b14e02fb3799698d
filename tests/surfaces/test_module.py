"""A torch module as a surface: its own loss, its own gradients, its own names."""

import copy
import pickle
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

import sam_sde as ss
from sam_sde.surfaces import linear_autoencoder, load_dataset

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(20, 4, generator=GENERATOR)
LABELS = torch.randint(3, (20,), generator=GENERATOR)
cross_entropy, mse = nn.functional.cross_entropy, nn.functional.mse_loss


def network(*extra):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), *extra, nn.Linear(6, 3))


def of_module(module, w, surface, x=X, labels=LABELS):
    """Loss and flat gradient of the module itself on the whole batch, with the weights w."""
    module.load_state_dict(surface.unflatten(w.float()), strict=False)
    module.zero_grad()
    loss = cross_entropy(module(x), labels)
    loss.backward()
    return loss, torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])


def test_loss_and_gradient_are_those_of_the_module_on_the_whole_batch():
    module = network()
    surface = ss.network_surface(module, cross_entropy, (X, LABELS))
    for w in (surface.initial_weights, torch.linspace(-1, 1, surface.dim)):
        loss, gradient = of_module(module, w, surface)
        torch.testing.assert_close(surface.value(w[None].float())[0], loss.detach())
        torch.testing.assert_close(surface.gradient(w[None].float())[0], gradient)


def test_weights_keep_the_names_shapes_and_values_of_the_module():
    module = network()
    surface = ss.network_surface(module, cross_entropy, (X, LABELS))
    parts = surface.unflatten(surface.initial_weights)
    assert surface.names == ["0.weight", "0.bias", "2.weight", "2.bias"]
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(parts[name].float(), parameter.detach())
    assert surface.unflatten(torch.zeros(5, surface.dim))["0.weight"].shape == (5, 6, 4)
    assert surface.dim == sum(p.numel() for p in module.parameters())


def test_inputs_alone_are_their_own_targets():
    surface = ss.network_surface(nn.Linear(4, 4, bias=False), mse, X)
    identity = torch.eye(4).flatten()
    assert surface.value(torch.stack([identity, 0 * identity])).tolist() == pytest.approx([0, X.square().mean().item()])


def test_batch_norm_in_evaluation_mode_is_a_function_of_one_sample():
    module = network(nn.BatchNorm1d(6), nn.Dropout(0.5))
    module(X)  # running statistics that are not the initial ones
    module.eval()
    surface = ss.network_surface(module, cross_entropy, (X, LABELS))
    loss, gradient = of_module(module, surface.initial_weights, surface)
    w = surface.initial_weights[None].float()
    torch.testing.assert_close(surface.value(w)[0], loss.detach())
    torch.testing.assert_close(surface.gradient(w)[0], gradient)
    surface.check_at(w)


def test_threads_that_ask_at_once_get_each_its_own():
    """torch puts the weights into the module while it calls it."""
    surface = pickle.loads(pickle.dumps(ss.network_surface(network(), cross_entropy, (X, LABELS))))
    weights = torch.randn(4, 8, surface.dim, generator=torch.Generator().manual_seed(3))
    with ThreadPoolExecutor(4) as threads:
        for ask in (surface.value, surface.gradient):
            found = list(threads.map(ask, weights.repeat(50, 1, 1)))
            expected = list(map(ask, weights)) * 50
            assert all(map(torch.equal, found, expected))


def test_frozen_parameters_and_buffers_are_constants():
    module = network()
    module[0].requires_grad_(False)
    surface = ss.network_surface(module, cross_entropy, (X, LABELS))
    assert surface.names == ["2.weight", "2.bias"]
    loss, gradient = of_module(module, surface.initial_weights, surface)
    w = surface.initial_weights[None].float()
    torch.testing.assert_close(surface.value(w)[0], loss.detach())
    torch.testing.assert_close(surface.gradient(w)[0], gradient)


def test_the_module_is_left_as_it_is_and_later_changes_do_not_count():
    module = network()
    surface = ss.network_surface(module, cross_entropy, (X, LABELS))
    w = surface.initial_weights[None].float()
    before = surface.value(w)
    with torch.no_grad():
        module[0].weight.zero_()
    assert torch.equal(surface.value(w), before)
    assert torch.equal(pickle.loads(pickle.dumps(surface)).value(w), before)


def test_a_network_escapes_with_empirical_noise():
    surface = ss.network_surface(network(), cross_entropy, (X, LABELS))
    sgd = ss.SGD(surface, ss.EmpiricalNoise(surface), lr=0.05, batch_size=4)
    start = surface.initial_weights
    result = ss.escape_times(sgd, start=start, region=ss.Ball(start, 1.0), t_max=5.0, n_paths=8, device="cpu")
    assert (result.outcome == ss.Outcome.ESCAPED).all()


class Attention(nn.Module):
    """Self-attention, or a layer of a transformer, and a mean over places."""

    def __init__(self, layer, **options):
        super().__init__()
        self.layer, self.options, self.out = layer, options, nn.Linear(4, 3)

    def forward(self, x):
        mixed = self.layer(x, x, x, **self.options)[0] if self.options else self.layer(x)
        return self.out(mixed.mean(1))


def encoder_layer(dropout):
    return nn.TransformerEncoderLayer(4, 2, 8, dropout=dropout, batch_first=True)


ATTENTION = {
    "weights": lambda: Attention(nn.MultiheadAttention(4, 2, batch_first=True), need_weights=True),
    "kernel": lambda: Attention(nn.MultiheadAttention(4, 2, batch_first=True), need_weights=False),
    "attention, eval": lambda: Attention(
        nn.MultiheadAttention(4, 2, dropout=0.5, batch_first=True), need_weights=False
    ).eval(),
    "layer": lambda: Attention(encoder_layer(0.0)),
    "layer, eval": lambda: Attention(encoder_layer(0.5)).eval(),
    "encoder, eval": lambda: Attention(nn.TransformerEncoder(encoder_layer(0.5), 2)).eval(),
}


@pytest.mark.parametrize("kind", ATTENTION)
def test_attention_has_all_derivatives_and_the_choices_of_torch_are_left(kind):
    torch.manual_seed(2)
    module, x = ATTENTION[kind](), torch.randn(6, 5, 4)
    training = [layer.training for layer in module.modules()]
    surface = ss.network_surface(module, cross_entropy, (x, LABELS[:6]))
    w = surface.initial_weights[None]
    loss, gradient = of_module(module, surface.initial_weights, surface, x, LABELS[:6])
    torch.testing.assert_close(surface.value(w)[0].float(), loss.detach())
    torch.testing.assert_close(surface.gradient(w)[0].float(), gradient, rtol=1e-4, atol=1e-6)
    v = torch.linspace(-1, 1, surface.dim, dtype=torch.float64)[None]
    step = 1e-5 * v
    differences = (surface.gradient(w + step) - surface.gradient(w - step)) / 2e-5
    torch.testing.assert_close(surface.hessian_product(w, v), differences, rtol=1e-5, atol=1e-7)
    slopes = torch.einsum("pnd,pd->pn", surface.sample_gradients(w), v)
    torch.testing.assert_close(surface.sample_slopes(w, v), slopes)
    assert [layer.training for layer in module.modules()] == training
    assert torch.backends.cuda.flash_sdp_enabled()
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize("default", [torch.float32, torch.float64])
@pytest.mark.parametrize("of_module", [torch.float32, torch.float64])
def test_the_default_dtype_is_no_matter(default, of_module):
    module = network().to(of_module)
    expected = cross_entropy(module(X.to(of_module)), LABELS).item()
    torch.set_default_dtype(default)
    try:
        surface = ss.network_surface(module, cross_entropy, (X, LABELS))
        values = [surface.value(surface.initial_weights[None].to(dtype)) for dtype in (torch.float32, torch.float64)]
        sgd = ss.SGD(surface, ss.EmpiricalNoise(surface), lr=0.01)
        region = ss.Ball(surface.initial_weights, 9.0)
        run = {"start": surface.initial_weights, "region": region, "t_max": 0.1, "n_paths": 2, "device": "cpu"}
        assert ss.escape_times(sgd, **run).exit_points.shape == (2, surface.dim)
    finally:
        torch.set_default_dtype(torch.float32)
    assert [value.dtype for value in values] == [torch.float32, torch.float64]
    assert [value.item() for value in values] == pytest.approx(2 * [expected])


class SinglePrecision(nn.Module):
    """Works in single precision alone, for it has a constant that is none of its buffers."""

    def __init__(self):
        super().__init__()
        self.linear, self.matrix = nn.Linear(4, 3), torch.eye(4)

    def forward(self, x):
        return self.linear(x @ self.matrix)


def test_a_module_of_single_precision_is_asked_in_it():
    surface = ss.network_surface(SinglePrecision(), cross_entropy, (X, LABELS))
    surface.check_at(surface.initial_weights[None].float())


class Counting(nn.Module):
    """Counts its calls in a buffer."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return self.linear(x)


class Changing(nn.Module):
    """Does something to its input and output beside a linear layer."""

    def __init__(self, change):
        super().__init__()
        self.linear, self.change, self.calls = nn.Linear(4, 3), change, 0

    def forward(self, x):
        self.calls += 1
        return self.change(self, x)


GENERATOR_OF_ITS_OWN = torch.Generator()
CONSTANT = torch.ones(())
IN_PLACE = "module: it writes into its argument in place"
RANDOM = "module: it draws or seeds random numbers"
AGAIN = "module: it gives another result when it is called again"
CHANGES = [
    (lambda self, x: self.linear(x.div_(4.0)), IN_PLACE),
    (lambda self, x: self.linear(nn.functional.relu(x, inplace=True)), IN_PLACE),
    (lambda self, x: self.linear(x) * torch.rand(()), RANDOM),
    (lambda self, x: self.linear(x) * np.random.rand(), RANDOM),  # noqa: NPY002
    (lambda self, x: self.linear(x) * random.random(), RANDOM),
    (lambda self, x: (torch.manual_seed(0), self.linear(x))[1], RANDOM),
    (lambda self, x: nn.functional.dropout(self.linear(x), training=self.training), RANDOM),
    (lambda self, x: self.linear(x) * torch.rand((), generator=GENERATOR_OF_ITS_OWN), AGAIN),
    (lambda self, x: self.linear(x) / self.calls, AGAIN),
    (lambda self, x: self.linear(x) * CONSTANT.mul_(2.0), AGAIN),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_modules_that_write_count_or_draw_are_refused_and_leave_no_trace(change, message):
    x, module = X.double(), Changing(change)
    kept, states = x.clone(), (torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate())  # noqa: NPY002
    with pytest.raises(ValueError, match=message):
        ss.network_surface(module, cross_entropy, (x, LABELS))
    assert torch.equal(x, kept)
    assert module.calls == 0
    assert torch.equal(states[0], torch.get_rng_state())
    assert (states[1] == np.random.get_state()[1]).all()  # noqa: NPY002
    assert states[2] == random.getstate()


COUPLED = "module: it couples samples"
IMAGES = [nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 2, 1)]
COUPLINGS = [
    nn.Sequential(*IMAGES, nn.BatchNorm1d(2, track_running_stats=False), nn.Flatten(), nn.Linear(8, 3)).eval(),
    Changing(lambda self, x: nn.functional.normalize(self.linear(x), dim=0)),
    Changing(lambda self, x: self.linear(x) - self.linear(x).mean(0)),
    Changing(lambda self, x: self.linear(x).softmax(0)),
    Changing(lambda self, x: self.linear(x).cumsum(0)),
    Changing(lambda self, x: self.linear(x).flip(0)),
    nn.Sequential(nn.Unflatten(1, (1, 4)), nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0), nn.Flatten()),  # (time, …)
]


@pytest.mark.parametrize("module", COUPLINGS)
def test_modules_that_couple_samples_are_refused(module):
    zero = copy.deepcopy(module)
    for parameter in zero.parameters():
        nn.init.zeros_(parameter)
    for each in (module, zero):
        with pytest.raises(ValueError, match=COUPLED):
            ss.network_surface(each, cross_entropy, (X, LABELS))


@pytest.mark.parametrize(
    "layer", [nn.LayerNorm(3), nn.GroupNorm(1, 3), nn.Dropout(0.0), nn.Softmax(dim=1), nn.ReLU(inplace=True)]
)
def test_layers_of_one_sample_are_accepted(layer):
    module = nn.Sequential(nn.Linear(4, 3), layer)
    surface = ss.network_surface(module, cross_entropy, (X, LABELS))
    loss, _ = of_module(module, surface.initial_weights, surface)
    torch.testing.assert_close(surface.value(surface.initial_weights[None].float())[0], loss.detach())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ss.network_surface(network(nn.Dropout()), cross_entropy, (X, LABELS)), "Dropout '2'.*module.eval"),
        (lambda: ss.network_surface(network(nn.BatchNorm1d(6)), cross_entropy, (X, LABELS)), "BatchNorm1d '2'"),
        (
            lambda: ss.network_surface(Counting(), cross_entropy, (X, LABELS)),
            "module: it changes its buffer 'calls'",
        ),
        (lambda: ss.network_surface(nn.Tanh(), mse, X), "module: expected parameters with requires_grad, got none"),
        (
            lambda: ss.network_surface(
                nn.EmbeddingBag(9, 3), cross_entropy, (torch.arange(20).view(10, 2) % 9, LABELS[:10])
            ),
            "module: torch cannot .* use torch.nn.Embedding",
        ),
        (
            lambda: ss.network_surface(nn.Linear(4, 3).to(torch.complex64), mse, X),
            "module: expected real weights, got torch.complex64 in 'weight'.*view_as_complex",
        ),
        (lambda: ss.network_surface(nn.LazyLinear(3), cross_entropy, (X, LABELS)), "module: .*'weight' has no shape"),
        (
            lambda: ss.network_surface(network(), cross_entropy, (X, LABELS, X)),
            "data: expected .inputs, targets., got 3",
        ),
        (lambda: ss.network_surface("net", mse, X), "module: expected a torch.nn.Module, got 'net'"),
        (lambda: ss.network_surface(nn.Linear(4, 4), "mse", X), "loss: expected a function of predictions and targets"),
        (lambda: ss.network_surface(nn.Linear(3, 4), mse, X), "module: failed on a batch of one sample"),
        (lambda: ss.network_surface(network(), cross_entropy, (X, LABELS + 5)), "module: failed .* fit the module"),
        (lambda: ss.network_surface(network(), cross_entropy, (X, LABELS[1:])), "data: expected the same number"),
    ],
)
def test_modules_that_are_no_function_of_weights_and_sample_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_weights_of_the_wrong_length_are_refused():
    surface = ss.network_surface(network(), cross_entropy, (X, LABELS))
    with pytest.raises(ValueError, match=rf"w: expected {surface.dim} weights, got the shape \(3,\)"):
        surface.unflatten(torch.zeros(3))
    for other in (surface, linear_autoencoder(load_dataset("iris"), hidden=2)):
        with pytest.raises(ValueError, match=rf"w: expected {other.dim} weights, got the shape \(3,\)"):
            other.gradient(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="start: expected"):
        surface.check_at(torch.zeros(2, 3))

"""A torch module as a surface: its own loss, its own gradients, its own names."""

import pickle

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


class Counting(nn.Module):
    """Counts its calls in a buffer."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return self.linear(x)


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

"""The mean over samples is what torch's own loss gives for all the data; a loss that is no mean is refused."""

import functools

import pytest
import torch
from torch import nn
from torch.nn import functional

import sam_sde as ss

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(30, 4, generator=GENERATOR)
CLASSES = torch.arange(30) % 3
SOME_IGNORED = torch.where(torch.arange(30) % 7 == 0, -100, CLASSES)
MAPS = torch.randint(3, (30, 5), generator=GENERATOR)
ONE_HOT = functional.one_hot(CLASSES, 3).double()
WEIGHT = torch.tensor([1.0, 10.0, 0.5])
cross_entropy, nll = nn.CrossEntropyLoss, nn.NLLLoss


def linear(*last):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 3), *last)


def maps():
    """Scores (n, 3, 5): of three classes at five places."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 15), nn.Unflatten(1, (3, 5)))


CASES = {
    "cross entropy": (linear(), cross_entropy(), CLASSES),
    "class weights": (linear(), cross_entropy(weight=WEIGHT), CLASSES),
    "a class without weight": (linear(), cross_entropy(weight=torch.tensor([1.0, 0.0, 2.0])), CLASSES),
    "ignored targets": (linear(), cross_entropy(), SOME_IGNORED),
    "another ignored target": (linear(), cross_entropy(ignore_index=2), CLASSES),
    "weights and ignored targets": (linear(), cross_entropy(weight=WEIGHT), SOME_IGNORED),
    "label smoothing": (linear(), cross_entropy(label_smoothing=0.2), CLASSES),
    "all of it": (linear(), cross_entropy(weight=WEIGHT, label_smoothing=0.2), SOME_IGNORED),
    "bytes": (linear(), cross_entropy(weight=WEIGHT), CLASSES.byte()),
    "probabilities": (linear(), cross_entropy(weight=WEIGHT, label_smoothing=0.2), 0.7 * ONE_HOT + 0.1),
    "maps": (maps(), cross_entropy(weight=WEIGHT), MAPS),
    "maps with ignored places": (maps(), cross_entropy(ignore_index=1), MAPS),
    "log-likelihood": (linear(nn.LogSoftmax(1)), nll(weight=WEIGHT), SOME_IGNORED),
    "logistic": (linear(), nn.BCEWithLogitsLoss(pos_weight=WEIGHT), ONE_HOT),
    "weights of outputs": (linear(nn.Sigmoid()), nn.BCELoss(weight=WEIGHT), ONE_HOT),
    "squares": (linear(), nn.MSELoss(), ONE_HOT),
    "divergence": (linear(nn.LogSoftmax(1)), nn.KLDivLoss(reduction="batchmean"), 0.7 * ONE_HOT + 0.1),
    "a function": (linear(), lambda p, t: (p - t).square().sum() / len(t), ONE_HOT),
}


def of_torch(module, criterion, x, target, surface, w):
    """Loss and flat gradient of the modules themselves at the weights w, in double precision."""
    module.double()
    module.load_state_dict(surface.unflatten(w))
    module.zero_grad()
    if isinstance(criterion, nn.Module):
        criterion = criterion.double()
    loss = criterion(module(x.double()), target)
    loss.backward()
    return loss.detach(), torch.cat([p.grad.flatten() for p in module.parameters()])


@pytest.mark.parametrize("kind", CASES)
def test_value_and_gradient_are_those_of_torch_on_all_the_data(kind):
    module, criterion, target = CASES[kind]
    surface = ss.network_surface(module, criterion, (X, target))
    for w in (surface.initial_weights, torch.linspace(-1, 1, surface.dim, dtype=torch.float64)):
        loss, gradient = of_torch(module, criterion, X, target, surface, w)
        for dtype, options in ((torch.float64, {}), (torch.float32, {"rtol": 1e-4, "atol": 1e-5})):
            found = surface.value(w[None].to(dtype))[0], surface.gradient(w[None].to(dtype))[0]
            torch.testing.assert_close(found[0].double(), loss, **options)
            torch.testing.assert_close(found[1].double(), gradient, **options)


@pytest.mark.parametrize("kind", ["all of it", "maps with ignored places"])
def test_minibatches_and_noise_have_the_mean_that_torch_has(kind):
    module, criterion, target = CASES[kind]
    surface = ss.network_surface(module, criterion, (X, target))
    w = torch.linspace(-1, 1, surface.dim, dtype=torch.float64)
    _, gradient = of_torch(module, criterion, X, target, surface, w)
    each = torch.cat([surface.minibatch_gradient(w[None], torch.tensor([[i]])) for i in range(30)])
    torch.testing.assert_close(each.mean(0), gradient)
    covariance = torch.cov(each.T, correction=0)
    torch.testing.assert_close(ss.EmpiricalNoise(surface).covariance(w[None])[0], covariance)


def test_what_the_user_holds_is_left_and_later_changes_do_not_count():
    weight = WEIGHT.clone()
    criterion = cross_entropy(weight=weight)
    surface = ss.network_surface(linear(), criterion, (X, CLASSES))
    w = surface.initial_weights[None].float()
    before = surface.value(w)
    criterion.weight.zero_()
    assert torch.equal(surface.value(w), before)
    assert (criterion.reduction, criterion.weight.dtype) == ("mean", torch.float32)


def correlation(prediction, target):
    both = torch.stack([prediction.flatten(), target.flatten()])
    return -torch.corrcoef(both)[0, 1]


NO_MEAN = "loss: no mean over samples: for .* it is .* class weights and ignored targets are known of"
REFUSED = [
    (functools.partial(functional.cross_entropy, weight=WEIGHT.double()), CLASSES, NO_MEAN),
    (functional.cross_entropy, SOME_IGNORED, "loss: no mean .* not a number for the target -100 alone"),
    (correlation, ONE_HOT, "loss"),
    (lambda p, t: functional.mse_loss(p, t).sqrt(), ONE_HOT, NO_MEAN),
    (lambda p, t: functional.mse_loss(p.sum(1, keepdim=True), t[:, 0]), ONE_HOT, NO_MEAN),
    (lambda p, t: (p - t).square().mean() - p.mean() ** 2, ONE_HOT, NO_MEAN),
    (cross_entropy(reduction="sum"), CLASSES, "loss: it adds up the samples.*reduction='mean'"),
    (nn.MSELoss(reduction="sum"), ONE_HOT, "loss: it adds up the samples"),
    (lambda p, t: (p - t).square().sum(), ONE_HOT, "loss: it adds up the samples"),
    (cross_entropy(reduction="none"), CLASSES, r"loss: expected one number for a batch, got a tensor of shape"),
    (lambda p, t: functional.cross_entropy(p, t).item(), CLASSES, "loss: expected one number for a batch, got float"),
    (lambda p, t: functional.cross_entropy(p.div_(2.0), t), CLASSES, "loss: it writes into its argument in place"),
    (lambda p, t: functional.cross_entropy(p * torch.rand(()), t), CLASSES, "loss: it draws or seeds random"),
    (nn.MultiMarginLoss(), CLASSES, "module: torch cannot batch it over weights or differentiate it twice"),
    (nn.BCEWithLogitsLoss(weight=torch.ones(30, 1)), ONE_HOT, "module: failed on a batch of one sample or a few"),
    (cross_entropy(), torch.full((30,), -100), "loss: expected targets with a weight above 0"),
    (cross_entropy(weight=WEIGHT), CLASSES + 1, "loss: expected classes from 0 to 2, which have a weight, got 3"),
]


@pytest.mark.parametrize(("criterion", "target", "message"), REFUSED)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_losses_that_are_no_mean_over_samples_are_refused(criterion, target, message):
    with pytest.raises(ValueError, match=message):
        ss.network_surface(linear(), criterion, (X, target))


def test_one_sample_is_its_own_mean():
    surface = ss.network_surface(linear(), correlation, (X[:1], ONE_HOT[:1]))
    assert surface.n_samples == 1

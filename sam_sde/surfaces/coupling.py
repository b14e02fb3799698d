"""Whether a module with a loss function is a mean over samples: asked of itself, on a few of them, before its use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from sam_sde.errors import ArgumentError
from sam_sde.purity import called_twice
from sam_sde.surfaces.finite_sum import FiniteSum
from sam_sde.surfaces.samples import Sample, Samples, inputs_and_targets, take

if TYPE_CHECKING:
    from sam_sde.surfaces.module import ModuleLoss

MOST_SAMPLES = 16

# By how much of the largest number a batch may differ from its samples: far more than rounding does.
TOLERANCES = {"torch.float64": 1e-6, "torch.float32": 1e-3}

# What torch says of layers that it cannot batch over weights or differentiate twice, and what there is in their place.
_RECURRENCE = "write the recurrence with torch.nn.Linear in a loop over time"
IN_THEIR_PLACE = {
    "embedding_bag": "use torch.nn.Embedding and .mean(1) or .sum(1) in the place of EmbeddingBag",
    "lstm": _RECURRENCE,
    "gru": _RECURRENCE,
    "rnn": _RECURRENCE,
}


def check_module_loss(loss: ModuleLoss, samples: Samples) -> None:
    """Raises ArgumentError where the loss of some samples is not the mean of theirs, or no function of the weights.

    Asked in double precision, and in single precision where something is written for that alone.
    """
    chosen = _chosen(samples)
    try:
        _check(loss, loss.initial_weights, chosen)
    except ArgumentError:
        raise
    except Exception:
        _check_with_words(loss, loss.initial_weights.float(), chosen)


def _check_with_words(loss: ModuleLoss, w: torch.Tensor, chosen: Samples) -> None:
    try:
        _check(loss, w, chosen)
    except ArgumentError:
        raise
    except Exception as error:
        raise ArgumentError(
            "module",
            f"failed on a batch of one sample or a few with {_said(error)}; "
            "data should be (inputs, targets), each with one row a sample, that fit the module and the loss",
        ) from error


def _check(loss: ModuleLoss, w: torch.Tensor, chosen: Samples) -> None:
    batch = chosen.like(w)
    with torch.no_grad():
        _check_repeatable(loss, w, take(batch, slice(0, 1)))
        # Weights of zero can hide what others show.
        for point in (w, w + 0.1 * torch.arange(len(w), device=w.device).to(w).cos()):
            if len(chosen) > 1:
                _check_mean(loss, point, batch)
    _check_derivatives(loss, w, batch)


def _check_repeatable(loss: ModuleLoss, w: torch.Tensor, one: Sample) -> None:
    """The module and the loss function are functions of what they are given, and of nothing that changes."""
    x, target = inputs_and_targets(one)
    module = loss.network.thawed(w)
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    wrong = prediction = None
    try:
        prediction = called_twice("module", "it", module, x)
    except ArgumentError as error:
        wrong = error
    changed = [name for name, buffer in module.named_buffers() if not torch.equal(before[name], buffer)]
    if changed:
        raise ArgumentError(
            "module",
            f"it changes its buffer {changed[0]!r} when it is called, so its loss is no function of the "
            "weights; call module.eval() first, or leave that layer out",
        )
    if wrong:
        raise wrong

    def criterion(prediction, target):
        return loss.criterion.of_batch(w, prediction, target)

    called_twice("loss", "it", criterion, prediction, target)


def _check_mean(loss: ModuleLoss, w: torch.Tensor, batch: Sample) -> None:
    """A batch has the mean of its samples' losses, with their weights."""
    x, target = inputs_and_targets(batch)
    together = loss.network_output(w, x)
    alone = [loss.network_output(w, x[i : i + 1]) for i in range(len(x))]
    _check_outputs(w, together, alone)
    value = loss.criterion.of_batch(w, together, target)
    if not isinstance(value, torch.Tensor) or value.ndim != 0:
        got = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__
        raise ArgumentError("loss", f"expected one number for a batch, got {got}; try reduction='mean', or .mean()")
    each = torch.stack([loss.criterion.of_batch(w, one, target[i : i + 1]) for i, one in enumerate(alone)]).double()
    weights = loss.criterion.weights(target).to(each)
    weighted = torch.where(weights > 0, weights * each, 0.0)
    mean = weighted.sum() / weights.sum()
    if not _close(value.double(), mean, w.dtype):
        raise ArgumentError("loss", _no_mean(value, each, mean, together, target, w.dtype))


def _check_outputs(w: torch.Tensor, together, alone: list) -> None:
    """The module's output for a sample is the same whatever samples are beside it."""
    if not isinstance(together, torch.Tensor) or not all(isinstance(one, torch.Tensor) for one in alone):
        return  # whatever it is, the loss function takes it, and the loss is looked at
    sizes = {one.numel() for one in alone}
    if sizes != {together.numel() // len(alone)} or not _close(
        together.reshape(len(alone), -1), torch.stack([one.flatten() for one in alone]), w.dtype
    ):
        raise ArgumentError(
            "module",
            "it couples samples: its output for one changes with the others in a batch, so that a sample has no loss "
            "of its own; leave out what is computed along the first axis (batch norm without running statistics, "
            "normalize(dim=0), a mean of the batch), or try LayerNorm or GroupNorm",
        )


def _no_mean(value, each, mean, together, target, dtype) -> str:
    """What is wrong with a loss function that is no mean over samples."""
    if _close(value.double(), each.sum(), dtype):
        return "it adds up the samples, and the loss here is their mean; try reduction='mean', or divide by len(target)"
    nan = torch.isnan(each).nonzero().flatten().tolist()
    shapes = f"predictions {tuple(together.shape)}, " if isinstance(together, torch.Tensor) else ""
    found = f"is {value.item():.6g}" + (
        f", and not a number for the target {target[nan[0]].flatten()[0].item():g} alone"
        if nan
        else f" where the mean of each alone is {mean.item():.6g}"
    )
    return (
        f"no mean over samples: for {len(each)} of them (shapes: {shapes}targets {tuple(target.shape)}) it {found}; "
        "class weights and ignored targets are known of torch.nn.CrossEntropyLoss and NLLLoss themselves, "
        "other couplings of samples give none a loss of its own"
    )


def _check_derivatives(loss: ModuleLoss, w: torch.Tensor, batch: Sample) -> None:
    """torch can batch the loss over weights, and differentiate it twice."""
    surface = FiniteSum(loss, take(batch, slice(0, 2)), len(w))
    points = torch.stack([w, w])
    try:
        surface.value(points), surface.gradient(points), surface.hessian_product(points, points)
    except Exception as error:
        said = _said(error)
        advice = next((text for sign, text in IN_THEIR_PLACE.items() if sign in said.lower()), None)
        raise ArgumentError(
            "module",
            f"torch cannot batch it over weights or differentiate it twice, {said}; "
            + (advice or "use layers that are made of differentiable operations"),
        ) from error


def _chosen(samples: Samples) -> Samples:
    """At most MOST_SAMPLES of the samples, from all over the data and, where the targets are classes, from each."""
    n = len(samples)
    _, target = inputs_and_targets(samples.data)
    chosen = {i * (n - 1) // (MOST_SAMPLES // 2 - 1) for i in range(MOST_SAMPLES // 2)}
    if target.ndim == 1 and not target.is_floating_point():
        _, place = torch.unique(target, return_inverse=True)
        first = torch.full((int(place.max()) + 1,), n).scatter_reduce_(0, place, torch.arange(n), "amin")
        chosen = set(first.tolist()[: MOST_SAMPLES // 2]) | chosen
    return Samples(take(samples.data, torch.tensor(sorted(chosen))))


def _close(one: torch.Tensor, other: torch.Tensor, dtype: torch.dtype) -> bool:
    """Equal but for rounding, compared with the largest number in them."""
    tolerance = TOLERANCES[str(dtype)]
    scale = other.abs().nan_to_num(0.0, 0.0, 0.0).max().item() if other.is_floating_point() else 1.0
    return torch.allclose(one.to(other), other, rtol=tolerance, atol=tolerance * scale, equal_nan=True)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: " + " ".join(str(error).split())[:160]

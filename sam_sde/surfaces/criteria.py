"""What a loss function gives for one sample, so that the mean over samples is what it gives for all of them."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch

from sam_sde.errors import ArgumentError
from sam_sde.surfaces.frozen import FrozenModule

# (predictions, targets) of a batch to one number.
LossFunction = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]


class MeanLoss:
    """A loss that is a mean over samples: that of one sample is the loss of a batch of one."""

    def __init__(self, function: LossFunction):
        self.function = FrozenModule(function) if isinstance(function, torch.nn.Module) else function

    def of_batch(self, w: torch.Tensor, prediction, target: torch.Tensor) -> torch.Tensor:
        """What the user's function gives; w has the dtype and the device for its constants."""
        return _called(self.function, w, prediction, target)

    def of_sample(self, w: torch.Tensor, prediction, target: torch.Tensor) -> torch.Tensor:
        """ℓ_i for a batch of one."""
        return self.of_batch(w, prediction, target)

    def weights(self, target: torch.Tensor) -> torch.Tensor:
        """c (n,) with which the loss of a batch is Σ c_i ℓ_i/Σ c_i for samples that are alone: here 1."""
        return torch.ones(len(target), dtype=torch.float64)


class WeightedMeanLoss(MeanLoss):
    """Cross entropy or negative log-likelihood of class numbers, of which torch takes a weighted mean.

    A batch has Σ s_i/Σ c_i, with s_i the sum over the sample's targets and c_i the sum of their weights, 0 for those to
    ignore. With c̄ the mean of c_i over all the data, ℓ_i = s_i/c̄ has the loss of all the data as its mean, and the
    gradient of a minibatch is unbiased, which that of torch's own weighted mean is not.

    Raises ArgumentError where all targets are to be ignored, or one has no weight.
    """

    def __init__(self, loss: torch.nn.CrossEntropyLoss | torch.nn.NLLLoss, target: torch.Tensor):
        super().__init__(loss)
        summed = copy.deepcopy(loss)
        summed.reduction = "sum"
        self.summed = FrozenModule(summed)
        self.class_weights = None if loss.weight is None else loss.weight.detach().cpu().double()
        self.ignored = loss.ignore_index
        self.mean_weight = self.weights(target).mean().item()
        if not self.mean_weight > 0:
            raise ArgumentError("loss", "expected targets with a weight above 0, got none: all are ignored or weigh 0")

    def of_sample(self, w: torch.Tensor, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self.summed(w, {}, prediction, target.long()) / self.mean_weight

    def weights(self, target: torch.Tensor) -> torch.Tensor:
        target = target.cpu().long()
        counted = target != self.ignored
        if self.class_weights is None:
            weights = counted.double()
        else:
            classes = len(self.class_weights)
            known = ~counted | ((target >= 0) & (target < classes))
            if not known.all():
                raise ArgumentError(
                    "loss", f"expected classes from 0 to {classes - 1}, which have a weight, got {target[~known][0]}"
                )
            weights = self.class_weights[torch.where(counted, target, 0)] * counted
        return weights.flatten(1).sum(1) if target.ndim > 1 else weights


def mean_over_samples(function: LossFunction, target: torch.Tensor) -> MeanLoss:
    """The loss function as a mean over samples with these targets (n, …)."""
    weighted = isinstance(function, torch.nn.CrossEntropyLoss | torch.nn.NLLLoss) and function.reduction == "mean"
    if weighted and not target.is_floating_point():
        return WeightedMeanLoss(function, target)
    return MeanLoss(function)


def _called(function: LossFunction | FrozenModule, w: torch.Tensor, *inputs):
    return function(w, {}, *inputs) if isinstance(function, FrozenModule) else function(*inputs)

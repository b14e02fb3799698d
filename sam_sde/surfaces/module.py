"""Any torch.nn.Module with a loss function as a loss surface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from sam_sde.checks import shown
from sam_sde.errors import ArgumentError
from sam_sde.surfaces.coupling import check_module_loss
from sam_sde.surfaces.criteria import LossFunction, mean_over_samples
from sam_sde.surfaces.finite_sum import FiniteSum
from sam_sde.surfaces.frozen import FrozenModule
from sam_sde.surfaces.samples import Sample, Samples, inputs_and_targets
from sam_sde.surfaces.surface import CriticalPoint


class NetworkSurface(FiniteSum):
    """The mean loss of a module over data; make one with `network_surface`.

    Attributes
        names, shapes: of the module's parameters, in the order in which they stand in a weight vector.
        initial_weights: (dim,), those of the module when the surface was made, float64.
    """

    def __init__(self, sample_loss: ModuleLoss, data: Sample, name: str, critical_points: Sequence[CriticalPoint]):
        weights = sample_loss.initial_weights
        super().__init__(
            sample_loss, data, len(weights), name=name, critical_points=critical_points, initial_weights=weights
        )
        self.shapes = sample_loss.shapes

    @property
    def names(self) -> list[str]:
        return list(self.shapes)

    def unflatten(self, w: torch.Tensor) -> dict[str, torch.Tensor]:
        """The parameters by name, each (…, *shape), of weights w (…, dim): one vector, or one a path.

        Raises ValueError where w does not have dim coordinates.
        """
        return split_weights(torch.as_tensor(w), self.shapes)


def network_surface(
    module: torch.nn.Module,
    loss: LossFunction,
    data: torch.Tensor | tuple[torch.Tensor, torch.Tensor],
    *,
    name: str | None = None,
    critical_points: Sequence[CriticalPoint] = (),
) -> NetworkSurface:
    """ℓ(w) = the mean over the samples of loss(module(x), target), as a function of one flat vector w of its weights.

    loss: any of torch.nn and torch.nn.functional, or your own function of predictions and targets, that is a mean over
        samples: it is called with batches of one sample, (1, …). Class weights and `ignore_index` of CrossEntropyLoss
        and NLLLoss make a weighted mean (Σ c_i ℓ_i)/(Σ c_i), which counts as the mean of c_i ℓ_i/c̄, with c̄ the mean
        weight of the data; so a minibatch's gradient is unbiased.
    data: (inputs, targets), each with first axis n; or the inputs alone, which are then the targets too.

    The weights are the parameters with `requires_grad`, in the order of `module.named_parameters()`; parameters without
    it, buffers, and all that the loss has, are constants with the values that they have now. Module and loss are copied
    and left as they are. Layers that draw random numbers or mix samples while they are trained (dropout, batch norm)
    are refused in training mode; after `module.eval()` they are functions of one sample, batch norm with its running
    statistics.

    On a few samples it is checked that the loss of a batch is the mean of theirs, and that torch can differentiate it
    twice. Raises ValueError for a module that is none, has no weights or complex ones, draws random numbers, couples
    samples, changes its own buffers or its input or cannot be differentiated, for a loss that couples samples or adds
    them up, and for what FiniteSum refuses.
    """
    if not isinstance(module, torch.nn.Module):
        raise ArgumentError("module", f"expected a torch.nn.Module, got {shown(module)}")
    if not callable(loss):
        raise ArgumentError("loss", f"expected a function of predictions and targets, got {shown(loss)}")
    for layer_name, layer in module.named_modules():
        if layer.training and _changes_while_trained(layer):
            raise ArgumentError(
                "module",
                f"{type(layer).__name__} {layer_name!r} is random or mixes samples in training mode, so that a "
                "sample has no loss of its own; call module.eval() first, or try LayerNorm or GroupNorm",
            )
    samples = Samples(data)
    sample_loss = ModuleLoss(module, loss, inputs_and_targets(samples.data)[1])
    check_module_loss(sample_loss, samples)
    return NetworkSurface(sample_loss, samples.data, name or type(module).__name__, critical_points)


def _changes_while_trained(layer: torch.nn.Module) -> bool:
    """Whether a layer draws random numbers or looks at other samples, but only while it is trained."""
    modules = torch.nn.modules
    dropout = isinstance(layer, modules.dropout._DropoutNd) and layer.p > 0
    return dropout or isinstance(layer, modules.batchnorm._BatchNorm | modules.RReLU)


def split_weights(w: torch.Tensor, shapes: Mapping[str, torch.Size]) -> dict[str, torch.Tensor]:
    """The parts (…, *shape) of weights w (…, dim). Raises ValueError where w does not have dim coordinates."""
    sizes = [shape.numel() for shape in shapes.values()]
    if w.ndim == 0 or w.shape[-1] != sum(sizes):
        raise ArgumentError("w", f"expected {sum(sizes)} weights, got the shape {tuple(w.shape)}")
    parts = w.split(sizes, dim=-1)
    return {name: part.reshape(*w.shape[:-1], *shapes[name]) for name, part in zip(shapes, parts, strict=True)}


class ModuleLoss:
    """One sample's loss of a copy of a module, with weights of one's own; all else of the module is as it was."""

    def __init__(self, module: torch.nn.Module, loss: LossFunction, targets: torch.Tensor):
        weights = {name: p for name, p in module.named_parameters() if p.requires_grad}
        _check_weights(weights)
        self.network = FrozenModule(module)
        self.criterion = mean_over_samples(loss, targets)
        self.shapes = {name: p.shape for name, p in weights.items()}
        self.initial_weights = torch.cat([p.detach().cpu().double().flatten() for p in weights.values()])

    def __call__(self, w: torch.Tensor, sample: Sample) -> torch.Tensor:
        x, target = inputs_and_targets(sample)
        return self.criterion.of_sample(w, self.network_output(w, x[None]), target[None])

    def network_output(self, w: torch.Tensor, x: torch.Tensor):
        """What the module gives for a batch x (n, …)."""
        return self.network(w, split_weights(w, self.shapes), x)


def _check_weights(weights: Mapping[str, torch.Tensor]) -> None:
    if not weights:
        raise ArgumentError("module", "expected parameters with requires_grad, got none")
    for name, parameter in weights.items():
        if torch.nn.parameter.is_lazy(parameter):
            raise ArgumentError("module", f"its parameter {name!r} has no shape yet; call the module once on its data")
        if parameter.is_complex():
            raise ArgumentError(
                "module",
                f"expected real weights, got {parameter.dtype} in {name!r}; hold its real and imaginary part in "
                "one real parameter (…, 2), and use torch.view_as_complex in forward",
            )

"""Any torch.nn.Module with a loss function as a loss surface."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import torch

from sam_sde.checks import shown
from sam_sde.errors import ArgumentError
from sam_sde.surfaces.finite_sum import FiniteSum
from sam_sde.surfaces.samples import Sample, take
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
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    data: torch.Tensor | tuple[torch.Tensor, torch.Tensor],
    *,
    name: str | None = None,
    critical_points: Sequence[CriticalPoint] = (),
) -> NetworkSurface:
    """ℓ(w) = the mean over the samples of loss(module(x), target), as a function of one flat vector w of its weights.

    loss: any of torch.nn.functional, or your own function of predictions and targets; it is called with batches of
        one sample, (1, …), so that a mean over the batch is that sample's loss.
    data: (inputs, targets), each with first axis n; or the inputs alone, which are then the targets too.

    The weights are the parameters with `requires_grad`, in the order of `module.named_parameters()`; parameters without
    it, and buffers, are constants with the values that they have now. The module itself is copied and left as it is.
    Layers that draw random numbers or mix samples while they are trained (dropout, batch norm) are refused in training
    mode; after `module.eval()` they are functions of one sample, batch norm with its running statistics.

    Raises ValueError for a module that is none, has no weights, draws random numbers, mixes samples or changes its own
    buffers, and for what FiniteSum refuses.
    """
    if not isinstance(module, torch.nn.Module):
        raise ArgumentError("module", f"expected a torch.nn.Module, got {shown(module)}")
    if not callable(loss):
        raise ArgumentError("loss", f"expected a function of predictions and targets, got {shown(loss)}")
    for layer_name, layer in module.named_modules():
        if layer.training and isinstance(layer, _changing_layers()):
            raise ArgumentError(
                "module",
                f"{type(layer).__name__} {layer_name!r} is random or mixes samples in training mode, so that a "
                "sample has no loss of its own; call module.eval() first, or try LayerNorm or GroupNorm",
            )
    surface = NetworkSurface(ModuleLoss(module, loss), data, name or type(module).__name__, critical_points)
    surface.sample_loss.check(take(surface.samples.like(torch.zeros(())), 0))
    return surface


def _changing_layers() -> tuple[type[torch.nn.Module], ...]:
    """Layers that draw random numbers or look at other samples, but only while they are trained."""
    modules = torch.nn.modules
    return (
        modules.batchnorm._BatchNorm,
        modules.instancenorm._InstanceNorm,
        modules.dropout._DropoutNd,
        modules.RReLU,
    )


def split_weights(w: torch.Tensor, shapes: Mapping[str, torch.Size]) -> dict[str, torch.Tensor]:
    """The parts (…, *shape) of weights w (…, dim). Raises ValueError where w does not have dim coordinates."""
    sizes = [shape.numel() for shape in shapes.values()]
    if w.ndim == 0 or w.shape[-1] != sum(sizes):
        raise ArgumentError("w", f"expected {sum(sizes)} weights, got the shape {tuple(w.shape)}")
    parts = w.split(sizes, dim=-1)
    return {name: part.reshape(*w.shape[:-1], *shapes[name]) for name, part in zip(shapes, parts, strict=True)}


class ModuleLoss:
    """One sample's loss of a copy of a module, with weights of one's own and its other parameters and its buffers."""

    def __init__(self, module: torch.nn.Module, loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]):
        self.loss = loss
        self.module = copy.deepcopy(module).cpu()
        weights = {name: p for name, p in self.module.named_parameters() if p.requires_grad}
        if not weights:
            raise ArgumentError("module", "expected parameters with requires_grad, got none")
        self.shapes = {name: p.shape for name, p in weights.items()}
        self.initial_weights = torch.cat([p.detach().double().flatten() for p in weights.values()])
        others = dict(self.module.named_parameters()) | dict(self.module.named_buffers())
        self.constants = {name: tensor.detach() for name, tensor in others.items() if name not in weights}

    def __call__(self, w: torch.Tensor, sample: Sample) -> torch.Tensor:
        return self._call(w, sample, self._constants_like(w))

    def _call(self, w: torch.Tensor, sample: Sample, constants: dict[str, torch.Tensor]) -> torch.Tensor:
        x, target = sample if isinstance(sample, tuple) else (sample, sample)
        prediction = torch.func.functional_call(self.module, split_weights(w, self.shapes) | constants, (x[None],))
        return self.loss(prediction, target[None])

    def _constants_like(self, w: torch.Tensor) -> dict[str, torch.Tensor]:
        return {
            name: constant.to(w.device, w.dtype if constant.is_floating_point() else constant.dtype)
            for name, constant in self.constants.items()
        }

    def check(self, sample: Sample) -> None:
        """Raises ValueError where the module cannot be called with one sample, or changes its buffers then."""
        w = self.initial_weights.float()
        constants = {name: constant.clone() for name, constant in self._constants_like(w).items()}
        before = dict(self._constants_like(w))
        try:
            with torch.no_grad():
                self._call(w, sample, constants)
        except Exception as error:
            said = " ".join(str(error).split())[:160]
            raise ArgumentError(
                "module",
                f"failed on a batch of one sample with {type(error).__name__}: {said}; "
                "data should be (inputs, targets), each with one row a sample, that fit the module and the loss",
            ) from error
        changed = [name for name, constant in before.items() if not torch.equal(constants[name], constant)]
        if changed:
            raise ArgumentError(
                "module",
                f"it changes its buffer {changed[0]!r} when it is called, so its loss is no function of the "
                "weights; call module.eval() first, or leave that layer out",
            )

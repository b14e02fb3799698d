"""A loss over data: the mean of one sample's loss over n samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from sam_sde.errors import ArgumentError
from sam_sde.purity import called_twice
from sam_sde.surfaces.samples import Sample, Samples, take
from sam_sde.surfaces.surface import CriticalPoint, LossSurface

# Numbers that the work on a block of paths and samples may hold in each of its tensors: 64 MB in float32.
NUMBERS_AT_ONCE = 2**24
# Where each sample has a gradient of its own there are many such tensors, and larger ones are twice as slow: 16 MB.
GRADIENTS_AT_ONCE = 2**22

# A network's layers hold more numbers than its input.
LAYERS_OVER_INPUT = 8

SampleLoss = Callable[["torch.Tensor", Sample], "torch.Tensor"]


class FiniteSum(LossSurface):
    """ℓ(w) = (1/n) Σ_i ℓ_i(w), with `sample_loss(w, sample)` the loss ℓ_i of ONE weight vector (dim,) and ONE sample.

    data: a tensor with first axis n, or a tuple of such tensors (inputs and targets, say); a sample is then a tensor
        or a tuple of tensors without that axis. Floating point data take the dtype of w, and all data its device.
    initial_weights: (dim,) where training would begin, if the loss comes with one.

    All is computed in blocks of paths, and of samples where one path has too many, so that the memory does not grow
    with paths × samples. `gradient`, `weighted_gradient`, `weighted_gradients`, `sample_gradients` and
    `minibatch_gradient` cannot be nested in a transform of torch.func, but for the first three in vjp along w. A
    FiniteSum can be pickled where `sample_loss` can.

    Raises ValueError for what LossSurface refuses, and for data that are no tensors of n ≥ 1 rows of finite numbers.
    """

    def __init__(
        self,
        sample_loss: SampleLoss,
        data: torch.Tensor | Sequence[torch.Tensor],
        dim: int,
        *,
        name: str = "finite_sum",
        critical_points: Sequence[CriticalPoint] = (),
        initial_weights: torch.Tensor | None = None,
    ):
        if not callable(sample_loss):
            raise ArgumentError("sample_loss", f"expected a function of w and one sample, got {sample_loss!r}")
        self.sample_loss = sample_loss
        self.samples = Samples(data)
        self.n_samples = len(self.samples)
        super().__init__(self._mean_loss, dim, name=name, critical_points=critical_points)
        self.initial_weights = initial_weights

    def __repr__(self) -> str:
        return f"FiniteSum(name={self.name!r}, dim={self.dim}, n_samples={self.n_samples})"

    def _mean_loss(self, w: torch.Tensor) -> torch.Tensor:
        return self._losses_of_one(w, self.samples.like(w)).mean()

    def _losses_of_one(self, w: torch.Tensor, data: Sample) -> torch.Tensor:
        return torch.func.vmap(self.sample_loss, (None, 0))(w, data)

    def losses_of(self, w: torch.Tensor, data: Sample) -> torch.Tensor:
        """ℓ_i(w) (paths, samples) of these samples, all of them at once."""
        return torch.func.vmap(self._losses_of_one, (0, None))(w, data)

    def _share(self, w: torch.Tensor, data: Sample) -> torch.Tensor:
        """What some samples have of the mean loss of one path."""
        return self._losses_of_one(w, data).sum() / self.n_samples

    def _blocks(self, n_paths: int, numbers: int | None = None) -> Iterator[tuple[slice, list[slice]]]:
        """Blocks of paths, each with its blocks of samples; numbers: in each tensor, by default NUMBERS_AT_ONCE."""
        pairs = max(1, (numbers or NUMBERS_AT_ONCE) // self._numbers)
        paths, samples = max(1, pairs // self.n_samples), min(pairs, self.n_samples)
        for first in range(0, n_paths, paths):
            yield slice(first, first + paths), [slice(i, i + samples) for i in range(0, self.n_samples, samples)]

    @property
    def _numbers(self) -> int:
        return max(self.dim, LAYERS_OVER_INPUT * self.samples.numbers)

    def _summed(
        self, part: Callable[..., torch.Tensor], w: torch.Tensor, *others: torch.Tensor, numbers: int | None = None
    ) -> torch.Tensor:
        """Σ over blocks of samples of part(w, data, *others), for each block of paths."""
        data = self.samples.like(w)
        return torch.cat(
            [
                sum(part(w[paths], take(data, some), *(other[paths] for other in others)) for some in samples)
                for paths, samples in self._blocks(len(w), numbers)
            ]
        )

    def value(self, w: torch.Tensor) -> torch.Tensor:
        return self._summed(torch.func.vmap(self._share, (0, None)), w).to(w.dtype)

    def gradient(self, w: torch.Tensor) -> torch.Tensor:
        return self.weighted_gradient(w, self.equal_weights(w))

    def equal_weights(self, w: torch.Tensor) -> torch.Tensor:
        """1/n for each path of w and each sample (paths, n)."""
        return w.new_full((1, 1), 1 / self.n_samples).expand(len(w), self.n_samples)

    def weighted_gradient(self, w: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Σ_i c_i ∇ℓ_i(w) (paths, dim) for weights c (paths, n), at the cost of one gradient."""
        return self.weighted_gradients(w, weights)[0]

    def weighted_gradients(self, w: torch.Tensor, *weights: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """`weighted_gradient` of each of the weights, with one pass through the losses for all of them."""
        data = self.samples.like(w) if w.requires_grad else self.samples.keep(w)
        blocks = [
            sum(
                self.weighted_gradients_of(w[paths], take(data, some), *(each[paths, some] for each in weights))
                for some in samples
            )
            for paths, samples in self._blocks(len(w))
        ]
        return torch.cat(blocks, dim=1).unbind()

    def weighted_gradients_of(self, w: torch.Tensor, data: Sample, *weights: torch.Tensor) -> torch.Tensor:
        """Σ_i c_i ∇ℓ_i(w) of each of the weights c (paths, samples) of these samples: (weights, paths, dim)."""
        if w.requires_grad:
            return torch.stack([self._weighted_by_transforms(w, data, each) for each in weights])
        with torch.inference_mode(False), torch.enable_grad():
            leaf = (w.clone() if w.is_inference() else w.detach()).requires_grad_()
            losses = self.losses_of(leaf, data)
            again = [*(True for _ in weights[1:]), False]  # whether another one goes back through the losses after it
            pairs = zip(weights, again, strict=True)
            return torch.stack([torch.autograd.grad(losses, leaf, each, retain_graph=kept)[0] for each, kept in pairs])

    def _weighted_by_transforms(self, w: torch.Tensor, data: Sample, weights: torch.Tensor) -> torch.Tensor:
        # grad outside of vmap, for the reason in `LossSurface`.
        return torch.func.grad(lambda w: (weights * self.losses_of(w, data)).sum())(w)

    def sample_slopes(self, w: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """∇ℓ_i(w)·d (paths, n) for one direction d (paths, dim) of each path, without the gradients."""
        data = self.samples.like(w)
        return torch.cat(
            [
                torch.cat([self._slopes(w[paths], take(data, some), direction[paths]) for some in samples], dim=1)
                for paths, samples in self._blocks(len(w))
            ]
        )

    def _slopes(self, w: torch.Tensor, data: Sample, direction: torch.Tensor) -> torch.Tensor:
        # The weighted gradient is linear in its weights, and the transpose of that map takes d to the slopes.
        weights = w.new_ones(len(w), len(data[0] if self.samples.is_tuple else data))
        return torch.func.vjp(lambda weights: self._weighted_by_transforms(w, data, weights), weights)[1](direction)[0]

    def hessian(self, w: torch.Tensor) -> torch.Tensor:
        # A path for each column: many times as fast as the derivatives of a derivative of sums.
        n_paths, dim = w.shape
        columns = torch.eye(dim, dtype=w.dtype, device=w.device).repeat(n_paths, 1)
        return self.hessian_product(w.repeat_interleave(dim, 0), columns).view(n_paths, dim, dim)

    def hessian_product(self, w: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        def part(w, data, v):
            weights = w.new_full((1, 1), 1 / self.n_samples)
            return torch.func.vjp(lambda w: self._weighted_by_transforms(w, data, weights), w)[1](v)[0]

        return self._summed(part, w, v)

    def sample_gradients(self, w: torch.Tensor) -> torch.Tensor:
        """∇ℓ_i(w) (paths, n, dim), all of them at once: for small cases."""
        data = self.samples.like(w)
        return torch.cat(
            [
                torch.cat([self._gradients(w[paths], take(data, some)) for some in samples], dim=1)
                for paths, samples in self._blocks(len(w))
            ]
        )

    def _gradients(self, w: torch.Tensor, data: Sample) -> torch.Tensor:
        return torch.func.vmap(torch.func.vmap(torch.func.grad(self.sample_loss), (None, 0)), (0, None))(w, data)

    def mean_squared_gradient(self, w: torch.Tensor) -> torch.Tensor:
        """(1/n) Σ_i ‖∇ℓ_i(w)‖² (paths,)."""
        return self._summed(torch.func.vmap(self._squares, (0, None)), w, numbers=GRADIENTS_AT_ONCE)

    def mean_squared_gradient_slope(self, w: torch.Tensor) -> torch.Tensor:
        """∇_w of `mean_squared_gradient` (paths, dim)."""
        return self._summed(torch.func.vmap(self._squares_slope, (0, None)), w, numbers=GRADIENTS_AT_ONCE)

    def _squares(self, w: torch.Tensor, data: Sample) -> torch.Tensor:
        gradients = torch.func.vmap(torch.func.grad(self.sample_loss), (None, 0))(w, data)
        return gradients.square().sum() / self.n_samples

    def _squares_slope(self, w: torch.Tensor, data: Sample) -> torch.Tensor:
        """Σ_i 2 H_i g_i/n of one path, with vmap outside for the reason in `LossSurface`."""

        def of_sample(w, sample):
            gradient, transposed = torch.func.vjp(lambda w: torch.func.grad(self.sample_loss)(w, sample), w)
            return transposed(gradient)[0]

        return torch.func.vmap(of_sample, (None, 0))(w, data).sum(0) * (2 / self.n_samples)

    def minibatch_gradient(self, w: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """The mean gradient (paths, dim) of the samples with the numbers `index` (paths, batch), each path its own."""
        data = self.samples.like(w)
        paths = max(1, NUMBERS_AT_ONCE // (self._numbers * index.shape[1]))
        if len(w) <= paths:
            return self.gradient_of_batches(w, take(data, index))
        return torch.cat(
            [
                self.gradient_of_batches(some, take(data, chosen))
                for some, chosen in zip(w.split(paths), index.split(paths), strict=True)
            ]
        )

    def gradient_of_batches(self, w: torch.Tensor, data: Sample) -> torch.Tensor:
        """The mean gradient (paths, dim) of each path's own samples (paths, batch, …), all of them at once."""
        with torch.inference_mode(False), torch.enable_grad():
            leaf = (w.clone() if w.is_inference() else w.detach()).requires_grad_()
            return torch.autograd.grad(torch.func.vmap(self._losses_of_one)(leaf, data).mean(1).sum(), leaf)[0]

    def _called_twice(self, w: torch.Tensor) -> torch.Tensor:
        """One sample's loss, for the mean over samples would hide a result that is no scalar."""
        with torch.inference_mode(False), torch.enable_grad():
            first = take(self.samples.keep(w), 0)
            return called_twice("surface", "the loss of a sample", self.sample_loss, w.clone().requires_grad_(), first)

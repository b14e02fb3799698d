"""Which of some states the walkers of the next stage set out from."""

import torch

from sam_sde.rare.numbers import Numbers


def resampled(n_states: int, n_walkers: int, numbers: Numbers, stage: int) -> torch.Tensor:
    """The state (walkers,) of each, stratified: one drawn from every n_walkers-th part of the list of states.

    Each state is expected as often as any other, n_walkers / n_states times, and is chosen nearly as often.
    """
    place = torch.arange(n_walkers, device=numbers.device) + numbers.uniforms(stage, n_walkers)
    return (place * n_states / n_walkers).long().clamp(max=n_states - 1)

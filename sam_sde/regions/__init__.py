"""Regions that a path must leave, and the rules of crossing inside a step."""

from sam_sde.regions.losses import LossAbove, LossBelow, loss_region
from sam_sde.regions.on_weights import OnWeights
from sam_sde.regions.region import Ball, Box, LevelSet, Region, Slab, UnstableDistance

# What a configuration can name.
REGIONS = {"ball": Ball, "slab": Slab, "box": Box, "loss": loss_region, "unstable": UnstableDistance}

__all__ = [
    "REGIONS",
    "Ball",
    "Box",
    "LevelSet",
    "LossAbove",
    "LossBelow",
    "OnWeights",
    "Region",
    "Slab",
    "UnstableDistance",
]

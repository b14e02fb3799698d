"""A step stays on the device of its state. The device "meta", which computes shapes only, stands in for a GPU."""

import pytest
import torch

import sam_sde as ss
from sam_sde.engines import EscapeProblem
from sam_sde.engines.compiled.layout import Layout
from sam_sde.engines.compiled.steps import step_of
from sam_sde.random import Purpose, Stream, normals_of_quad
from tests.engines.models import OPTIMIZERS, REGIONS

SWITCH = ss.Switch(OPTIMIZERS["SAM"], OPTIMIZERS["USAM, total"], at=0.3)


def steps_on(device: str, dynamics, region, crossing: str) -> list[torch.Tensor]:
    """Two steps of ten paths, with what draws their noise and looks at the boundary."""
    problem = EscapeProblem(dynamics=dynamics, region=region, stream=Stream(), t_max=1.0, dt=0.01, crossing=crossing)
    layout = Layout(dynamics.state_dim, dynamics.channels)
    anchor, w = layout.empty(2, 10, like=torch.empty(0, device=device))
    step = torch.full((), 8, device=device)
    cells = layout.cells(torch.arange(10, device=device))
    z = normals_of_quad((1, 2), Purpose.DIFFUSION, cells, step, cells, w.dtype)
    nearest = torch.full((10,), -1.0, device=device)
    with torch.no_grad():
        take, z = step_of(problem), layout.normals(z)
        after, nearest = take(anchor, w, z[0], step, nearest)
        return [after, *take(anchor, after, z[1], step + 1, nearest)]


@pytest.mark.parametrize("dynamics", [*OPTIMIZERS.values(), SWITCH], ids=[*OPTIMIZERS, "a switch"])
def test_optimizers(dynamics):
    assert all(result.is_meta for result in steps_on("meta", dynamics, REGIONS["ball"], "bridge"))


@pytest.mark.parametrize("crossing", ["bridge", "shift"])
@pytest.mark.parametrize("name", REGIONS)
def test_regions(name, crossing):
    dynamics = OPTIMIZERS["SGD, noise of the Hessian"]
    assert all(result.is_meta for result in steps_on("meta", dynamics, REGIONS[name], crossing))

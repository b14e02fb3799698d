"""A step stays on the device of its state. The device "meta", which computes shapes only, stands in for a GPU."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import sam_sde as ss
from sam_sde.engines import EscapeProblem, compiled_engine
from sam_sde.engines.layout import Layout
from sam_sde.random import Purpose, Stream, normals_of_quad
from sam_sde.surfaces import beale, double_well, quadratic

K = {"lr": 0.01, "batch_size": 4}
SADDLE = quadratic([1.0, -1.0])
OBLIQUE = ss.ConstantNoise([[2.0, 0.5], [0.5, 1.0]])
OPTIMIZERS = {
    "SGD": ss.SGD(SADDLE, ss.IsotropicNoise(1.0), **K),
    "SGD, drift of order 2": ss.SGD(beale(), OBLIQUE, drift_order=2, **K),
    "SGD, noise of the Hessian": ss.SGD(beale(), ss.HessianNoise(beale()), **K),
    "SGD, momentum, schedule": ss.SGD(
        double_well(), OBLIQUE, momentum=0.9, weight_decay=0.1, lr_schedule=ss.CosineSchedule(1.0, low=0.1), **K
    ),
    "SAM": ss.SAM(beale(), OBLIQUE, rho=0.1, **K),
    "SAM, expansion": ss.SAM(beale(), OBLIQUE, rho=0.1, drift="expansion", **K),
    "SAM, same batch": ss.SAM(beale(), ss.HessianNoise(beale()), rho=0.1, ascent="same", **K),
    "SAM, independent batch": ss.SAM(beale(), OBLIQUE, rho=0.1, ascent="independent", **K),
    "USAM, total": ss.USAM(beale(), OBLIQUE, rho=0.1, drift="total", **K),
    "a switch": ss.Switch(ss.SGD(SADDLE, OBLIQUE, **K), ss.USAM(SADDLE, OBLIQUE, rho=0.1, **K), at=0.3),
}
REGIONS = {
    "ball": ss.Ball([0, 0], 1.0),
    "slab": ss.Slab([0, 0], [1, 2], 0.5),
    "box": ss.Box([-1, -2], [1, 2]),
    "unstable distance": ss.UnstableDistance(SADDLE, [0, 0], 0.5),
    "level set": ss.LevelSet(lambda w: w.square().sum() - w.prod() - 1),
    "loss": ss.LossBelow(beale(), 1.0),
}


def steps_on(device: str, dynamics, region, crossing: str) -> list[torch.Tensor]:
    """Four steps of ten paths, with what draws their noise and looks at the boundary."""
    problem = EscapeProblem(dynamics, region, Stream(), t_max=1.0, dt=0.01, crossing=crossing)
    layout = Layout(dynamics.state_dim, dynamics.channels)
    (w,) = layout.empty(1, 10, like=torch.empty(0, device=device))
    step = torch.full((), 8, device=device)
    cells = layout.cells(torch.arange(10, device=device))
    z = normals_of_quad((1, 2), Purpose.DIFFUSION, cells, step, cells, w.dtype)
    nearest = torch.full((10,), -1.0, device=device)
    with torch.no_grad(), FlopCounterMode(display=False):  # watched, as a recording is: a switch takes both sides
        return compiled_engine._quad(problem)(w, layout.normals(z), step, nearest)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    assert all(result.is_meta for result in steps_on("meta", OPTIMIZERS[name], REGIONS["ball"], "bridge"))


@pytest.mark.parametrize("crossing", ["bridge", "shift"])
@pytest.mark.parametrize("name", REGIONS)
def test_regions(name, crossing):
    dynamics = OPTIMIZERS["SGD, noise of the Hessian"]
    assert all(result.is_meta for result in steps_on("meta", dynamics, REGIONS[name], crossing))

"""A graph by coordinates computes the same, with vectors along the paths where it had stacks of them."""

import copy

import pytest
import torch
from torch.fx import Graph, GraphModule
from torch.fx.experimental.symbolic_shapes import free_symbols

import sam_sde as ss
from sam_sde.engines.compiled import compilation
from sam_sde.engines.compiled.by_coordinates import CannotSplitError, split
from sam_sde.engines.compiled.recording import recorded
from tests.engines.models import OPTIMIZERS, REGIONS


def odd_loss(w):
    """With a tensor of its own, and operations that are not known by coordinates."""
    matrix = torch.tensor([[1.0, 0.2], [0.2, -1.0]], dtype=w.dtype)
    return w @ (matrix @ w) + w.max() + torch.logsumexp(w, 0) + torch.where(w[0] > 0, w[0], w[1] * w.cumprod(0)[1])


def graph_of(function, *widths: int) -> Graph:
    """The graph that torch's compiler would have of a function of tensors (paths, width)."""

    def examples(n_paths: int) -> tuple[torch.Tensor, ...]:
        return tuple(values(width, n_paths).T for width in widths)

    with torch.no_grad():
        recording = recorded(function, examples, 21, tolerance=1e-12)
        inputs = (*examples(40), *recording.arguments)
        axes = [0] * len(widths) + [None] * len(recording.arguments)
        return compilation.traced(recording.operations, compilation.stand_ins(inputs, axes)).graph


def graphs_of(function, *widths: int) -> tuple[Graph, Graph]:
    """That graph, and the same by coordinates."""
    before = graph_of(function, *widths)
    after = copy.deepcopy(before)
    split(after)
    return before, after


def values(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def results(graph: Graph) -> tuple:
    """What the graph gives for 21 paths, and what its arguments are then."""
    arguments = []
    for node in graph.find_nodes(op="placeholder"):
        value = node.meta["val"]
        size = [21 if free_symbols(size) else int(size) for size in getattr(value, "shape", ())]
        arguments.append(values(*size).to(value.dtype) if isinstance(value, torch.Tensor) else 21)
    return GraphModule({}, graph)(*arguments), arguments


def assert_by_coordinates(before: Graph, after: Graph) -> None:
    torch.testing.assert_close(results(after), results(before), rtol=1e-12, atol=1e-12)
    pointwise = [node for node in after.nodes if torch.Tag.pointwise in getattr(node.target, "tags", ())]
    assert pointwise
    assert all(node.meta["val"].ndim <= 1 for node in pointwise)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_drift_and_noise(name):
    dynamics = OPTIMIZERS[name]

    def step(x, z):
        return dynamics.f(0.0, x), dynamics.g_prod(0.0, x, z)

    assert_by_coordinates(*graphs_of(step, dynamics.state_dim, dynamics.channels))


@pytest.mark.parametrize("name", REGIONS)
def test_levels_and_normals(name):
    region = REGIONS[name]

    def levels(w):
        return region.levels(w), region.normal(w, torch.zeros_like(w[:, 0], dtype=torch.int64))

    assert_by_coordinates(*graphs_of(levels, 2))


@pytest.mark.slow
def test_a_loss_of_any_operations():
    surface = ss.LossSurface(odd_loss, 2)
    assert_by_coordinates(*graphs_of(lambda w: (surface.value(w), surface.gradient(w)), 2))


def test_what_is_written_into_arguments():
    def write(w, place):
        place.copy_(torch.stack([w.sin().sum(-1), w.cos()[:, 0]], -1))
        return place.square()

    assert_by_coordinates(*graphs_of(write, 2, 2))


def test_many_coordinates_stay_as_they_are():
    graph = graph_of(lambda w: w * torch.cos(w), 100)
    before = str(graph)
    with pytest.raises(CannotSplitError, match="too many coordinates"):
        split(graph)
    assert str(graph) == before


@pytest.mark.slow
def test_many_numbers_do_not_matter():
    def polynomial(w):
        for k in range(100):
            w = 0.5 * w + k / 7
        return w

    assert_by_coordinates(*graphs_of(polynomial, 2))

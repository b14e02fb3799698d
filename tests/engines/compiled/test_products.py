"""Products are taken in the order in which they are fast, and are the same."""

import pytest
import torch
from torch.fx import GraphModule

from sam_sde.engines.compiled import compilation
from sam_sde.engines.compiled.products import turned, widened

aten = torch.ops.aten


def graph_of(function, rows=4, columns=5):
    inputs = compilation.stand_ins([torch.zeros(9, rows, 3), torch.zeros(9, 3, columns)], [0, 0])
    return compilation.traced(function, inputs).graph


# And whether there is anything to turn.
FUNCTIONS = {
    "transposed": (lambda a, b: (a @ b).mT + 1, True),
    "through views": (lambda a, b: torch.bmm(a, b).view(a.shape[0], 4, 5).transpose(2, 1).clone(), True),
    "of transposed factors": (lambda a, b: (b.mT @ a.mT).permute(0, 2, 1).exp(), True),
    "other axes": (lambda a, b: (a @ b).permute(1, 0, 2).sum(0), False),
    "read twice": (lambda a, b: (a @ b).mT.sum(1) + (a @ b).sum(2)[:, :1], False),
    "other shape": (lambda a, b: (a @ b).view(a.shape[0], 2, 10).mT.contiguous(), False),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_are_the_same_and_no_product_is_turned_round_that_need_not_be(name):
    function, is_turned = FUNCTIONS[name]
    a, b = torch.randn(17, 4, 3), torch.randn(17, 3, 5)
    graph = graph_of(function)
    before = graph.python_code("self").src
    turned(graph)
    torch.testing.assert_close(GraphModule(torch.nn.Module(), graph)(a, b), function(a, b))
    assert (graph.python_code("self").src != before) == is_turned
    (product,) = (node for node in graph.nodes if node.target is aten.bmm.default)
    if is_turned:
        readers = [user.target for user in product.users]
        assert aten.permute.default not in readers
        assert aten.transpose.int not in readers


@pytest.mark.parametrize(
    ("rows", "columns", "wide"), [(30, 15, True), (29, 15, False), (2, 1, True), (64, 16, False), (5, 9, False)]
)
def test_few_columns_become_few_rows(rows, columns, wide):
    def function(a, b):
        return (a @ b).softmax(-1)

    graph = graph_of(function, rows, columns)
    widened(graph)
    a, b = torch.randn(17, rows, 3), torch.randn(17, 3, columns)
    product = GraphModule(torch.nn.Module(), graph)
    torch.testing.assert_close(product(a, b), function(a, b))
    (node,) = (node for node in graph.nodes if node.target is aten.bmm.default)
    assert all((each.target is aten.permute.default) == wide for each in (*node.args, *node.users))


def test_what_was_turned_stays_so():
    graph = graph_of(lambda a, b: (a @ b).mT + 1, 30, 5)
    turned(graph)
    before = str(graph)
    widened(graph)
    assert str(graph) == before

"""Products of matrices in the order in which their result is wanted.

A layer's gradient comes as (XᵀG)ᵀ, and to turn a result round takes a loop along what is not contiguous, number by
number; GᵀX takes none, for a product reads its factors either way.
"""

import torch
from torch.fx import Graph, Node

aten = torch.ops.aten

LAST_TWO = [0, 2, 1]  # what exchanges them, of three axes


def turned(graph: Graph) -> None:
    """(A B)ᵀ as BᵀAᵀ, for batches of products that nothing else reads."""
    for node in list(graph.nodes):
        product = _only_read_here(node.args[0]) if _exchanges_last_two(node) else None
        if product is None or product.target is not aten.bmm.default:
            continue
        with graph.inserting_before(node):
            first, second = (graph.call_function(aten.permute.default, (each, LAST_TWO)) for each in product.args)
            node.replace_all_uses_with(graph.call_function(aten.bmm.default, (second, first)))
    graph.eliminate_dead_code()


def _exchanges_last_two(node: Node) -> bool:
    if node.target is aten.permute.default:
        return list(node.args[1]) == LAST_TWO
    if node.target is not aten.transpose.int:
        return False
    n_axes = node.args[0].meta["val"].ndim
    return n_axes == 3 and {axis % n_axes for axis in node.args[1:]} == {1, 2}


def _only_read_here(node: Node) -> Node | None:
    """What the node is a view of in the same shape, unless other nodes read that as well."""
    while len(node.users) == 1:
        if node.target is not aten.view.default or node.meta["val"].shape != node.args[0].meta["val"].shape:
            return node
        node = node.args[0]
    return None

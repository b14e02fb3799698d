"""Products of matrices in the order in which they are fast.

A layer's gradient comes as (XᵀG)ᵀ, and to turn a result round takes a loop along what is not contiguous, number by
number; GᵀX takes none, for a product reads its factors either way. And a network has few outputs: a product with few
columns takes two to four times as long as one with as few rows, and so do the loops after it, along what is short.
"""

import torch
from torch.fx import Graph, Node

aten = torch.ops.aten

LAST_TWO = [0, 2, 1]  # what exchanges them, of three axes

ENOUGH_COLUMNS = 16


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


def widened(graph: Graph) -> None:
    """A B with few columns and more rows as (BᵀAᵀ)ᵀ, for batches of products as they were traced."""
    for node in list(graph.nodes):
        if node.target is not aten.bmm.default or not _is_narrow(node):
            continue
        with graph.inserting_before(node):
            first, second = (graph.call_function(aten.permute.default, (each, LAST_TWO)) for each in node.args[::-1])
            product = graph.call_function(aten.bmm.default, (first, second))
            node.replace_all_uses_with(graph.call_function(aten.permute.default, (product, LAST_TWO)))
    graph.eliminate_dead_code()


def _is_narrow(product: Node) -> bool:
    if "val" not in product.meta:  # it was turned
        return False
    rows, columns = product.meta["val"].shape[1:]
    return all(isinstance(each, int) for each in (rows, columns)) and 2 * columns <= rows and columns < ENOUGH_COLUMNS


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

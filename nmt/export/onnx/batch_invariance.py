"""Products of two tensors such that sums are added up in the same order, whatever the size of the batch.

ONNX Runtime cuts the sums of a product [M, D] [D, N] into parts, whose size depends on N if the second factor
is not constant. With scores of attention, queries times keys, N is the number of source positions, padding
included: the last bit of a score would depend on the longest sentence in the batch, and rounding to 8 bits
would make more of it. As keys times queries, N is the number of hypotheses of a sentence, and small enough
(up to 16, with D up to 1,024) for sums that are not cut.

Shapes: M, N rows and columns, D the size of their sums; any number of axes before.
"""

from collections import Counter

import onnx
from onnx import helper


def swap_scores(model: onnx.ModelProto) -> None:
    """Compute every product with a matrix that was transposed for it in the other order: x yᵀ = (y xᵀ)ᵀ.

    Args:
        model: whose graph is changed.
    """
    graph, ranks = model.graph, _ranks(model)
    uses = Counter(name for node in graph.node for name in node.input)
    made = {node.output[0]: node for node in graph.node}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        transposed = made.get(node.input[1]) if node.op_type == "MatMul" else None
        axes = [] if transposed is None or uses[node.input[1]] > 1 else _swapped_last(transposed)
        if transposed is None or not axes or ranks.get(node.input[0]) != len(axes):
            nodes.append(node)
            continue
        (result,) = node.output
        nodes.remove(transposed)
        first, swapped = f"{result}/transposed", f"{result}/swapped"
        nodes += [
            helper.make_node("Transpose", [node.input[0]], [first], perm=axes),
            helper.make_node("MatMul", [transposed.input[0], first], [swapped]),
            helper.make_node("Transpose", [swapped], [result], perm=axes),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _ranks(model: onnx.ModelProto) -> dict[str, int]:
    """The number of axes of inputs and of the results of all operators."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.input, *graph.value_info)
    return {value.name: len(value.type.tensor_type.shape.dim) for value in values}


def _swapped_last(node: onnx.NodeProto) -> list[int]:
    """The order of the axes, if an operator transposes the last two axes and no others; else none."""
    order = next((list(attribute.ints) for attribute in node.attribute if attribute.name == "perm"), [])
    axes = list(range(len(order)))
    swaps = node.op_type == "Transpose" and order == [*axes[:-2], *axes[:-3:-1]]
    return order if swaps else []

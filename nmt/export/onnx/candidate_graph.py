"""The graph that finds the best tokens of each row.

Shapes: N rows, V vocabulary, Y tokens that are not candidates, G groups, Q tokens wanted per row.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nmt.export.onnx.recurrent_operators import VERSION
from nmt.onnx.names import BANS, COUNT, LOG_PROBABILITIES, TOKENS, VALUES

_SIZES = range(12, 25)  # of a group, in tokens
_LONG_ROW = 512  # tokens; shorter rows are not worth the two stages


def candidate_graph(vocabulary: int) -> onnx.ModelProto:
    """Log-probabilities [N, V], rows and tokens [Y, 2] that are left out, and Q → the values and the tokens
    of the Q best, best first, [N, Q]; of two that are equal the lower token.

    A long row is cut into groups of neighbours: the Q best tokens are in the Q groups with the highest
    maxima, those with lower tokens first among equal ones. (Were one in another group, each of the Q groups
    would have a better token, or an equal one that is lower.) Q must be at most G.
    """
    sizes = [size for size in _SIZES if vocabulary % size == 0] if vocabulary >= _LONG_ROW else []
    nodes = [
        helper.make_node("Shape", [BANS], ["bans shape"], end=1),
        helper.make_node("Expand", ["minus infinity", "bans shape"], ["updates"]),
        helper.make_node("ScatterND", [LOG_PROBABILITIES, BANS, "updates"], ["scores"]),
    ]
    constants = {"minus infinity": np.full(1, -np.inf, np.float32)}
    if sizes:
        size = min(sizes, key=lambda size: abs(size - 16))
        nodes += _two_stages()
        constants |= {
            "grouped shape": np.array([0, vocabulary // size, size]),
            "last axis": np.array([2]),
            "within": np.arange(size),
            "size": np.array(size),
            "flat": np.array([0, -1]),
        }
    else:
        nodes.append(helper.make_node("TopK", ["scores", COUNT], [VALUES, TOKENS], axis=1))
    graph = helper.make_graph(
        nodes,
        "candidates",
        [
            helper.make_tensor_value_info(LOG_PROBABILITIES, TensorProto.FLOAT, ["N", vocabulary]),
            helper.make_tensor_value_info(BANS, TensorProto.INT64, ["Y", 2]),
            helper.make_tensor_value_info(COUNT, TensorProto.INT64, [1]),
        ],
        [
            helper.make_tensor_value_info(VALUES, TensorProto.FLOAT, ["N", "Q"]),
            helper.make_tensor_value_info(TOKENS, TensorProto.INT64, ["N", "Q"]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", VERSION)], ir_version=10)


def _two_stages() -> list[onnx.NodeProto]:
    """Groups, then their tokens in ascending order."""
    make = helper.make_node
    return [
        make("Reshape", ["scores", "grouped shape"], ["grouped"]),
        make("ReduceMax", ["grouped", "last axis"], ["maxima"], keepdims=0),
        make("TopK", ["maxima", COUNT], ["highest", "unordered groups"], axis=1),
        make("TopK", ["unordered groups", COUNT], ["groups", "order"], axis=1, largest=0),
        make("Unsqueeze", ["groups", "last axis"], ["groups column"]),
        make("Mul", ["groups column", "size"], ["first tokens"]),
        make("Add", ["first tokens", "within"], ["grouped tokens"]),
        make("Reshape", ["grouped tokens", "flat"], ["all tokens"]),
        make("GatherElements", ["scores", "all tokens"], ["all values"], axis=1),
        make("TopK", ["all values", COUNT], [VALUES, "chosen"], axis=1),
        make("GatherElements", ["all tokens", "chosen"], [TOKENS], axis=1),
    ]

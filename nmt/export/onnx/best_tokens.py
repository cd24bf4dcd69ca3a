"""Operators that find the most probable tokens of each row, appended to the graph of a decoder step.

Shapes: N rows, V vocabulary, G groups, C tokens wanted per row.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nmt.onnx.names import BEST, BEST_TOKENS, COUNT, LOG_PROBABILITIES

_SIZES = range(12, 25)  # of a group, in tokens
_LONG_ROW = 512  # tokens; shorter rows are not worth the two stages


def add_best_tokens(model: onnx.ModelProto, vocabulary: int) -> None:
    """Add to a model the input C, and the values and tokens of the C best log-probabilities of each row, best
    first, [N, C]; of two that are equal the lower token.

    A long row is cut into groups of neighbours: the C best tokens are in the C groups with the highest
    maxima, those with lower tokens first among equal ones. (Were one in another group, each of the C groups
    would have a better token, or an equal one that is lower.)

    Args:
        model: with log-probabilities as an output.
        vocabulary: V; C must be at most `groups(vocabulary)`.
    """
    size = group_size(vocabulary)
    nodes, constants = (_one_stage(), {}) if size is None else _two_stages(vocabulary, size)
    graph = model.graph
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    graph.input.append(helper.make_tensor_value_info(COUNT, TensorProto.INT64, [1]))
    graph.output.append(helper.make_tensor_value_info(BEST, TensorProto.FLOAT, ["N", "C"]))
    graph.output.append(helper.make_tensor_value_info(BEST_TOKENS, TensorProto.INT64, ["N", "C"]))


def group_size(vocabulary: int) -> int | None:
    """The size of a group, that divides the vocabulary; None: the row is not cut."""
    sizes = [size for size in _SIZES if vocabulary % size == 0] if vocabulary >= _LONG_ROW else []
    return min(sizes, key=lambda size: abs(size - 16)) if sizes else None


def groups(vocabulary: int) -> int:
    """The number of groups, at least 1 if a row is cut; V if it is not."""
    return vocabulary // (group_size(vocabulary) or 1)


def _one_stage() -> list[onnx.NodeProto]:
    return [helper.make_node("TopK", [LOG_PROBABILITIES, COUNT], [BEST, BEST_TOKENS], axis=1)]


def _two_stages(vocabulary: int, size: int) -> tuple[list[onnx.NodeProto], dict[str, NDArray[np.int64]]]:
    """The best groups, then the best of their tokens, in ascending order. Operators and constants."""
    nodes = [
        _node("Reshape", [LOG_PROBABILITIES, "in groups"], ["grouped"]),
        _node("ReduceMax", ["grouped", "last axis"], ["maxima"], keepdims=0),
        _node("TopK", ["maxima", COUNT], ["highest", "best groups"], axis=1),
        _node("TopK", ["best groups", COUNT], ["groups", "order"], axis=1, largest=0),
        _node("Unsqueeze", ["groups", "last axis"], ["groups column"]),
        _node("Mul", ["groups column", "size"], ["first tokens"]),
        _node("Add", ["first tokens", "within"], ["grouped tokens"]),
        _node("Reshape", ["grouped tokens", "flat"], ["all tokens"]),
        _node("GatherElements", [LOG_PROBABILITIES, "all tokens"], ["all values"], axis=1),
        _node("TopK", ["all values", COUNT], [BEST, "chosen"], axis=1),
        _node("GatherElements", ["all tokens", "chosen"], [BEST_TOKENS], axis=1),
    ]
    constants = {
        "in groups": np.array([0, vocabulary // size, size]),
        "last axis": np.array([2]),
        "within": np.arange(size),
        "size": np.array(size),
        "flat": np.array([0, -1]),
    }
    return nodes, {_inner(name): value for name, value in constants.items()}


def _node(operator: str, inputs: list[str], outputs: list[str], **settings: Any) -> onnx.NodeProto:
    return helper.make_node(operator, [_inner(n) for n in inputs], [_inner(n) for n in outputs], **settings)


def _inner(name: str) -> str:
    """The names of this module, apart from those of the rest of the graph."""
    return name if name in (LOG_PROBABILITIES, COUNT, BEST, BEST_TOKENS) else f"best tokens/{name}"

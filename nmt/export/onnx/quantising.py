"""Products with constant matrices in 8-bit integers, and tables in 8 bits.

A product of rows x with a matrix W is computed from integers, x ≈ s q and W ≈ t p, with one scale s per row
and one scale t per column (symmetric linear quantisation; Wu et al. 2020, "Integer quantization for deep
learning inference", §3):

    y_j = s t_j Σ_i q_i p_ij,    s = max_i |x_i| / 90,    t_j = max_i |W_ij| / 90,    q and p rounded

No row has an influence on another one. The sum is exact: ONNX Runtime multiplies unsigned rows, here q + 90,
with signed matrices; on x86 CPUs without VNNI it adds two neighbouring products in 16 bits, which saturate
(its manual: "Quantize ONNX models", reduce_range). Two products of at most 180 · 90 fit: 32,400 < 2¹⁵. Of the
pairs of ranges that fit, equal ones lose least, as the errors of both factors add up.

Shapes: X input size, Y output size, V entries of a table; any number of axes before.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nmt.export.onnx.merging import remove_unread

LEVELS = 90
"""The largest integer of a row and of a matrix: 2 · (2 · LEVELS) · LEVELS < 2¹⁵."""
_TABLE_LEVELS = 127
_SMALLEST = 4096  # elements; a smaller matrix is not worth it
_TINY = 1e-30  # the least scale, of zeros
_PREFIX = "int8/"  # of the names of what is added
_ONE, _TINIEST, _STEP = np.float32(1), np.float32(_TINY), np.float32(1 / LEVELS)
_ZERO = np.uint8(LEVELS)
_LAST = np.array([-1])


def quantise(model: onnx.ModelProto) -> None:
    """Replace products with large constant matrices, and large tables, by those in 8 bits.

    Args:
        model: whose graph is changed.
    """
    graph = model.graph
    rewritten = _Rewriting(graph)
    for node in graph.node:
        rewritten.add(node)
    del graph.node[:]
    graph.node.extend(rewritten.nodes)
    remove_unread(graph)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def quantised(matrix: NDArray[np.float32], axis: int, levels: int) -> tuple[NDArray[np.int8], NDArray[Any]]:
    """Integers and their scales, such that integers · scales is close to the matrix.

    Args:
        matrix: [X, Y].
        axis: along which elements have a scale in common.
        levels: the largest integer, at most 127.

    Returns:
        [X, Y] in int8; [1, Y] or [X, 1] in float32.
    """
    largest = np.abs(matrix).max(axis=axis, keepdims=True)
    scales = np.maximum(largest / np.float32(levels), _TINIEST)
    return np.rint(matrix / scales).astype(np.int8), scales


class _Rewriting:
    """The operators of a graph, those in 8 bits among them.

    Attributes:
        nodes: so far.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._graph = graph
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._rows: dict[str, tuple[str, str]] = {}  # what several products read is quantised once

    def add(self, node: onnx.NodeProto) -> None:
        """Add an operator of the graph, or what takes its place."""
        settings = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        plain = not settings.get("transA") and settings.get("alpha", 1) == settings.get("beta", 1) == 1
        if node.op_type in ("MatMul", "Gemm") and plain and self._is_large(node.input[1]):
            self._add_product(node, bool(settings.get("transB")))
        elif node.op_type == "Gather" and not settings.get("axis") and self._is_large(node.input[0]):
            self._add_table(node)
        else:
            self.nodes.append(node)

    def _is_large(self, name: str) -> bool:
        """Whether this is a large constant matrix."""
        tensor = self._constants.get(name)
        if tensor is None or len(tensor.dims) != 2 or tensor.data_type != TensorProto.FLOAT:
            return False
        return bool(tensor.dims[0] * tensor.dims[1] >= _SMALLEST)

    def _matrix(self, name: str) -> NDArray[np.float32]:
        return numpy_helper.to_array(self._constants[name])

    def _add_product(self, node: onnx.NodeProto, transposed: bool) -> None:
        """y = s t Σ q p, and + b of a Gemm."""
        rows, name, *bias = node.input
        (result,) = node.output
        matrix = self._matrix(name)
        integers, scales = quantised(matrix.T if transposed else matrix, 0, LEVELS)
        rows, row_scales = self._quantised_rows(rows)
        inputs = [
            rows,
            self._constant(f"{name}/columns", integers),
            self._constant("one", _ONE),
            self._constant(f"{name}/scales", scales[0]),
            self._constant("zero", _ZERO),
        ]
        products = self._node("MatMulIntegerToFloat", inputs, f"{result}/products", domain="com.microsoft")
        scaled = [products, row_scales]
        if bias:
            scaled = [self._node("Mul", scaled, f"{result}/scaled"), *bias]
        self.nodes.append(helper.make_node("Add" if bias else "Mul", scaled, [result]))

    def _quantised_rows(self, rows: str) -> tuple[str, str]:
        """The names of q + 90, [..., X], and of s, [..., 1]."""
        if rows not in self._rows:
            sizes = self._node("Abs", [rows], f"{rows}/sizes")
            largest = self._node("ReduceMax", [sizes, self._constant("last", _LAST)], f"{rows}/largest")
            scales = self._node("Mul", [largest, self._constant("step", _STEP)], f"{rows}/step")
            scales = self._node("Max", [scales, self._constant("tiny", _TINIEST)], f"{rows}/scales")
            levels = self._node("Div", [rows, scales], f"{rows}/levels")
            rounding = [levels, self._constant("one", _ONE), self._constant("zero", _ZERO)]
            self._rows[rows] = self._node("QuantizeLinear", rounding, f"{rows}/integers"), scales
        return self._rows[rows]

    def _add_table(self, node: onnx.NodeProto) -> None:
        """Rows of integers times their scales."""
        name, indices = node.input
        (result,) = node.output
        integers, scales = quantised(self._matrix(name), 1, _TABLE_LEVELS)
        found = self._node(
            "Gather", [self._constant(f"{name}/rows", integers), indices], f"{result}/integers"
        )
        found = self._node("Cast", [found], f"{result}/float", to=TensorProto.FLOAT)
        scale = self._constant(f"{name}/row scales", scales)
        scale = self._node("Gather", [scale, indices], f"{result}/scales")
        self.nodes.append(helper.make_node("Mul", [found, scale], [result]))

    def _node(self, operator: str, inputs: list[str], output: str, **settings: Any) -> str:
        """Add an operator; the name of its result."""
        self.nodes.append(helper.make_node(operator, inputs, [_PREFIX + output], **settings))
        return _PREFIX + output

    def _constant(self, name: str, value: Any) -> str:
        """Add a constant, once; its name."""
        name = _PREFIX + name
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
            self._graph.initializer.append(self._constants[name])
        return name

"""Products and tables in 8 bits, against integers in NumPy."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra `export`")
pytest.importorskip("onnxruntime", reason="needs the extra `export`")

import onnxruntime
from onnx import ModelProto, TensorProto, helper, numpy_helper

from nmt.export.onnx.quantising import LEVELS, quantise, quantised

X, Y = 192, 64
RNG = np.random.default_rng(1)
MATRIX = RNG.normal(size=(X, Y)).astype("f4")
BIAS = RNG.normal(size=Y).astype("f4")


def model_of(nodes: list, inputs: dict[str, tuple[int, list]], outputs: list[str], **constants) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, *value) for name, value in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def product_of(matrix: np.ndarray) -> ModelProto:
    rows = {"x": (TensorProto.FLOAT, ["N", len(matrix)])}
    return model_of([helper.make_node("MatMul", ["x", "W"], ["y"])], rows, ["y"], W=matrix)


def results(model: ModelProto, **given: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, given)


def expected(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The formula in the module's docstring, with 64-bit integers."""
    scales = np.maximum(np.abs(rows).max(axis=-1, keepdims=True) * np.float32(1 / 90), np.float32(1e-30))
    columns = np.maximum(np.abs(matrix).max(axis=0) / np.float32(90), np.float32(1e-30))
    sums = np.rint(rows / scales).astype(np.int64) @ np.rint(matrix / columns).astype(np.int64)
    return sums.astype("f4") * columns * scales


def test_saturation_is_impossible() -> None:
    """CPUs without VNNI add two neighbours in 16 bits: with rows and columns of the largest elements,
    in all combinations of signs, no sum of two is cut.
    """
    signs = np.array(np.meshgrid(*[[1, -1]] * 6)).reshape(6, -1).T.astype("f4")  # [64, 6]
    matrix = np.tile(signs.T, (32, 1))  # [192, 64]
    model = product_of(matrix)
    quantise(model)
    (unsigned,) = (node.output[0] for node in model.graph.node if node.op_type == "QuantizeLinear")
    model.graph.output.append(helper.make_tensor_value_info(unsigned, TensorProto.UINT8, None))
    (columns,) = (tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.INT8)
    columns = numpy_helper.to_array(columns).astype(int)
    rows = np.tile(signs, (1, 32))
    found, integers = results(model, x=rows)
    assert (integers.min(), integers.max(), columns.min(), columns.max()) == (0, 2 * LEVELS, -LEVELS, LEVELS)
    products = integers.astype(int)[:, :, None] * columns
    pairs = products[:, ::2] + products[:, 1::2]
    assert -(2**15) <= pairs.min() < -32_000 < 32_000 < pairs.max() < 2**15
    np.testing.assert_allclose(found, rows @ matrix, rtol=1e-6)  # which are whole numbers


@pytest.mark.parametrize("operator", ["MatMul", "Gemm", "transposed Gemm"])
def test_products_are_those_of_the_formula(operator: str) -> None:
    inputs = ["x", "W"] if operator == "MatMul" else ["x", "W", "b"]
    settings = {"transB": 1} if "transposed" in operator else {}
    matrix = np.ascontiguousarray(MATRIX.T) if settings else MATRIX
    node = helper.make_node(operator.split()[-1], inputs, ["y"], **settings)
    model = model_of([node], {"x": (TensorProto.FLOAT, ["N", X])}, ["y"], W=matrix, b=BIAS)
    quantise(model)
    assert "MatMulIntegerToFloat" in [node.op_type for node in model.graph.node]
    assert TensorProto.FLOAT not in [
        tensor.data_type for tensor in model.graph.initializer if len(tensor.dims) == 2
    ]
    rows = RNG.normal(size=(7, X)).astype("f4") * np.logspace(-20, 3, 7, dtype="f4")[:, None]
    rows[3] = 0
    (found,) = results(model, x=rows)
    bias = BIAS if len(inputs) == 3 else 0
    np.testing.assert_allclose(found, expected(rows, MATRIX) + bias, rtol=2e-6, atol=1e-30)
    exact = rows @ MATRIX + bias
    sizes = np.linalg.norm(rows, axis=1, keepdims=True) * np.linalg.norm(MATRIX, axis=0)
    assert (np.abs(found - exact) <= 0.02 * sizes + 1e-6).all()


def test_a_row_does_not_depend_on_the_others() -> None:
    model = product_of(MATRIX)
    quantise(model)
    rows = RNG.normal(size=(33, X)).astype("f4")
    rows[5] *= 1e6
    (together,) = results(model, x=rows)
    for number in range(len(rows)):
        (alone,) = results(model, x=rows[number : number + 1])
        np.testing.assert_array_equal(alone[0], together[number])


def test_rows_that_several_products_read_are_quantised_once() -> None:
    nodes = [helper.make_node("MatMul", ["x", name], [f"y{name}"]) for name in "AB"]
    rows = {"x": (TensorProto.FLOAT, ["M", "N", X])}
    model = model_of(nodes, rows, ["yA", "yB"], A=MATRIX, B=-MATRIX)
    quantise(model)
    operators = [node.op_type for node in model.graph.node]
    assert operators.count("QuantizeLinear") == 1
    given = RNG.normal(size=(2, 3, X)).astype("f4")
    for found, matrix in zip(results(model, x=given), (MATRIX, -MATRIX), strict=True):
        np.testing.assert_allclose(found, expected(given, matrix), rtol=2e-6, atol=1e-6)


def test_small_and_changing_matrices_are_left_alone() -> None:
    small = MATRIX[:, :8]
    nodes = [helper.make_node("MatMul", ["x", "small"], ["y"]), helper.make_node("MatMul", ["x", "z"], ["w"])]
    inputs = {"x": (TensorProto.FLOAT, ["N", X]), "z": (TensorProto.FLOAT, [X, Y])}
    model = model_of(nodes, inputs, ["y", "w"], small=small)
    quantise(model)
    assert [node.op_type for node in model.graph.node] == ["MatMul", "MatMul"]


def test_tables_have_a_scale_per_row() -> None:
    table = MATRIX * np.logspace(-6, 3, X, dtype="f4")[:, None]
    table[4] = 0
    node = helper.make_node("Gather", ["table", "tokens"], ["y"])
    model = model_of([node], {"tokens": (TensorProto.INT64, ["M", "N"])}, ["y"], table=table)
    quantise(model)
    assert sum(len(tensor.raw_data) for tensor in model.graph.initializer) < table.nbytes * 0.3
    tokens = np.array([[0, 4, 9], [X - 1, 7, 4]])
    (found,) = results(model, tokens=tokens)
    largest = np.abs(table).max(axis=1, keepdims=True)
    assert (np.abs(found - table[tokens]) <= largest[tokens] / 127 * 0.501).all()


def test_the_largest_element_is_kept() -> None:
    integers, scales = quantised(MATRIX, 0, LEVELS)
    assert integers.dtype == np.int8
    assert set(np.abs(integers).max(axis=0)) == {LEVELS}
    np.testing.assert_allclose(np.abs(integers * scales).max(axis=0), np.abs(MATRIX).max(axis=0), rtol=1e-6)

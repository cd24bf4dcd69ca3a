"""Products of the same rows, side by side, as one, against the graph as it was."""

import copy

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra `export`")
pytest.importorskip("onnxruntime", reason="needs the extra `export`")

import onnxruntime
from onnx import ModelProto, TensorProto, helper, numpy_helper

from nmt.export.onnx.merging import merge_products


def graph_of(second_rows: str, axis: int) -> ModelProto:
    """The concatenation of A x and of B times the rows with this name; A x squared is an output, too."""
    matrices = {name: np.random.default_rng(1).normal(size=(4, 3)).astype("f4") for name in "AB"}
    nodes = [
        helper.make_node("MatMul", ["x", "A"], ["one"]),
        helper.make_node("MatMul", [second_rows, "B"], ["other"]),
        helper.make_node("Concat", ["one", "other"], ["both"], axis=axis),
        helper.make_node("Mul", ["both", "both"], ["squared"]),
    ]
    sizes = ["N", 4]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name in "xy"],
        [helper.make_tensor_value_info("squared", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in matrices.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def results(model: ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = np.random.default_rng(2).normal(size=(2, 5, 4)).astype("f4")
    (found,) = session.run(None, dict(zip("xy", given, strict=True)))
    return found


@pytest.mark.parametrize(
    ("second_rows", "axis", "operators"),
    [
        ("x", -1, ["MatMul", "Mul"]),
        ("y", -1, ["MatMul", "MatMul", "Concat", "Mul"]),
        ("x", 0, ["MatMul", "MatMul", "Concat", "Mul"]),
    ],
)
def test_the_result_is_the_same(second_rows: str, axis: int, operators: list[str]) -> None:
    before = graph_of(second_rows, axis)
    after = copy.deepcopy(before)
    merge_products(after)
    assert [node.op_type for node in after.graph.node] == operators
    assert len(after.graph.initializer) == operators.count("MatMul")
    np.testing.assert_allclose(results(after), results(before), rtol=1e-6)

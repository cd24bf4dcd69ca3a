"""The best tokens of a row, found in the graph of a step, against sorting."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra `export`")
pytest.importorskip("onnxruntime", reason="needs the extra `export`")

import onnxruntime
from onnx import TensorProto, helper

from nmt.export.onnx.best_tokens import add_best_tokens, group_size, groups
from nmt.onnx.names import BEST, BEST_TOKENS, COUNT, LOG_PROBABILITIES


@pytest.mark.parametrize("vocabulary", [23, 509, 521, 600, 2000])
@pytest.mark.parametrize("values", [3, 10**6])
def test_the_best_tokens_are_the_first_of_a_stable_sort(vocabulary: int, values: int) -> None:
    """With few different values most are equal: then the lower token is the better one."""
    sizes = ["N", vocabulary]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["given"], [LOG_PROBABILITIES])],
        "step",
        [helper.make_tensor_value_info("given", TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info(LOG_PROBABILITIES, TensorProto.FLOAT, sizes)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    add_best_tokens(model, vocabulary)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = -np.random.default_rng(1).integers(0, values, (40, vocabulary)).astype(np.float32)
    given[0] = -np.inf
    for count in (1, 6, min(20, groups(vocabulary))):
        asked = {"given": given, COUNT: np.array([count])}
        best, tokens = session.run([BEST, BEST_TOKENS], asked)
        expected = np.argsort(-given, axis=1, kind="stable")[:, :count]
        np.testing.assert_array_equal(tokens, expected)
        np.testing.assert_array_equal(best, np.take_along_axis(given, expected, axis=1))


def test_rows_are_cut_where_a_size_divides_them() -> None:
    assert [group_size(vocabulary) for vocabulary in (23, 521, 600, 2000)] == [None, None, 15, 16]
    assert [groups(vocabulary) for vocabulary in (23, 521, 600, 2000)] == [23, 521, 40, 125]

"""An exported model in 8 bits, from one in float32, without tracing it again."""

from pathlib import Path

import onnx
import pytest

from nmt.export.onnx import quantising
from nmt.export.onnx.export_folder import move_weights, write_exported
from nmt.onnx import names


def in_8_bits(folder: Path, other: Path) -> Path:
    """Write `other` with what is in `folder`, and all products with matrices and tables in 8 bits, also small
    ones.
    """
    graphs = {name: onnx.load(folder / name) for name in names.GRAPHS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantising, "_SMALLEST", 1)
        for graph in graphs.values():
            quantising.quantise(graph)
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != names.MANIFEST}
    files[names.WEIGHTS] = move_weights(graphs.values())
    write_exported(other, files | {name: graph.SerializeToString() for name, graph in graphs.items()})
    return other

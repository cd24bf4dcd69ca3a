"""From a module to an ONNX graph with named inputs and outputs, whose sizes are free."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import onnx
import torch
from onnxscript import opset20 as op
from torch import Tensor, nn

from nmt.errors import ConfigError
from nmt.export.onnx.recurrent_operators import VERSION

Dynamic = Any
"""For each argument of a module, which of its sizes are free: as `torch.export.export` wants it."""
FREE = torch.export.Dim.AUTO


def free_sizes(one: Tensor, other: Tensor) -> dict[int, Any]:
    """The sizes that differ between two examples of an argument."""
    pairs = enumerate(zip(one.shape, other.shape, strict=True))
    return {number: FREE for number, (size, another) in pairs if size != another}


def trace(
    module: nn.Module,
    arguments: tuple[Any, ...],
    free: Dynamic,
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> onnx.ModelProto:
    """Export a module; inputs that have no effect are left out.

    Args:
        module: in evaluation mode; its result is a list of tensors.
        arguments: an example.
        free: the sizes that may differ in other calls.
        inputs, outputs: names, in the order of the tensors in the arguments and in the result.

    Raises:
        ConfigError: if the module does what cannot be exported.
    """
    try:
        with _quiet(), torch.inference_mode(False), torch.no_grad():
            program = torch.export.export(module.eval(), arguments, dynamic_shapes=free, strict=False)
            exported = torch.onnx.export(
                program,
                dynamo=True,
                input_names=inputs,
                output_names=outputs,
                opset_version=VERSION,
                custom_translation_table={
                    torch.ops.aten.lerp.Tensor: _lerp,
                    torch.ops.aten.einsum.default: _einsum,
                },
                verbose=False,
            )
    except Exception as error:  # of many types: what is wrong with the model is in the first line
        first_line = (str(error).splitlines() or [""])[0]
        raise ConfigError(
            f"this model cannot be exported to ONNX: {type(error).__name__}: {first_line}"
        ) from error
    assert exported is not None
    model: onnx.ModelProto = exported.model_proto
    _check_free(model, arguments, free)
    _strip(model)
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns about what is as it should be."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _lerp(start: Any, end: Any, weight: Any) -> Any:
    """Linear interpolation as three operators; PyTorch's own decomposition is six."""
    return op.Add(start, op.Mul(weight, op.Sub(end, start)))


def _einsum(equation: str, tensors: Sequence[Any], path: Any = None) -> Any:
    """The dot products of the additive score as a matrix product, which takes half the time of Einsum. In
    products with one column the order of a sum depends on the size of the batch: the vectors are there twice.
    """
    if equation == "bktsd,kd->bkts":
        hidden, energy = tensors
        axes: Any = op.Constant(value_ints=[1, 3])
        first: Any = op.Constant(value_int=0)
        vectors: Any = op.Unsqueeze(energy, axes)  # [K, 1, D, 1]
        return op.Gather(op.MatMul(hidden, op.Concat(vectors, vectors, axis=-1)), first, axis=-1)
    return op.Einsum(*tensors, equation=equation)


def _check_free(model: onnx.ModelProto, arguments: tuple[Any, ...], free: Dynamic) -> None:
    """No size that should be free may have become a constant, as where a module uses `len(tensor)`."""
    wanted = torch.utils._pytree.tree_leaves(
        [_marks(argument, sizes) for argument, sizes in zip(arguments, free, strict=True)]
    )
    for value, marks in zip(model.graph.input, wanted, strict=True):
        sizes = value.type.tensor_type.shape.dim
        if not all(sizes[number].dim_param for number in marks):
            raise ConfigError(
                f"this model cannot be exported to ONNX: it works only with one size of {value.name}; "
                "compute sizes with tensor.shape, not with len(tensor)"
            )


def _marks(argument: Any, sizes: Any) -> Any:
    if isinstance(argument, Tensor):
        return frozenset(sizes)
    return [_marks(one, its) for one, its in zip(argument, sizes, strict=True)]


def _strip(model: onnx.ModelProto) -> None:
    """Remove inputs that no operator reads, and what describes the source code, paths included."""
    graph = model.graph
    read = {name for node in graph.node for name in node.input}
    unread = [value for value in graph.input if value.name not in read]
    for value in unread:
        graph.input.remove(value)
    for part in (
        model,
        graph,
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.value_info,
        *graph.initializer,
    ):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("value_info")

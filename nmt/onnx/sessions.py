"""Sessions of ONNX Runtime.

Shapes are those of `nmt.onnx.onnx_model`.
"""

import functools
from pathlib import Path

import onnxruntime
from onnxruntime import OrtAllocatorType, OrtArenaCfg, OrtMemoryInfo, OrtMemType

from nmt.errors import RunError


def open_session(path: Path, threads: int | None) -> onnxruntime.InferenceSession:
    """A session for the graph in a file.

    Args:
        path: the file, which has been verified.
        threads: number of threads of an operator; None: one per core.

    Raises:
        RunError: if it is not a graph that this version of ONNX Runtime can run.
    """
    _share_memory()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.enable_mem_pattern = False  # of the sizes of a step, which are hardly ever those of another
    options.log_severity_level = 4  # what is wrong is in the exception
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # other programs use the cores
    options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of many types, none of them public
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(
            f"{path}: ONNX Runtime {onnxruntime.__version__} cannot load it: {first_line}"
        ) from error


@functools.cache
def _share_memory() -> None:
    """One pool of memory for the sessions of all graphs: encoder and step never run at the same time."""
    memory = OrtMemoryInfo("Cpu", OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, OrtMemType.DEFAULT)
    onnxruntime.create_and_register_allocator(memory, OrtArenaCfg({}))

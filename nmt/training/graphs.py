"""CUDA graphs of an update: a recorded sequence of kernels is launched as a whole, instead of one kernel
after the other by Python, which takes longer than most kernels of a recurrent network.

An update is replayed as one graph per batch (forward and backward, one graph per shape) and one for clipping,
the optimizer and the weight average. Everything a graph reads or writes besides its own memory keeps its
place: weights, gradients, optimizer state, the inputs of each shape, and the numbers of the update.
"""

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import nn

from nmt.config.training import TrainingConfig
from nmt.data.batches import Batch
from nmt.data.padding import pad_batch, shape_of
from nmt.training.distributed import Processes
from nmt.training.shapes import common_shape

logger = logging.getLogger("nmt")
Work = Callable[[], None]
_LIMIT = 128  # graphs; they share the memory of their intermediate results
_WARM_UP = 3  # updates before the first capture: PyTorch and its libraries allocate what they keep
_SEEN = 2  # a shape is captured when it is seen for this time


class Recorder(Protocol):
    """How work is run and captured."""

    def eagerly(self, work: Work) -> None:
        """Run `work` now, as it will be captured."""

    def capture(self, work: Work) -> Work:
        """Capture `work` without running it; returns a function that runs what was captured.

        Raises:
            RuntimeError: if it cannot be captured; nothing has changed.
        """
        ...


class CudaRecorder:
    """Captures CUDA graphs. Work that runs eagerly uses the stream that captures, as PyTorch recommends.

    Args:
        device: a CUDA device, the current one.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._stream = device, torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def eagerly(self, work: Work) -> None:
        """Run `work` on the capturing stream, after all work before and before all work after."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            work()
        current.wait_stream(self._stream)

    def capture(self, work: Work) -> Work:
        """As `Recorder.capture`. Random numbers differ from replay to replay: those that the same work would
        have drawn eagerly.
        """
        graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self._device)
        index = torch.cuda.current_device() if self._device.index is None else self._device.index
        generator = torch.cuda.default_generators[index]
        state = generator.clone_state()
        try:
            # Other threads may use CUDA meanwhile; autograd's thread is captured with this one.
            with torch.cuda.graph(
                graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
            ):
                work()
        except RuntimeError:  # PyTorch leaves these as they were in the capture
            torch.cuda.set_stream(current)
            generator.graphsafe_set_state(state)
            with contextlib.suppress(RuntimeError):
                torch._C._cuda_endAllocateToPool(index, self._pool)
            raise
        return graph.replay


class _Captured(NamedTuple):
    """A captured gradient: the batch it reads, and how to run it."""

    inputs: Batch
    replay: Work


class UpdateGraphs:
    """The graphs of the updates of one process.

    Every batch is padded to a common shape, whether captured or not, so that the results do not depend on
    what has been captured. If a capture fails, the graphs are dropped, and all that follows runs eagerly.

    Args:
        recorder: captures and runs work.
        device: of the model.
        parameters: the model's, whose gradients must keep their place.
        limit: the number of graphs.
    """

    def __init__(
        self,
        recorder: Recorder,
        device: torch.device,
        parameters: Sequence[nn.Parameter],
        limit: int = _LIMIT,
    ) -> None:
        self._recorder, self._device, self._parameters, self._limit = recorder, device, parameters, limit
        self._seen: Counter[Hashable] = Counter()
        self._gradients: dict[Hashable, _Captured] = {}
        self._step: Work | None = None
        self._addresses: list[int] = []  # of the weights, which must not change once a graph is captured
        self._failed = False

    @property
    def count(self) -> int:
        """The number of captured graphs."""
        return len(self._gradients) + (self._step is not None)

    def gradient(self, batch: Batch, work: Callable[[Batch], None]) -> None:
        """Run the forward and backward pass of a batch.

        Args:
            batch: on the CPU.
            work: runs them for a batch on the device, and accumulates gradients in place.

        Raises:
            RuntimeError: if a weight is no longer where the graphs read and write it.
        """
        batch = pad_batch(batch, common_shape(shape_of(batch)))
        batch = batch.pinned() if self._device.type == "cuda" else batch
        key = (shape_of(batch), batch.alignment is None, batch.soft is None)
        captured = self._gradients.get(key)
        if captured is None:
            inputs = batch.to(self._device, copy=True)  # a graph's inputs are overwritten
            replay = self._captured(key, lambda: work(inputs))
            if replay is None:
                self._recorder.eagerly(lambda: work(inputs))
                return
            captured = self._gradients[key] = _Captured(inputs, replay)
        self._check_addresses()
        for own, given in zip(captured.inputs.tensors(), batch.tensors(), strict=True):
            own.copy_(given, non_blocking=True)
        captured.replay()

    def step(self, work: Work) -> None:
        """Run what follows the gradient, which is the same in every update; see `gradient`."""
        self._step = self._step or self._captured("step", work)
        if self._step is None:
            self._recorder.eagerly(work)
        else:
            self._check_addresses()
            self._step()

    def _check_addresses(self) -> None:
        addresses = [parameter.data_ptr() for parameter in self._parameters]
        self._addresses = self._addresses or addresses
        if self._addresses != addresses:
            raise RuntimeError("a weight has moved in memory since CUDA graphs were captured")

    def _captured(self, key: Hashable, work: Work) -> Work | None:
        """The captured work, if it is time to capture it and that succeeds."""
        self._seen[key] += 1
        warm = self._seen["step"] >= _WARM_UP
        if self._failed or not warm or self._seen[key] < _SEEN or self.count >= self._limit:
            return None
        self._check_addresses()
        before = [parameter.grad for parameter in self._parameters]
        try:
            replay = self._recorder.capture(work)
            if any(one.grad is not old for one, old in zip(self._parameters, before, strict=True)):
                raise RuntimeError("a parameter got its first gradient")
        except RuntimeError as error:
            self._failed, self._step = True, None
            self._gradients.clear()
            for parameter, old in zip(self._parameters, before, strict=True):
                parameter.grad = old
            reason = str(error.__context__ or error).strip().split("\n")[0]
            logger.warning(f"CUDA graphs: training goes on without them, as a capture failed: {reason}")
            return None
        return replay


def make_graphs(
    config: TrainingConfig,
    device: torch.device,
    processes: Processes,
    parameters: Sequence[nn.Parameter],
) -> UpdateGraphs | None:
    """The graphs of a training, or None where they cannot be used; on a GPU, a line says why."""
    if not config.cuda_graphs or device.type != "cuda":
        return None
    obstacles = {
        "under torchrun": processes.joined,
        "with scheduled sampling (training.teacher_forcing below 1)": config.teacher_forcing < 1,
    }
    for obstacle, there in obstacles.items():
        if there:
            logger.info(f"CUDA graphs: not used {obstacle}")
            return None
    return UpdateGraphs(CudaRecorder(device), device, parameters)

"""Mixed precision: the dtype of matrix products, and loss scaling."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.errors import ConfigError

_LEAST_UNITS = 256  # for bf16 on a CPU: a smaller model takes its time for other things than products
_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Precision:
    """Device and dtype to compute with.

    Attributes:
        device: the device.
        dtype: of matrix products; weights and losses stay in float32.
    """

    device: torch.device
    dtype: torch.dtype

    @property
    def scales(self) -> bool:
        """Whether loss scaling is used, because small gradients would underflow in fp16. With bf16 too on
        CUDA, where autocast runs cuDNN's recurrent layers in fp16 whatever the dtype.
        """
        on_cuda = self.device.type == "cuda"
        return self.dtype == torch.float16 or (self.dtype == torch.bfloat16 and on_cuda)

    def autocast(self) -> AbstractContextManager[object]:
        """The autocast context for forward passes."""
        enabled = self.dtype != torch.float32
        return torch.autocast(self.device.type, self.dtype if enabled else None, enabled=enabled)

    def loss_scale(self) -> "LossScale":
        """The loss scale if gradients are scaled; otherwise one that is always 1."""
        return LossScale(self.device, self.scales)


class LossScale:
    """Dynamic loss scaling (Micikevicius et al. 2018, §3.2), which the host does not wait for.

    The loss is multiplied by the scale and the gradient divided by it. The scale is halved after an update
    with a non-finite gradient, and doubled after 2,000 finite ones in a row: as `torch.amp.GradScaler`,
    which decides together with the optimizer instead of with the loss and the gradient norm.

    Args:
        device: of the losses.
        enabled: if not, the scale is always 1 and there is no state.

    Attributes:
        value: the scale, a float32 scalar on the device.
    """

    _INITIAL, _GROWTH, _BACKOFF, _INTERVAL = 65536.0, 2.0, 0.5, 2000

    def __init__(self, device: torch.device, enabled: bool) -> None:
        self._enabled = enabled
        self.value = torch.full((), self._INITIAL if enabled else 1.0, device=device)
        self._finite_in_a_row = torch.zeros((), dtype=torch.int32, device=device)

    def update(self, found_inf: Tensor) -> None:
        """Adapt the scale after an update.

        Args:
            found_inf: 1 if its loss or gradient was not finite, else 0; a float32 scalar on the device.
        """
        if self._enabled:
            settings = self._GROWTH, self._BACKOFF, self._INTERVAL
            torch._amp_update_scale_(self.value, self._finite_in_a_row, found_inf, *settings)

    def state_dict(self) -> dict[str, float | int]:
        """State for resuming, with the names of `torch.amp.GradScaler`; empty if not enabled."""
        if not self._enabled:
            return {}
        return {
            "scale": float(self.value),
            "growth_factor": self._GROWTH,
            "backoff_factor": self._BACKOFF,
            "growth_interval": self._INTERVAL,
            "_growth_tracker": int(self._finite_in_a_row),
        }

    def load_state_dict(self, state: dict[str, float | int]) -> None:
        """Restore from `state`; one that was saved without loss scaling changes nothing."""
        if self._enabled and state:
            self.value.fill_(state["scale"])
            self._finite_in_a_row.fill_(state["_growth_tracker"])


def choose_precision(name: str, device: torch.device, units: int = 0) -> Precision:
    """The precision for a setting: `auto` is bf16 on a CUDA GPU that supports it, fp16 on others; bf16 on a
    CPU with instructions for it, unless the model is small; and fp32 elsewhere.

    Args:
        name: auto, fp32, bf16 or fp16.
        device: a CUDA device must be the current one (`torch.cuda.set_device`): `auto` queries that one.
        units: the largest of the model's sizes; only `auto` on a CPU needs it.

    Raises:
        ConfigError: for fp16 without CUDA: it is no faster on a CPU, and Apple GPUs have no loss scaling.
    """
    if name == "auto":
        if device.type == "cuda":
            name = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        else:
            fast = device.type == "cpu" and units >= _LEAST_UNITS and has_bf16_instructions()
            name = "bf16" if fast else "fp32"
    if name == "fp16" and device.type != "cuda":
        raise ConfigError(
            f"training.precision=fp16: only supported on CUDA GPUs; on {device.type} use fp32 or bf16"
        )
    return Precision(device, _TYPES[name])


def has_bf16_instructions() -> bool:
    """Whether this CPU multiplies bfloat16 matrices faster than float32 ones: those with AMX have these
    instructions, too.
    """
    onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return onednn and torch.cpu._is_avx512_bf16_supported()

"""Mixed precision: the dtype of matrix products, and loss scaling for fp16."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from nmt.errors import ConfigError

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
        """Whether loss scaling is used, because small gradients would underflow (fp16 only)."""
        return self.dtype == torch.float16

    def autocast(self) -> AbstractContextManager[object]:
        """The autocast context for forward passes."""
        enabled = self.dtype != torch.float32
        return torch.autocast(self.device.type, self.dtype if enabled else None, enabled=enabled)

    def scaler(self) -> torch.amp.GradScaler:
        """The gradient scaler for fp16; disabled otherwise."""
        return torch.amp.GradScaler(self.device.type, enabled=self.scales)


def choose_precision(name: str, device: torch.device) -> Precision:
    """The precision for a setting: `auto` is bf16 where the hardware supports it; otherwise fp16 on a CUDA
    GPU and fp32 on other devices. On Apple GPUs it is always fp32.

    Args:
        name: auto, fp32, bf16 or fp16.
        device: a CUDA device must be the current one (`torch.cuda.set_device`): `auto` queries that one.

    Raises:
        ConfigError: for fp16 without CUDA: it is no faster on a CPU, and Apple GPUs have no loss scaling.
    """
    if name == "auto":
        if device.type == "cuda":
            name = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        else:
            name = "bf16" if device.type == "cpu" and _multiplies_bf16() else "fp32"
    if name == "fp16" and device.type != "cuda":
        raise ConfigError(
            f"training.precision=fp16: only supported on CUDA GPUs; on {device.type} use fp32 or bf16"
        )
    return Precision(device, _TYPES[name])


def _multiplies_bf16() -> bool:
    """Whether the CPU has bf16 instructions; without them bf16 is slower than fp32."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))

"""Mixed precision: which type the matrix products run in, and loss scaling where that needs it."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from nmt.errors import ConfigError

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Precision:
    """How to compute on a device.

    Attributes:
        device: where.
        dtype: of matrix products; weights and losses stay in float32.
    """

    device: torch.device
    dtype: torch.dtype

    @property
    def scales(self) -> bool:
        """Whether small gradients would vanish without loss scaling (fp16 only)."""
        return self.dtype == torch.float16

    def autocast(self) -> AbstractContextManager[object]:
        """The context for forward passes."""
        enabled = self.dtype != torch.float32
        return torch.autocast(self.device.type, self.dtype if enabled else None, enabled=enabled)

    def scaler(self) -> torch.amp.GradScaler:
        """Scales losses for fp16; does nothing otherwise."""
        return torch.amp.GradScaler(self.device.type, enabled=self.scales)


def choose_precision(name: str, device: torch.device) -> Precision:
    """The precision for a setting: `auto` is bf16 where the hardware multiplies in it, or else fp16 on a
    CUDA GPU and fp32 elsewhere, on Apple's GPUs always.

    Args:
        name: auto, fp32, bf16 or fp16.
        device: if it is a CUDA GPU, the current one (`torch.cuda.set_device`): `auto` asks that one.

    Raises:
        ConfigError: for fp16 elsewhere than on CUDA: a CPU gains nothing, Apple's GPUs scale no losses.
    """
    if name == "auto":
        if device.type == "cuda":
            name = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        else:
            name = "bf16" if device.type == "cpu" and _multiplies_bf16() else "fp32"
    if name == "fp16" and device.type != "cuda":
        raise ConfigError(
            f"training.precision=fp16: for CUDA GPUs only; on {device.type} choose fp32 or bf16"
        )
    return Precision(device, _TYPES[name])


def _multiplies_bf16() -> bool:
    """Whether the processor has instructions for it; without them bf16 is slower than fp32."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))

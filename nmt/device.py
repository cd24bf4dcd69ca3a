"""Device selection."""

import torch

from nmt.errors import ConfigError

_CHOICES = "choose auto, cpu, cuda, cuda:N or mps"


def choose_device(name: str, local_rank: int | None = None) -> torch.device:
    """The device for a setting: `auto` is a CUDA GPU if available, else the CPU.

    On a CUDA GPU, turns TF32 off in this process: PyTorch lets cuDNN's recurrent layers use it in float32,
    with inputs rounded to 10 bits.

    Args:
        name: the setting.
        local_rank: the local rank of this process under torchrun: each process uses its own GPU.

    Returns:
        the CPU, or a device with an index, which `torch.cuda.set_device` and others require.

    Raises:
        ConfigError: for a name unknown to torch, or a GPU that is not available.
    """
    asked = name
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device={asked}: no such device; {_CHOICES}") from error
    if str(device) != name:  # torch counts indices modulo 256
        raise ConfigError(f"device={asked}: no such device; {_CHOICES}")
    if device.type == "cpu":
        return device
    if device.type == "cuda":
        return _cuda(asked, device, local_rank)
    if device.type == "mps":
        return _mps(asked, device, local_rank)
    raise ConfigError(f"device={asked}: {_CHOICES}")


def _cuda(asked: str, device: torch.device, local_rank: int | None) -> torch.device:
    index = (local_rank or 0) if device.index is None else device.index
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index < count:
        torch.backends.cudnn.allow_tf32 = False
        return torch.device("cuda", index)
    if count and local_rank and device.index is None:
        raise ConfigError(
            f"device={asked}: only {count} GPUs for more than {local_rank} processes, each of which needs "
            "its own; start fewer processes or choose device=cpu"
        )
    raise ConfigError(f"device={asked}: no such GPU on this machine; choose cpu or auto")


def _mps(asked: str, device: torch.device, local_rank: int | None) -> torch.device:
    if device.index or not torch.backends.mps.is_available():
        raise ConfigError(f"device={asked}: no such GPU on this machine; choose cpu or auto")
    if local_rank is not None:  # gloo has no collectives for mps
        raise ConfigError(
            f"device={asked}: not supported with torchrun; start one process, or choose device=cpu"
        )
    return torch.device("mps", 0)

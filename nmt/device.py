"""Where to compute."""

import torch

from nmt.errors import ConfigError


def choose_device(name: str, local_rank: int | None = None) -> torch.device:
    """The device for a setting: `auto` is the GPU if there is one.

    Args:
        name: the setting.
        local_rank: this process's number among several on its machine: each takes a GPU of its own.

    Raises:
        ConfigError: for a name torch does not know, or a GPU that is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and local_rank is not None:
        name = f"cuda:{local_rank}"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device={name}: no such device; choose auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device={name}: choose auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and not (
        torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    ):
        raise ConfigError(f"device={name}: there is no such GPU here; choose cpu or auto")
    return device

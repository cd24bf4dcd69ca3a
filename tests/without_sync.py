"""Finds operations for which the host waits for a GPU, without one."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

SYNCS = {
    torch.ops.aten._local_scalar_dense,
    torch.ops.aten.item,
    torch.ops.aten.nonzero,
    torch.ops.aten.masked_select,
    torch.ops.aten.unique_consecutive,
    torch.ops.aten._unique2,
    torch.ops.aten.is_nonzero,
    torch.ops.aten.equal,
}


class WithoutSync(TorchDispatchMode):
    """Fails at operations for which the host waits for a GPU: those whose result or shape it must know.

    Args:
        packs: sequences are packed: integers may be read, as their lengths are on the host.
    """

    def __init__(self, packs: bool = False) -> None:
        super().__init__()
        self.packs = packs

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        packet = func.overloadpacket
        masks = packet in (torch.ops.aten.index, torch.ops.aten.index_put, torch.ops.aten.index_put_)
        boolean = masks and any(one is not None and one.dtype == torch.bool for one in args[1])
        lengths = self.packs and packet is torch.ops.aten._local_scalar_dense and args[0].dtype == torch.int64
        assert packet not in SYNCS or lengths, f"the host waits in {func}"
        assert not boolean, f"the host waits in {func} with a mask"
        return func(*args, **(kwargs or {}))

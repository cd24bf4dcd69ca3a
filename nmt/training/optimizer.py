"""The optimizer."""

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer


class EagerAdamW(AdamW):
    """AdamW (Loshchilov and Hutter 2019) that is never compiled, and whose step the host does not decide on.

    PyTorch keeps `torch.compile` out of the methods of its optimizers with wrappers that import all of
    `torch._dynamo` at the first call, a large part of the start of a training. Here they are used without.

    Args:
        parameters: the parameters, all on one device.
        lr: the learning rate, a float32 scalar on that device, read at every step.
        settings: those of AdamW.
    """

    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    zero_grad = inspect.unwrap(Optimizer.zero_grad)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)
    step = torch.no_grad()(inspect.unwrap(AdamW.step))

    def __init__(self, parameters: Iterable[nn.Parameter], lr: Tensor, **settings: Any) -> None:
        # On CUDA, "capturable" only permits a step inside a CUDA graph: the fused kernel is the same.
        super().__init__(parameters, lr=lr, fused=True, capturable=lr.is_cuda, **settings)
        self._warned_capturable_if_run_uncaptured = True  # both are intended

    def scaled_step(self, scale: Tensor, found_inf: Tensor) -> None:
        """A step with the gradients divided by `scale`, or none; decided on the device.

        The fused kernels divide the gradients while they read them, as for loss scaling. The gradients are
        undefined afterwards.

        Args:
            scale: a float32 scalar on the device of the parameters.
            found_inf: likewise; 1 if this step is to be skipped, else 0.
        """
        if found_inf.device.type == "mps":  # whose fused kernel ignores both (PyTorch 2.13)
            self._step_by_host(scale, found_inf)
            return
        self.grad_scale, self.found_inf = scale, found_inf
        try:
            self.step()
        finally:
            del self.grad_scale, self.found_inf

    def _step_by_host(self, scale: Tensor, found_inf: Tensor) -> None:
        """As `scaled_step`, but the host waits for the device."""
        if not found_inf:
            gradients = [one.grad for group in self.param_groups for one in group["params"]]
            torch._foreach_div_([gradient for gradient in gradients if gradient is not None], scale)
            self.step()

"""The optimizer."""

import inspect

import torch
from torch.optim import AdamW, Optimizer


class EagerAdamW(AdamW):
    """AdamW (Loshchilov and Hutter 2019) that is never compiled.

    PyTorch keeps `torch.compile` out of the methods of its optimizers with wrappers that import all of
    `torch._dynamo` at the first call, a large part of the start of a training. Here they are used without.
    """

    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    zero_grad = inspect.unwrap(Optimizer.zero_grad)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)
    step = torch.no_grad()(inspect.unwrap(AdamW.step))

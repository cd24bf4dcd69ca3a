"""The optimizer: PyTorch's AdamW, without its import of `torch._dynamo`."""

import subprocess
import sys

import pytest
import torch

from nmt.training.optimizer import EagerAdamW


def gradients(model: torch.nn.Module) -> None:
    model.zero_grad()
    model(torch.ones(2, 5)).pow(2).sum().backward()


def linear() -> torch.nn.Linear:
    torch.manual_seed(1)
    return torch.nn.Linear(5, 3)


def everything(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """A copy of the weights and the optimizer's state."""
    state = optimizer.state_dict()["state"]
    tensors = [*model.parameters(), *(value for one in state.values() for value in one.values())]
    return [tensor.detach().clone() for tensor in tensors]


def test_it_updates_as_adamw() -> None:
    found = []
    for ours in (True, False):
        model = linear()
        lr = torch.tensor(0.0)
        optimizer: torch.optim.Optimizer = (
            EagerAdamW(model.parameters(), lr, weight_decay=0.01)
            if ours
            else torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01, fused=True)
        )
        for step in range(3):
            lr.fill_(0.1 / (1 + step))
            gradients(model)
            optimizer.step()
            optimizer.load_state_dict(optimizer.state_dict())
            optimizer.param_groups[0]["lr"] = lr
        assert all(parameter.requires_grad for parameter in model.parameters())
        found.append(everything(model, optimizer))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("by_host", [False, True])
def test_a_scaled_step_divides_the_gradients_or_does_nothing(by_host: bool) -> None:
    """Also where the fused kernel cannot, as on Apple GPUs."""

    def step(optimizer: EagerAdamW, scale: float, found_inf: float) -> None:
        call = optimizer._step_by_host if by_host else optimizer.scaled_step
        call(torch.tensor(scale), torch.tensor(found_inf))

    models = linear(), linear()
    plain, scaled = (EagerAdamW(model.parameters(), torch.tensor(0.1)) for model in models)
    for factor in (1.0, 4.0):
        for model, optimizer, scale in zip(models, (plain, scaled), (1.0, factor), strict=True):
            gradients(model)
            for parameter in model.parameters():
                parameter.grad *= scale
            step(optimizer, scale, 0.0)
    before = everything(models[1], scaled)
    torch.testing.assert_close(before, everything(models[0], plain))
    gradients(models[1])
    models[1].weight.grad[0, 0] = float("nan")
    step(scaled, 1.0, 1.0)
    torch.testing.assert_close(everything(models[1], scaled), before, rtol=0, atol=0)


def test_it_does_not_import_the_compiler() -> None:
    program = (
        "import sys, torch; from nmt.training.optimizer import EagerAdamW;"
        "w = torch.ones(2, requires_grad=True); o = EagerAdamW([w], torch.tensor(0.1)); w.sum().backward();"
        "o.step(); o.zero_grad(); o.load_state_dict(o.state_dict()); print('torch._dynamo' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"

"""The optimizer: PyTorch's AdamW, without its import of `torch._dynamo`."""

import subprocess
import sys

import pytest
import torch

from nmt.training.optimizer import EagerAdamW


@pytest.mark.parametrize("fused", [True, False])
def test_it_updates_as_adamw(fused: bool) -> None:
    found = []
    for kind in (EagerAdamW, torch.optim.AdamW):
        torch.manual_seed(1)
        model = torch.nn.Linear(5, 3)
        optimizer = kind(model.parameters(), lr=0.1, weight_decay=0.01, fused=fused)
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(2, 5)).pow(2).sum().backward()
            optimizer.step()
            optimizer.load_state_dict(optimizer.state_dict())
        assert all(parameter.requires_grad for parameter in model.parameters())
        found.append([*model.parameters(), *optimizer.state_dict()["state"][0].values()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_it_does_not_import_the_compiler() -> None:
    program = (
        "import sys, torch; from nmt.training.optimizer import EagerAdamW;"
        "w = torch.ones(2, requires_grad=True); o = EagerAdamW([w], fused=True); w.sum().backward();"
        "o.step(); o.zero_grad(); o.load_state_dict(o.state_dict()); print('torch._dynamo' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"

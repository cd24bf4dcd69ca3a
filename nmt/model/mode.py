"""Training and evaluation mode: who trains a model switches it; inference only checks."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model is in evaluation mode inside; on exit each of its modules is in the mode it was in before."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


def check_evaluating(model: nn.Module) -> None:
    """Check that no module is in training mode, where dropout would change the results.

    Raises:
        RuntimeError: if one is.
    """
    if any(module.training for module in model.modules()):
        raise RuntimeError(
            "the model is in training mode, so dropout would change the results: call model.eval(), or use "
            "`with evaluating(model)` (nmt.model.mode) while training"
        )

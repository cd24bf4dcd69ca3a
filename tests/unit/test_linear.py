"""Products with a weight under autocast on a CPU: near float32, and of few shapes."""

import math

import pytest
import torch
from tiny import tiny_config, tiny_model
from torch.utils._python_dispatch import TorchDispatchMode

from nmt.config.training import TrainingConfig
from nmt.data.batches import collate
from nmt.model.linear import Linear, linear, matmul
from nmt.model.loops.products import cast_rows, common_rows, gradient_of_weight
from nmt.training.objective import Objective

VOCABULARY = 23
PRODUCTS = {"aten.mm", "aten.addmm", "aten.bmm", "aten.baddbmm"}


class Products(TorchDispatchMode):
    """Notes the sizes of the matrices that are multiplied in bfloat16."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if str(func).rsplit(".", 1)[0] in PRODUCTS:
            matrices = [part for part in args if part.dtype == torch.bfloat16][-2:]
            self.sizes += [part.shape[-2:] for part in matrices]
        return func(*args, **(kwargs or {}))


def test_common_numbers_are_few_and_near():
    assert [common_rows(n) for n in (1, 2, 31, 32, 33, 34, 65, 1000, 1025)] == [
        1, 2, 31, 32, 34, 34, 68, 1024, 1088,
    ]  # fmt: skip
    numbers = {common_rows(n) for n in range(1, 4097)}
    assert len(numbers) == 32 + 7 * 16
    assert all(n <= common_rows(n) <= n + math.ceil(n / 16) for n in range(1, 4097))
    assert numbers == {common_rows(n) for n in numbers}


def test_further_rows_are_zero():
    vectors = torch.randn(2, 33, 3)
    cast = cast_rows(vectors, torch.bfloat16)
    assert cast.shape == (2, 34, 3)
    assert torch.equal(cast[:, :33], vectors.bfloat16())
    assert not cast[:, 33:].any()
    assert cast_rows(vectors, torch.float32) is vectors


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5,), (37, 5), (3, 11, 5), (0, 5)])
def test_under_autocast_a_linear_map_stays_near_float32(shape, bias):
    torch.manual_seed(1)
    module = Linear(5, 4, bias=bias)
    inputs, weights = torch.randn(shape, requires_grad=True), torch.randn(*shape[:-1], 4)
    leaves = [inputs, *module.parameters()]
    exact = torch.nn.Linear.forward(module, inputs)
    of_exact = torch.autograd.grad((exact * weights).sum(), leaves)
    with torch.autocast("cpu", torch.bfloat16):
        found = module(inputs)
    of_found = torch.autograd.grad((found * weights).sum(), leaves)
    for one, other in zip((found, *of_found), (exact, *of_exact), strict=True):
        assert one.dtype == torch.float32
        assert one.shape == other.shape
        if other.numel():
            assert (one - other).abs().max() <= 0.02 * other.abs().max()
    assert not found.numel() or not torch.equal(found, exact)


def test_without_autocast_it_is_pytorchs():
    module, inputs = Linear(5, 4), torch.randn(7, 5)
    assert torch.equal(module(inputs), torch.nn.functional.linear(inputs, module.weight, module.bias))
    assert torch.equal(linear(inputs, module.weight), inputs @ module.weight.t())


def test_the_gradient_of_a_weight():
    outputs, inputs = torch.randn(2, 37, 4), torch.randn(2, 37, 5)
    exact = torch.einsum("dno,dni->doi", outputs, inputs)
    torch.testing.assert_close(gradient_of_weight(outputs, inputs, torch.float32), exact)
    rounded = gradient_of_weight(outputs, inputs, torch.bfloat16)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.02 * exact.abs().max()


@pytest.mark.parametrize(
    "settings",
    [
        "decoder.style=bahdanau attention.size=8",
        "decoder.style=luong attention.size=8",
        "decoder.style=luong decoder.input_feeding=false attention.score=general",
        "decoder.style=vector attention.size=8",
    ],
)
def test_an_update_has_products_of_few_shapes(settings):
    """Else oneDNN compiles kernels all the time. The sizes of these weights are common numbers, too."""
    model = tiny_model(VOCABULARY, VOCABULARY, tiny_config(settings)).train()
    objective = Objective(model, TrainingConfig())
    targets = [[4 + row % 9] * (1 + 11 * row // 37) for row in range(37)][::-1]
    batch = collate([[5 + row % 9] * (3 + row % 5) for row in range(37)], targets)
    assert len(set(batch.active)) > 8
    with Products() as products:
        with torch.autocast("cpu", torch.bfloat16):
            loss = objective(batch, 1.0).objective
        loss.backward()
    rows = {size for shape in products.sizes for size in shape}
    assert len(rows) > 10
    assert rows == {common_rows(size) for size in rows}


def test_products_of_attention_are_in_float32_under_autocast():
    left, right = torch.randn(3, 4, 5), torch.randn(3, 5, 6)
    with torch.autocast("cpu", torch.bfloat16):
        found, mixed = matmul(left, right), matmul(left, right.bfloat16())
    assert torch.equal(found, left @ right)
    assert torch.equal(mixed, left @ right.bfloat16().float())

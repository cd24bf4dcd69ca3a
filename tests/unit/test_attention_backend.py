"""Which backend of PyTorch's scaled dot-product attention the Transformer uses on CUDA."""

import threading
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from tiny import padded_mask

from nmt.model.multi_head import attended, without_cudnn_attention

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
CUDNN = "aten::_scaled_dot_product_cudnn_attention"


def allowed() -> dict[str, bool]:
    """The enabled SDPA backends."""
    backends = torch.backends.cuda
    return {
        "cudnn": backends.cudnn_sdp_enabled(),
        "flash": backends.flash_sdp_enabled(),
        "efficient": backends.mem_efficient_sdp_enabled(),
        "math": backends.math_sdp_enabled(),
    }


@pytest.mark.parametrize(("device", "cudnn"), [("cuda:0", False), ("mps:0", True)])
def test_on_cuda_it_is_never_cudnns(monkeypatch, device, cudnn):
    seen = []

    def kernel(queries: object, keys: object, values: object, attn_mask: object) -> str:
        seen.append(allowed())
        return "found"

    monkeypatch.setattr(F, "scaled_dot_product_attention", kernel)
    before = allowed()
    assert before["cudnn"]
    part = SimpleNamespace(device=torch.device(device))
    assert attended(part, part, part, None) == "found"
    assert seen == [before | {"cudnn": cudnn}]
    assert allowed() == before


def test_what_the_user_has_chosen_comes_back():
    """Also after an error; a backend that the user has disabled stays disabled inside."""
    backends = torch.backends.cuda
    before = allowed()
    backends.enable_flash_sdp(False)
    backends.enable_cudnn_sdp(False)
    inside = []

    def fail() -> None:
        inside.append(allowed())
        raise InterruptedError

    try:
        with pytest.raises(InterruptedError), without_cudnn_attention():
            fail()
        assert [*inside, allowed()] == [before | {"cudnn": False, "flash": False}] * 2
    finally:
        backends.enable_flash_sdp(before["flash"])
        backends.enable_cudnn_sdp(before["cudnn"])


def test_threads_do_not_mix_up_the_setting():
    """One inside while another enters: the first leaves before the other, and the setting comes back."""
    before, order, entering = allowed(), [], threading.Event()

    def other() -> None:
        entering.set()
        with without_cudnn_attention():
            order.append("other")

    thread = threading.Thread(target=other)
    with without_cudnn_attention():
        thread.start()
        entering.wait()
        thread.join(timeout=0.2)  # time enough to go wrong
        assert thread.is_alive()
        order.append("first")
    thread.join()
    assert order == ["first", "other"]
    assert allowed() == before


@needs_gpu
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_on_a_gpu_lengths_may_change(dtype):
    """Forward and backward, masked, unmasked and causal, many lengths: correct, and never with cuDNN."""
    generator = torch.Generator("cuda").manual_seed(1)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for length in (1, 2, 7, 16, 33):
            shape = 3, 4, length, 64
            parts = [
                torch.randn(shape, device="cuda", generator=generator).to(dtype).requires_grad_()
                for _ in range(3)
            ]
            exact = [part.detach().double().requires_grad_() for part in parts]
            padding = padded_mask([length, (length + 1) // 2, 1]).cuda()[:, None, None, :]
            causal = torch.ones(length, length, dtype=torch.bool, device="cuda").tril()
            for mask in (None, padding, causal):
                found, wanted = attended(*parts, mask), F.scaled_dot_product_attention(*exact, attn_mask=mask)
                found.sum().backward()
                wanted.sum().backward()
                torch.testing.assert_close(found.double(), wanted, rtol=0.02, atol=0.02)
            for part, other in zip(parts, exact, strict=True):
                torch.testing.assert_close(part.grad.double(), other.grad, rtol=0.05, atol=0.05)
    names = {event.key for event in profile.key_averages()}
    assert any("scaled_dot_product" in name for name in names)
    assert CUDNN not in names

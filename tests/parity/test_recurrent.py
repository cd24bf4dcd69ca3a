"""The recurrent parts against PyTorch's own cells and against running sentence by sentence."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nmt.config import EncoderConfig
from nmt.model.bridge import Bridge
from nmt.model.encoder import Encoded, RecurrentEncoder
from nmt.model.recurrent import GRUCell, RecurrentStack


def torch_cell(cell: GRUCell) -> nn.GRUCell:
    """PyTorch's cell with the same weights."""
    other = nn.GRUCell(cell.input.in_features, cell.hidden.in_features).double()
    with torch.no_grad():
        other.weight_ih.copy_(cell.input.weight)
        other.weight_hh.copy_(cell.hidden.weight)
        other.bias_ih.copy_(cell.input.bias)
        other.bias_hh.copy_(cell.hidden.bias)
    return other


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=25, deadline=None)
@given(B=st.integers(1, 4), X=st.integers(1, 5), H=st.integers(1, 5), seed=st.integers(0, 10**6))
def test_cell_is_torchs(B, X, H, seed):
    torch.manual_seed(seed)
    cell = GRUCell(X, H).double()
    inputs, hidden = random(B, X, seed=seed), random(B, H, seed=seed + 1)
    expected = torch_cell(cell)(inputs, hidden)
    torch.testing.assert_close(cell(cell.project(inputs), hidden), expected, atol=1e-12, rtol=0)


def test_projecting_all_steps_at_once_is_projecting_each():
    cell = GRUCell(3, 4).double()
    inputs = random(2, 5, 3)
    each = torch.stack([cell.project(inputs[:, t]) for t in range(5)], dim=1)
    torch.testing.assert_close(cell.project(inputs), each, atol=1e-12, rtol=0)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_stack_is_torchs_cells_one_on_the_other(layers):
    torch.manual_seed(layers)
    stack = RecurrentStack(3, 4, layers, dropout=0.5).double().eval()
    cells = [torch_cell(cell) for cell in (stack.lowest, *stack.upper)]
    hidden = tuple(random(2, 4, seed=k) for k in range(layers))
    expected = list(hidden)
    for t in range(3):
        inputs = random(2, 3, seed=10 + t)
        hidden = stack(stack.project(inputs), hidden)
        for k, cell in enumerate(cells):
            inputs = expected[k] = cell(inputs, expected[k])
        for found, wanted in zip(hidden, expected, strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-12, rtol=0)


def test_dropout_between_layers_is_for_training_only():
    stack = RecurrentStack(3, 50, 2, dropout=0.5).double()
    gates, hidden = random(2, 150), (random(2, 50, seed=1), random(2, 50, seed=2))
    first, second = stack(gates, hidden), stack(gates, hidden)
    assert torch.equal(first[0], second[0])  # none below the lowest layer
    assert not torch.equal(first[1], second[1])
    stack.eval()
    assert torch.equal(stack(gates, hidden)[1], stack(gates, hidden)[1])


# ---------------------------------------------------------------- encoder and bridge


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 1000))
def test_encoder_is_a_gru_run_sentence_by_sentence(bidirectional, layers, lengths, seed):
    torch.manual_seed(seed)
    config = EncoderConfig(layers=layers, bidirectional=bidirectional, size=6, embedding=5)
    encoder = RecurrentEncoder(11, 0, config, dropout=0.4).double().eval()
    reference = nn.GRU(5, 3 if bidirectional else 6, layers, bidirectional=bidirectional).double()
    reference.load_state_dict(encoder.rnn.state_dict())
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    tokens = torch.randint(1, 11, mask.shape).masked_fill(~mask, 0)
    encoded = encoder(tokens, mask)
    assert encoded.states.shape == (*mask.shape, 6)
    for b, length in enumerate(lengths):
        embedded = encoder.embedding.weight[tokens[b, :length]]  # [length, E]
        states, _ = reference(embedded)
        torch.testing.assert_close(encoded.states[b, :length], states, atol=1e-12, rtol=0)
        assert (encoded.states[b, length:] == 0).all()
        ends = torch.cat((states[-1, :3], states[0, 3:])) if bidirectional else states[-1]
        torch.testing.assert_close(encoded.last[b], ends, atol=1e-12, rtol=0)


@pytest.mark.parametrize("kind", ["last", "mean"])
def test_bridge_is_its_equation(kind):
    bridge = Bridge(kind, state_size=4, size=3, layers=2).double()
    mask = torch.tensor([[True, True, True], [True, False, False]])
    states = random(2, 3, 4)  # not zero on padding: it must not count
    last = random(2, 4, seed=1)
    first = bridge(Encoded(states, mask, last))
    mean = torch.stack((states[0].mean(dim=0), states[1, 0]))
    summary = last if kind == "last" else mean
    expected = torch.tanh(summary @ bridge.project.weight.T + bridge.project.bias)  # [B, 2·3]
    assert len(first) == 2
    torch.testing.assert_close(torch.cat(first, dim=1), expected, atol=1e-12, rtol=0)

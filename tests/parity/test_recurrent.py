"""The recurrent layers against PyTorch's own cells or the equation, and against unbatched runs."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import padded_mask, random
from torch import Tensor, nn

from nmt.config.model import EncoderConfig, ModelConfig
from nmt.model.cells import CELLS, GATES, Layers, RecurrentStack, gru_cell, lstm_cell, select_layers
from nmt.model.encoders.recurrent import RecurrentEncoder


class ResetBeforeCell(nn.Module):
    """The unit of Bahdanau et al. 2015, appendix A.1.1, row by row, called like `torch.nn.GRUCell`."""

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__()
        self.weight_ih = nn.Parameter(torch.empty(3 * size, inputs).uniform_(-1, 1))
        self.weight_hh = nn.Parameter(torch.empty(3 * size, size).uniform_(-1, 1))
        self.bias_ih = nn.Parameter(torch.empty(3 * size).uniform_(-1, 1))

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        (W_r, W_z, W), (U_r, U_z, U) = self.weight_ih.chunk(3), self.weight_hh.chunk(3)
        b_r, b_z, b = self.bias_ih.chunk(3)
        rows = []
        for y, s in zip(x, state, strict=True):
            r, z = torch.sigmoid(W_r @ y + U_r @ s + b_r), torch.sigmoid(W_z @ y + U_z @ s + b_z)
            rows.append((1 - z) * s + z * torch.tanh(W @ y + U @ (r * s) + b))
        return torch.stack(rows)


TORCHS = {"gru": nn.GRUCell, "lstm": nn.LSTMCell}
CELL = {**TORCHS, "gru_reset_before": ResetBeforeCell}
STEP = {"gru": gru_cell, "lstm": lstm_cell}
PARTS = {"gru": 1, "lstm": 2, "gru_reset_before": 1}


def random_layers(cell: str, B: int, H: int, layers: int, seed: int = 0) -> Layers:
    return tuple(
        tuple(random(B, H, seed=seed + 10 * k + p) for p in range(PARTS[cell])) for k in range(layers)
    )


def torch_cells(stack: RecurrentStack) -> list[nn.Module]:
    """PyTorch's cells, or the paper's, with the same weights, bottom to top."""
    cells: list[nn.Module] = []
    for k in range(stack.rnn.num_layers):
        suffix = f"_l{k}"
        weights = {
            name.removesuffix(suffix): value
            for name, value in stack.rnn.state_dict().items()
            if name.endswith(suffix)
        }
        cells.append(CELL[stack.cell](weights["weight_ih"].shape[1], stack.rnn.hidden_size).double())
        cells[-1].load_state_dict(weights)
    return cells


def advance(cells: list[nn.Module], x: Tensor, layers: Layers) -> Layers:
    """One step of stacked cells."""
    states = []
    for cell, state in zip(cells, layers, strict=True):
        after = cell(x, state if len(state) > 1 else state[0])
        states.append(after if isinstance(after, tuple) else (after,))
        x = states[-1][0]
    return tuple(states)


@pytest.mark.parametrize("cell", TORCHS)
@settings(max_examples=25, deadline=None)
@given(B=st.integers(1, 4), X=st.integers(1, 5), H=st.integers(1, 5), seed=st.integers(0, 10**6))
def test_cell_is_torchs(cell, B, X, H, seed):
    torch.manual_seed(seed)
    other = CELL[cell](X, H).double()
    x, (state,) = random(B, X, seed=seed), random_layers(cell, B, H, 1, seed + 1)
    inputs = x @ other.weight_ih.T + other.bias_ih
    recurrent = state[0] @ other.weight_hh.T + other.bias_hh
    found = STEP[cell](inputs, recurrent, state)
    assert inputs.shape == (B, GATES[cell] * H)
    torch.testing.assert_close((found,), advance([other], x, (state,)), atol=1e-12, rtol=0)


@pytest.mark.parametrize("cell", CELL)
def test_projecting_all_steps_at_once_is_projecting_each(cell):
    stack, inputs = RecurrentStack(cell, 3, 4, 2, 0.0).double(), random(2, 5, 3)
    each = torch.stack([stack.project(inputs[:, t]) for t in range(5)], dim=1)
    torch.testing.assert_close(stack.project(inputs), each, atol=1e-12, rtol=0)


@pytest.mark.parametrize("cell", CELL)
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_stack_is_torchs_cells_one_on_the_other(cell, layers):
    """Step by step, and over the entire sequence at once."""
    torch.manual_seed(layers)
    stack = RecurrentStack(cell, 3, 4, layers, dropout=0.5).double().eval()
    cells, inputs = torch_cells(stack), random(2, 6, 3, seed=99)
    first = found = expected = random_layers(cell, 2, 4, layers)
    hidden_states = []
    for x in inputs.unbind(dim=1):
        found, expected = stack(stack.project(x), found), advance(cells, x, expected)
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
        hidden_states.append(expected[-1][0])
    torch.testing.assert_close(
        stack.sequence(inputs, first), torch.stack(hidden_states, 1), atol=1e-12, rtol=0
    )


@pytest.mark.parametrize("cell", CELL)
def test_what_else_feeds_the_lowest_layer_is_added_to_its_gates(cell):
    """W [x ; c] = W_x x + W_c c; the decoders store W_c elsewhere."""
    stack, wide = RecurrentStack(cell, 3, 4, 2, 0.0).double(), RecurrentStack(cell, 5, 4, 2, 0.0).double()
    extra = random(4 * GATES[cell], 2, seed=1)
    weights = stack.state_dict()
    weights["rnn.weight_ih_l0"] = torch.cat((weights["rnn.weight_ih_l0"], extra), dim=1)
    wide.load_state_dict(weights)
    x, c, layers = random(2, 3, seed=2), random(2, 2, seed=3), random_layers(cell, 2, 4, 2)
    found = stack(stack.project(x) + c @ extra.T, layers)
    expected = advance(torch_cells(wide), torch.cat((x, c), dim=1), layers)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("cell", CELL)
def test_only_the_cell_state_of_an_lstm_begins_at_zero(cell):
    hidden = (random(2, 4), random(2, 4, seed=1))
    first = RecurrentStack(cell, 3, 4, 2, 0.0).start(hidden)
    rest = [torch.zeros(2, 4, dtype=torch.float64)] * (PARTS[cell] - 1)
    torch.testing.assert_close(first, tuple((h, *rest) for h in hidden), atol=0, rtol=0)


@pytest.mark.parametrize("cell", CELL)
def test_selected_states_are_the_rows_named(cell):
    layers = random_layers(cell, 3, 2, layers=2)
    selected = select_layers(layers, torch.tensor([2, 0, 2, 2]))
    expected = tuple(tuple(torch.stack([part[b] for b in (2, 0, 2, 2)]) for part in one) for one in layers)
    torch.testing.assert_close(selected, expected, atol=0, rtol=0)


@pytest.mark.parametrize("cell", CELL)
def test_dropout_between_layers_is_for_training_only(cell):
    stack = RecurrentStack(cell, 3, 50, 2, dropout=0.5).double()
    gates, layers = random(2, 50 * GATES[cell]), random_layers(cell, 2, 50, 2)
    first, second = stack(gates, layers), stack(gates, layers)
    torch.testing.assert_close(first[0], second[0], atol=0, rtol=0)  # none below the lowest layer
    assert all(not torch.equal(one, two) for one, two in zip(first[1], second[1], strict=True))
    assert (first[1][0] != 0).all()  # nor above the highest
    stack.eval()
    torch.testing.assert_close(stack(gates, layers), stack(gates, layers), atol=0, rtol=0)


@pytest.mark.parametrize("cell", CELL)
def test_both_drivers_drop_as_much_between_layers(cell):
    """Measured by how far the top layer deviates from its output without dropout, over many rows."""
    torch.manual_seed(0)
    stack, inputs = RecurrentStack(cell, 1, 40, 2, dropout=0.3).double(), random(300, 1, 1)
    layers = random_layers(cell, 300, 40, 2)
    clean = stack.eval().sequence(inputs, layers)[:, 0]
    stack.train()
    stepped, at_once = stack(stack.project(inputs[:, 0]), layers)[-1][0], stack.sequence(inputs, layers)[:, 0]
    assert (stepped - clean).std() > 0.01
    assert (stepped - clean).std().item() == pytest.approx((at_once - clean).std().item(), rel=0.05)


# ---------------------------------------------------------------- the encoder


@pytest.mark.parametrize("cell", TORCHS)
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 1000))
def test_encoder_is_an_rnn_run_sentence_by_sentence(cell, bidirectional, layers, lengths, seed):
    torch.manual_seed(seed)
    config = EncoderConfig(cell=cell, layers=layers, bidirectional=bidirectional, size=6, embedding=5)
    encoder = RecurrentEncoder(ModelConfig(encoder=config), dropout=0.4).double().eval()
    reference = CELLS[cell](5, 3 if bidirectional else 6, layers, bidirectional=bidirectional).double()
    reference.load_state_dict(encoder.rnn.state_dict())
    mask = padded_mask(lengths)
    embedded = random(*mask.shape, 5, seed=seed)  # non-zero padding must have no effect
    encoded = encoder(embedded, mask)
    assert torch.equal(encoded.mask, mask)
    assert encoded.states.shape == (*mask.shape, 6)
    for b, length in enumerate(lengths):
        states, _ = reference(embedded[b, :length])
        torch.testing.assert_close(encoded.states[b, :length], states, atol=1e-12, rtol=0)
        assert (encoded.states[b, length:] == 0).all()
        ends = torch.cat((states[-1, :3], states[0, 3:])) if bidirectional else states[-1]
        torch.testing.assert_close(encoded.last[b], ends, atol=1e-12, rtol=0)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 1000))
def test_encoder_with_the_papers_unit_is_a_loop_over_each_sentence(bidirectional, layers, lengths, seed):
    torch.manual_seed(seed)
    config = EncoderConfig(
        cell="gru_reset_before", layers=layers, bidirectional=bidirectional, size=6, embedding=5
    )
    encoder = RecurrentEncoder(ModelConfig(encoder=config), dropout=0.4).double().eval()
    weights, H = encoder.rnn.state_dict(), 3 if bidirectional else 6
    mask = padded_mask(lengths)
    embedded = random(*mask.shape, 5, seed=seed)  # non-zero padding must have no effect
    encoded = encoder(embedded, mask)
    for b, length in enumerate(lengths):
        states = list(embedded[b, :length])
        for k in range(layers):
            halves, finals = [], []
            for suffix in ("", "_reverse")[: 1 + bidirectional]:
                cell = ResetBeforeCell(len(states[0]), H).double()
                cell.load_state_dict({name: weights[f"{name}_l{k}{suffix}"] for name in cell.state_dict()})
                h, found = torch.zeros(1, H, dtype=torch.float64), []
                for x in reversed(states) if suffix else states:
                    h = cell(x.unsqueeze(0), h)
                    found.append(h[0])
                finals.append(h[0])
                halves.append(found[::-1] if suffix else found)
            states = [torch.cat(parts) for parts in zip(*halves, strict=True)]
            torch.testing.assert_close(encoded.layers[k][0][b], torch.cat(finals), atol=1e-12, rtol=0)
        torch.testing.assert_close(encoded.states[b, :length], torch.stack(states), atol=1e-12, rtol=0)
        torch.testing.assert_close(encoded.last[b], encoded.layers[-1][0][b], atol=0, rtol=0)
        assert (encoded.states[b, length:] == 0).all()


@pytest.mark.parametrize("cell", TORCHS)
@pytest.mark.parametrize("bidirectional", [True, False])
def test_final_states_of_the_layers_are_those_of_the_rnn(cell, bidirectional):
    config = EncoderConfig(cell=cell, layers=2, bidirectional=bidirectional, size=6, embedding=5)
    encoder = RecurrentEncoder(ModelConfig(encoder=config)).double()
    inputs, directions = random(2, 4, 5), 1 + bidirectional
    _, final = encoder.rnn(inputs)
    parts = final if cell == "lstm" else (final,)
    layers = encoder(inputs, padded_mask([4, 4])).layers
    for k, layer in enumerate(layers):
        for found, part in zip(layer, parts, strict=True):
            expected = torch.cat(list(part[k * directions : (k + 1) * directions]), dim=1)
            torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    assert len(layers) == 2


@pytest.mark.parametrize("cell", CELL)
@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_reading_in_reverse_is_reading_the_reversed_sentence(cell, lengths):
    """All tokens but the last, end-of-sentence; the states are in the order of the source."""
    torch.manual_seed(0)
    config = EncoderConfig(cell=cell, bidirectional=False, size=6, embedding=5)
    encoder = RecurrentEncoder(ModelConfig(encoder=config)).double()
    mask = padded_mask(lengths)
    embedded = random(*mask.shape, 5)
    turned = embedded.clone()
    for b, length in enumerate(lengths):
        turned[b, : length - 1] = embedded[b, : length - 1].flip(0)
    expected = encoder(turned, mask)
    encoder.reverse = True
    found = encoder(embedded, mask)
    for b, length in enumerate(lengths):
        words = expected.states[b, : length - 1].flip(0)
        torch.testing.assert_close(found.states[b, : length - 1], words, atol=1e-12, rtol=0)
        torch.testing.assert_close(
            found.states[b, length - 1 :], expected.states[b, length - 1 :], atol=1e-12, rtol=0
        )
    torch.testing.assert_close(found.last, expected.last, atol=1e-12, rtol=0)


# ---------------------------------------------------------------- without packing


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_padded_sequences_are_as_packed_ones(cell, reverse, bidirectional, layers):
    """Outputs, final states and gradients, whatever stands in the padding."""
    encoder = EncoderConfig(
        cell=cell, reverse=reverse, bidirectional=bidirectional, layers=layers, size=8, embedding=5
    )
    torch.manual_seed(1)
    module = RecurrentEncoder(ModelConfig(encoder=encoder)).double().train()
    lengths = [4, 7, 1, 2]
    mask = padded_mask(lengths)
    found = []
    for known in (torch.tensor(lengths), None):
        embedded = random(4, 7, 5, seed=1).requires_grad_()
        encoded = module(embedded, mask, known)
        outputs = [encoded.states, encoded.last, *(part for layer in encoded.layers for part in layer)]
        module.zero_grad()
        sum((random(*one.shape, seed=k) * one).sum() for k, one in enumerate(outputs)).backward()
        found.append([*outputs, embedded.grad, *(one.grad for one in module.parameters())])
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-12)
    assert not found[1][0][~mask].any()


def test_padded_gradients_are_those_of_finite_differences():
    module = RecurrentEncoder(ModelConfig(encoder=EncoderConfig(size=4, embedding=3))).double().train()
    mask = padded_mask([3, 1])
    assert torch.autograd.gradcheck(
        lambda embedded: module(embedded, mask).states, random(2, 3, 3).requires_grad_()
    )

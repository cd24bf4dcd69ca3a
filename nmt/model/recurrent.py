"""The recurrence of the decoders: PyTorch's own layers, driven step by step or over a whole sentence.

Shapes: B batch, T length, H size of a state, X size of an input, G gates of the cell (GRU 3, LSTM 4).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELLS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}
GATES = {"gru": 3, "lstm": 4}

LayerState = tuple[Tensor, ...]
"""One layer's state: (h,) of a GRU, (h, c) of an LSTM, each [B, H]; h is what others read."""
Layers = tuple[LayerState, ...]
"""The states of all layers, from the lowest up."""


def select_layers(layers: Layers, index: Tensor) -> Layers:
    """The rows `index` of the batch, in that order; rows may repeat."""
    return tuple(tuple(part.index_select(0, index) for part in layer) for layer in layers)


def gru_cell(inputs: Tensor, recurrent: Tensor, state: LayerState) -> LayerState:
    """A gated recurrent unit (Cho et al. 2014).

    r = σ(x_r + u_r);  z = σ(x_z + u_z);  n = tanh(x_n + r ∘ u_n);  h' = (1 − z) ∘ n + z ∘ h,
    with x = W x_t + b and u = U h + b' given. As in PyTorch, r multiplies U h after the product (Cho et
    al. multiply before it), so that one matrix product serves all three gates.

    Args:
        inputs: x, [B, 3H].
        recurrent: u, [B, 3H].
        state: (h,).
    """
    reset_x, update_x, new_x = inputs.chunk(3, dim=-1)
    reset_u, update_u, new_u = recurrent.chunk(3, dim=-1)
    reset = (reset_x + reset_u).sigmoid()
    update = (update_x + update_u).sigmoid()
    new = (new_x + reset * new_u).tanh()
    return (torch.lerp(new, state[0].to(new.dtype), update),)


def lstm_cell(inputs: Tensor, recurrent: Tensor, state: LayerState) -> LayerState:
    """A long short-term memory with forget gate (Hochreiter and Schmidhuber 1997; Gers et al. 2000).

    i, f, o = σ(…);  g = tanh(…), each of x + u;  c' = f ∘ c + i ∘ g;  h' = o ∘ tanh(c').

    Args:
        inputs: x = W x_t + b, [B, 4H].
        recurrent: u = U h + b', [B, 4H].
        state: (h, c).
    """
    in_gate, forget, new, out = (inputs + recurrent).chunk(4, dim=-1)
    cell = forget.sigmoid() * state[1] + in_gate.sigmoid() * new.tanh()
    return out.sigmoid() * cell.tanh(), cell


_STEPS = {"gru": gru_cell, "lstm": lstm_cell}


class RecurrentStack(nn.Module):
    """Recurrent layers, each reading the one below it, with dropout between them.

    The weights are those of `torch.nn.GRU` or `torch.nn.LSTM`. `sequence` is that layer itself; `forward`
    is one step of it whose lowest input is given as gates: `project`, plus whatever else feeds it.
    """

    def __init__(self, cell: str, input_size: int, size: int, layers: int, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.rnn = CELLS[cell](input_size, size, layers, dropout=between, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.cell = cell

    def start(self, hidden: tuple[Tensor, ...]) -> Layers:
        """First h of each layer, L tensors [B, H] → states; the c of an LSTM begins at zero."""
        if self.cell == "gru":
            return tuple((h,) for h in hidden)
        return tuple((h, torch.zeros_like(h)) for h in hidden)

    def project(self, inputs: Tensor) -> Tensor:
        """Inputs [..., X] → the lowest layer's input gates W x + b, [..., G·H]; for all steps at once."""
        return F.linear(inputs, self._weight("weight_ih", 0), self._weight("bias_ih", 0))

    def forward(self, gates: Tensor, layers: Layers) -> Layers:
        """One step: input gates of the lowest layer [B, G·H] and states → the next states."""
        states: list[LayerState] = []
        for number, state in enumerate(layers):
            if number:
                below = self.dropout(states[-1][0])
                gates = F.linear(below, self._weight("weight_ih", number), self._weight("bias_ih", number))
            recurrent = F.linear(state[0], self._weight("weight_hh", number), self._weight("bias_hh", number))
            states.append(_STEPS[self.cell](gates, recurrent, state))
        return tuple(states)

    def sequence(self, inputs: Tensor, layers: Layers) -> Tensor:
        """All steps at once: inputs [B, T, X] and first states → the top layer's h, [B, T, H]."""
        parts = tuple(torch.stack(part) for part in zip(*layers, strict=True))  # each [L, B, H]
        tops: Tensor
        tops, _ = self.rnn(inputs, parts[0] if self.cell == "gru" else parts)
        return tops

    def _weight(self, name: str, layer: int) -> Tensor:
        weight: Tensor = getattr(self.rnn, f"{name}_l{layer}")
        return weight

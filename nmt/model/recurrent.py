"""The recurrent layers of the decoders: PyTorch's GRU and LSTM, run step by step or over a whole sequence.

Shapes: B batch, T length, H state size, X input size, G gates per cell (GRU 3, LSTM 4).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELLS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}
GATES = {"gru": 3, "lstm": 4}

LayerState = tuple[Tensor, ...]
"""One layer's state: (h,) for a GRU, (h, c) for an LSTM, each [B, H]; h is the output."""
Layers = tuple[LayerState, ...]
"""The states of all layers, bottom to top."""


def select_layers(layers: Layers, index: Tensor) -> Layers:
    """Select batch rows by index; rows may repeat."""
    return tuple(tuple(part.index_select(0, index) for part in layer) for layer in layers)


def gru_cell(inputs: Tensor, recurrent: Tensor, state: LayerState) -> LayerState:
    """A gated recurrent unit (Cho et al. 2014).

    r = σ(x_r + u_r);  z = σ(x_z + u_z);  n = tanh(x_n + r ∘ u_n);  h' = (1 − z) ∘ n + z ∘ h,
    with x = W x_t + b and u = U h + b' given. As in PyTorch, r is applied after the matrix product U h (Cho
    et al. apply it before), so that one matrix product computes all three gates.

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

    i, f, o = σ(x + u);  g = tanh(x + u), each on its own chunk;  c' = f ∘ c + i ∘ g;  h' = o ∘ tanh(c').

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
    """Stacked recurrent layers with dropout between them.

    The weights are those of `torch.nn.GRU` or `torch.nn.LSTM`. `sequence` calls that module; `forward`
    is one step of it, with the input of the lowest layer given as gate inputs: the output of `project`
    plus any other input.
    """

    def __init__(self, cell: str, input_size: int, size: int, layers: int, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.rnn = CELLS[cell](input_size, size, layers, dropout=between, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.cell = cell

    def start(self, hidden: tuple[Tensor, ...]) -> Layers:
        """Initial h of each layer, L tensors [B, H] → states; the c of an LSTM starts at zero."""
        if self.cell == "gru":
            return tuple((h,) for h in hidden)
        return tuple((h, torch.zeros_like(h)) for h in hidden)

    def project(self, inputs: Tensor) -> Tensor:
        """Inputs [..., X] → gate inputs W x + b of the lowest layer, [..., G·H]; for any number of steps."""
        return F.linear(inputs, self._weight("weight_ih", 0), self._weight("bias_ih", 0))

    def forward(self, gates: Tensor, layers: Layers) -> Layers:
        """One step: gate inputs of the lowest layer [B, G·H] and states → the next states."""
        states: list[LayerState] = []
        for number, state in enumerate(layers):
            if number:
                below = self.dropout(states[-1][0])
                gates = F.linear(below, self._weight("weight_ih", number), self._weight("bias_ih", number))
            recurrent = F.linear(state[0], self._weight("weight_hh", number), self._weight("bias_hh", number))
            states.append(_STEPS[self.cell](gates, recurrent, state))
        return tuple(states)

    def sequence(self, inputs: Tensor, layers: Layers) -> Tensor:
        """All steps at once: inputs [B, T, X] and initial states → h of the top layer, [B, T, H]."""
        parts = tuple(torch.stack(part) for part in zip(*layers, strict=True))  # each [L, B, H]
        tops: Tensor
        tops, _ = self.rnn(inputs, parts[0] if self.cell == "gru" else parts)
        return tops

    def _weight(self, name: str, layer: int) -> Tensor:
        weight: Tensor = getattr(self.rnn, f"{name}_l{layer}")
        return weight

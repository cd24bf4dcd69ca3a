"""Recurrent layers: PyTorch's GRU and LSTM and the GRU of Cho et al. 2014, run step by step or over an entire
sequence.

Shapes: B batch, T length, H state size, X input size, G gates per cell (GRU 3, LSTM 4).
"""

import torch
from torch import Tensor, nn

from nmt.model.dropout import Dropout
from nmt.model.linear import linear
from nmt.model.loops.gru_sequence import gru_layers

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


def gru_reset_before_cell(inputs: Tensor, state: LayerState, weight: Tensor) -> LayerState:
    """A gated recurrent unit as in the papers (Cho et al. 2014, eq. 5 to 8; Bahdanau et al. 2015, appendix
    A.1.1): the reset gate is applied before the recurrent matrix.

    r = σ(x_r + U_r h);  z = σ(x_z + U_z h);  n = tanh(x_n + U (r ∘ h));  h' = (1 − z) ∘ h + z ∘ n,
    with x = W x_t + b given. z weighs the new state (Bahdanau et al.; in Cho et al. and in PyTorch the old).

    Args:
        inputs: x, [B, 3H].
        state: (h,).
        weight: U_r, U_z and U, [3H, H].
    """
    (h,) = state
    gates = 2 * h.shape[-1]  # rows of r and z
    reset, update = (inputs[:, :gates] + linear(h, weight[:gates])).sigmoid().chunk(2, dim=-1)
    new = (inputs[:, gates:] + linear(reset * h, weight[gates:])).tanh()
    return (torch.lerp(h.to(new.dtype), new, update),)


class ResetBeforeGRU(nn.Module):
    """Layers of `gru_reset_before_cell`, with the arguments and the parameter names of `torch.nn.GRU`.

    There is one bias for each gate, `bias_ih`: the papers have one, and `bias_hh` would only add to it.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
        batch_first: bool = True,
    ) -> None:
        super().__init__()
        assert batch_first
        self.hidden_size, self.num_layers = hidden_size, num_layers
        self.directions = ("", "_reverse") if bidirectional else ("",)
        self.dropout = Dropout(dropout)
        for layer in range(num_layers):
            width = hidden_size * len(self.directions) if layer else input_size
            for direction in self.directions:
                for name, shape in (("weight_ih", (width,)), ("weight_hh", (hidden_size,)), ("bias_ih", ())):
                    values = torch.empty(3 * hidden_size, *shape).uniform_(-0.1, 0.1)
                    self.register_parameter(f"{name}_l{layer}{direction}", nn.Parameter(values))

    def forward(
        self, inputs: Tensor, state: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """All steps.

        Args:
            inputs: [B, T, X].
            state: initial states, [L·D, B, H], for D directions; None: zeros.
            mask: True at real tokens, [B, T], which precede the padding; None: all are real.

        Returns:
            outputs of the top layer [B, T, D·H], zero on padding, and the final states [L·D, B, H]: the
            forward direction's at the last real token, the backward direction's at the first.
        """
        finals: list[Tensor] = []
        for layer in range(self.num_layers):
            inputs = self.dropout(inputs) if layer else inputs
            outputs = []
            for direction in self.directions:
                first = None if state is None else state[len(finals)]
                output, final = self._run(inputs, first, mask, f"_l{layer}{direction}")
                outputs.append(output)
                finals.append(final)
            inputs = torch.cat(outputs, dim=-1)
        return inputs, torch.stack(finals)

    def _run(
        self, inputs: Tensor, h: Tensor | None, mask: Tensor | None, suffix: str
    ) -> tuple[Tensor, Tensor]:
        """One layer in one direction: [B, T, X] and the initial state [B, H] → [B, T, H], [B, H]."""
        weight_ih, weight_hh, bias = (
            self.get_parameter(name + suffix) for name in ("weight_ih", "weight_hh", "bias_ih")
        )
        gates = linear(inputs, weight_ih, bias)  # [B, T, 3H]
        h = gates.new_zeros((len(gates), self.hidden_size)) if h is None else h
        steps = list(range(gates.shape[1]))
        if suffix.endswith("_reverse"):
            steps.reverse()
        outputs: dict[int, Tensor] = {}
        for t in steps:
            (new,) = gru_reset_before_cell(gates[:, t], (h,), weight_hh)
            outputs[t] = h = new if mask is None else torch.where(mask[:, t, None], new, h)
        stacked = torch.stack([outputs[t] for t in range(len(steps))], dim=1)
        return stacked if mask is None else stacked * mask.unsqueeze(-1), h


Recurrent = nn.GRU | nn.LSTM | ResetBeforeGRU
CELLS: dict[str, type[Recurrent]] = {"gru": nn.GRU, "lstm": nn.LSTM, "gru_reset_before": ResetBeforeGRU}
GATES = {"gru": 3, "lstm": 4, "gru_reset_before": 3}


class RecurrentStack(nn.Module):
    """Stacked recurrent layers with dropout between them.

    The weights are those of a module of `CELLS`. `sequence` calls that module; `forward` is one step of
    it, with the input of the lowest layer given as gate inputs: the output of `project` plus any other
    input.
    """

    def __init__(self, cell: str, input_size: int, size: int, layers: int, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.rnn: Recurrent = CELLS[cell](input_size, size, layers, dropout=between, batch_first=True)
        self.dropout = Dropout(dropout)
        self.cell = cell

    def loop_weights(self) -> tuple[Tensor, Tensor] | None:
        """The recurrent weight and its bias, of a single layer of PyTorch's GRU, for a hand-written loop
        (`nmt.model.loops`); None: it is something else.
        """
        single_gru = isinstance(self.rnn, nn.GRU) and self.rnn.num_layers == 1
        return (self._weight("weight_hh", 0), self._weight("bias_hh", 0)) if single_gru else None

    def start(self, hidden: tuple[Tensor, ...]) -> Layers:
        """Initial h of each layer, L tensors [B, H] → states; the c of an LSTM starts at zero."""
        if self.cell == "lstm":
            return tuple((h, torch.zeros_like(h)) for h in hidden)
        return tuple((h,) for h in hidden)

    def project(self, inputs: Tensor) -> Tensor:
        """Inputs [..., X] → gate inputs W x + b of the lowest layer, [..., G·H]; for any number of steps."""
        return linear(inputs, self._weight("weight_ih", 0), self._weight("bias_ih", 0))

    def forward(self, gates: Tensor, layers: Layers) -> Layers:
        """One step: gate inputs of the lowest layer [B, G·H] and states → the next states."""
        states: list[LayerState] = []
        for number, state in enumerate(layers):
            if number:
                below = self.dropout(states[-1][0])
                gates = linear(below, self._weight("weight_ih", number), self._weight("bias_ih", number))
            states.append(self._step(gates, state, number))
        return tuple(states)

    def sequence(self, inputs: Tensor, layers: Layers) -> Tensor:
        """All steps at once: inputs [B, T, X] and initial states → h of the top layer, [B, T, H]."""
        parts = tuple(torch.stack(part) for part in zip(*layers, strict=True))  # each [L, B, H]
        if isinstance(self.rnn, nn.GRU) and inputs.device.type == "cpu":
            B, T, _ = inputs.shape
            packed, _ = gru_layers(self.rnn, inputs.transpose(0, 1).flatten(0, 1), [B] * T, parts[0])
            return packed.view(T, B, -1).transpose(0, 1)
        hidden_states: Tensor
        hidden_states, _ = self.rnn(inputs, parts if self.cell == "lstm" else parts[0])
        return hidden_states

    def _step(self, gates: Tensor, state: LayerState, layer: int) -> LayerState:
        weight = self._weight("weight_hh", layer)
        if self.cell == "gru_reset_before":
            return gru_reset_before_cell(gates, state, weight)
        recurrent = linear(state[0], weight, self._weight("bias_hh", layer))
        return (
            lstm_cell(gates, recurrent, state) if self.cell == "lstm" else gru_cell(gates, recurrent, state)
        )

    def _weight(self, name: str, layer: int) -> Tensor:
        weight: Tensor = getattr(self.rnn, f"{name}_l{layer}")
        return weight

"""The recurrent cell of the decoders, with what does not depend on the recurrence split off.

Shapes: B batch, H size of a state, X size of an input.
"""

import torch
from torch import Tensor, nn


class GRUCell(nn.Module):
    """A gated recurrent unit (Cho et al. 2014) whose input part is computed apart.

    r = σ(x_r + U_r h);  z = σ(x_z + U_z h);  n = tanh(x_n + r ∘ (U_n h + b_n));
    h' = (1 − z) ∘ n + z ∘ h,   with [x_r x_z x_n] = W x + b given as `gates`.

    As in PyTorch, r multiplies U_n h after the product (Cho et al. multiply before it), so that one
    matrix product serves all three gates.
    """

    def __init__(self, input_size: int, size: int) -> None:
        super().__init__()
        self.input = nn.Linear(input_size, 3 * size)
        self.hidden = nn.Linear(size, 3 * size)

    def project(self, inputs: Tensor) -> Tensor:
        """Inputs [..., X] → their part of the gates, [..., 3H]; for all time steps at once."""
        gates: Tensor = self.input(inputs)
        return gates

    def forward(self, gates: Tensor, hidden: Tensor) -> Tensor:
        """One step: input part of the gates [B, 3H] and state [B, H] → next state [B, H]."""
        reset_in, update_in, new_in = gates.chunk(3, dim=-1)
        reset_h, update_h, new_h = self.hidden(hidden).chunk(3, dim=-1)
        reset = (reset_in + reset_h).sigmoid()
        update = (update_in + update_h).sigmoid()
        new = (new_in + reset * new_h).tanh()
        return torch.lerp(new, hidden, update)


class RecurrentStack(nn.Module):
    """Recurrent layers, each reading the one below it, with dropout between them.

    The lowest layer's input part is given by the caller (`project`, plus whatever else feeds it).
    """

    def __init__(self, input_size: int, size: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.lowest = GRUCell(input_size, size)
        self.upper = nn.ModuleList(GRUCell(size, size) for _ in range(layers - 1))
        self.dropout = nn.Dropout(dropout)

    def project(self, inputs: Tensor) -> Tensor:
        """Inputs [..., X] → the lowest layer's input gates, [..., 3H]."""
        return self.lowest.project(inputs)

    def forward(self, gates: Tensor, hidden: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """One step: input gates [B, 3H] and a state [B, H] per layer → the next states."""
        states: list[Tensor] = [self.lowest(gates, hidden[0])]
        for cell, previous in zip(self.upper, hidden[1:], strict=True):
            assert isinstance(cell, GRUCell)
            states.append(cell(cell.project(self.dropout(states[-1])), previous))
        return tuple(states)

"""Recurrent layers as the operators GRU and LSTM of ONNX, which know the length of each row: the backward
direction starts at the last real token, and padding has no effect.

Shapes: B batch, S source length, X input size, H state size, D directions, G gates per cell.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nmt.model.cells import Recurrent, ResetBeforeGRU
from nmt.model.encoders.recurrent import RecurrentEncoder

VERSION = 20  # of the operator set


class Weights(NamedTuple):
    """The weights of a layer in ONNX's order; D directions each.

    Attributes:
        inputs: W, [D, G·H, X].
        recurrent: R, [D, G·H, H].
        biases: of both, [D, 2·G·H].
    """

    inputs: Tensor
    recurrent: Tensor
    biases: Tensor


class OperatorEncoder(RecurrentEncoder):
    """A recurrent encoder that is exported as one operator per layer. It does not run in PyTorch.

    Args:
        encoder: whose weights it has.
    """

    def __init__(self, encoder: RecurrentEncoder) -> None:
        nn.Module.__init__(self)
        self.rnn, self.directions, self.reverse = encoder.rnn, encoder.directions, encoder.reverse
        for layer in range(self.rnn.num_layers):
            for name, weight in layer_weights(self.rnn, layer, self.directions)._asdict().items():
                self.register_buffer(f"{name}_{layer}", weight)

    def _run(
        self, embedded: Tensor, mask: Tensor, lengths: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """As in the base class."""
        counts = mask.sum(dim=1).to(torch.int32)
        steps = embedded.transpose(0, 1)  # [S, B, X]
        finals = []
        for layer in range(self.rnn.num_layers):
            weights = Weights(*(self.get_buffer(f"{name}_{layer}") for name in Weights._fields))
            steps, *final = self._layer(steps, weights, counts)
            finals.append(final)
        return steps.transpose(0, 1), tuple(torch.cat(part) for part in zip(*finals, strict=True))

    def _layer(self, steps: Tensor, weights: Weights, counts: Tensor) -> tuple[Tensor, ...]:
        """[S, B, X] → states [S, B, D·H], zero on padding, and the final h (and c), [D, B, H] each."""
        S, B, _ = steps.shape
        D, _, H = weights.recurrent.shape
        lstm = isinstance(self.rnn, nn.LSTM)
        settings: dict[str, Any] = {
            "hidden_size": H, "direction": "bidirectional" if D > 1 else "forward"
        }  # fmt: skip
        if not lstm:
            settings["linear_before_reset"] = int(not isinstance(self.rnn, ResetBeforeGRU))
        kind = steps.dtype
        states, *final = torch.onnx.ops.symbolic_multi_out(
            "LSTM" if lstm else "GRU",
            (steps, *weights, counts),
            settings,
            dtypes=(kind, kind, kind)[: 2 + lstm],
            shapes=((S, D, B, H), (D, B, H), (D, B, H))[: 2 + lstm],
            version=VERSION,
        )
        return states.transpose(1, 2).flatten(2), *final


def layer_weights(rnn: Recurrent, layer: int, directions: int) -> Weights:
    """The weights of one layer in ONNX's order."""
    found = []
    for suffix in ("", "_reverse")[:directions]:
        named = {
            name: value.detach()
            for name, value in rnn.named_parameters()
            if name.endswith(f"_l{layer}{suffix}")
        }
        parts = {name.removesuffix(f"_l{layer}{suffix}"): value for name, value in named.items()}
        bias = parts["bias_ih"]
        parts.setdefault("bias_hh", torch.zeros_like(bias))
        ordered = {name: _reordered(rnn, value) for name, value in parts.items()}
        biases = torch.cat((ordered["bias_ih"], ordered["bias_hh"]))
        found.append(Weights(ordered["weight_ih"], ordered["weight_hh"], biases))
    return Weights(*(torch.stack(part) for part in zip(*found, strict=True)))


def _reordered(rnn: Recurrent, weight: Tensor) -> Tensor:
    """The gates of one matrix or bias, [G·H, …], from PyTorch's order to ONNX's: for a GRU update, reset,
    new; for an LSTM input, output, forget, new. The update gate of `ResetBeforeGRU` weighs the new state
    where ONNX's weighs the old: σ(−x) = 1 − σ(x).
    """
    if isinstance(rnn, nn.LSTM):
        in_gate, forget, new, out = weight.chunk(4)
        return torch.cat((in_gate, out, forget, new))
    reset, update, new = weight.chunk(3)
    return torch.cat((-update if isinstance(rnn, ResetBeforeGRU) else update, reset, new))

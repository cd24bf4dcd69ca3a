"""The bridge: the decoder's first state from what the encoder made.

Shapes: B batch, S source length, M encoder state size, H decoder state size, L decoder layers.
"""

from torch import Tensor, nn

from nmt.model.encoder import Encoded


class Bridge(nn.Module):
    """s_0 = tanh(W x + b), with x a summary of the source (Bahdanau et al. 2015, appendix A.2.2).

    The paper takes the backward state at the first word; `last` is that beside the forward state at
    the last word. `mean` is the average over the real tokens.
    """

    def __init__(self, kind: str, state_size: int, size: int, layers: int) -> None:
        super().__init__()
        self.kind = kind
        self.layers = layers
        self.project = nn.Linear(state_size, size * layers)

    def forward(self, encoded: Encoded) -> tuple[Tensor, ...]:
        """The first state of each decoder layer, L tensors [B, H]."""
        first: Tensor = self.project(self._summary(encoded)).tanh()
        return first.chunk(self.layers, dim=-1)

    def _summary(self, encoded: Encoded) -> Tensor:
        if self.kind == "last":
            return encoded.last
        real = encoded.mask.unsqueeze(-1).to(encoded.states.dtype)  # [B, S, 1]
        return (encoded.states * real).sum(dim=1) / real.sum(dim=1)

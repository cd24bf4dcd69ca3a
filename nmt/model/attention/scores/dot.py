"""The dot score (Luong et al. 2015)."""

from torch import Tensor

from nmt.config.model import AttentionConfig, ModelConfig
from nmt.model.attention.scores.score import LoopForm, Score, split_heads
from nmt.model.linear import matmul


class DotScore(Score):
    """score(s, h) = sᵀ h   (Luong et al. 2015, §3.1, dot)."""

    @staticmethod
    def conflicts(model: ModelConfig) -> list[str]:
        """Query and state are compared as they are."""
        encoder, decoder = model.encoder.size, model.decoder.size
        if encoder == decoder:
            return []
        return [
            "model.attention.score=dot: needs model.encoder.size and model.decoder.size to be equal, "
            f"not {encoder} and {decoder}"
        ]

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__(query_size, state_size, config)
        assert query_size == state_size, "the configuration check rejects this"
        self.heads, self.key_size = config.heads, query_size // config.heads

    def prepare(self, states: Tensor) -> Tensor:
        """The states are the keys: [B, S, M] → [B, K, S, D]."""
        return split_heads(states, self.heads)

    def loop_form(self) -> LoopForm:
        """As in `Score`."""
        return LoopForm(None, None)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, K, S, D] → scores [B, K, T, S]."""
        return matmul(split_heads(query, self.heads), keys.transpose(-1, -2))

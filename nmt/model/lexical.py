"""The lexical model: predicts a target word from the attended source words alone, without context.

Shapes: B batch, S source length, T target length, K heads, N real target tokens in the batch, E size of a
source embedding, F size of the features that the output projection projects, V target vocabulary.
"""

from torch import Tensor, nn

from nmt.model.linear import Linear, matmul
from nmt.model.positions import TargetPositions


class LexicalModel(nn.Module):
    """Logits for the next token from the embeddings of the attended source tokens alone (Nguyen and Chiang
    2018, §4).

    f_t = tanh(Σ_j α_tj E x_j);   g_t = tanh(W f_t + b) + f_t;   logits_t = (the decoder's) + V g_t.

    A rare word occurs in too few sentences to be learned through the recurrent layers; here only two
    matrices lie between it and its translation. α_t is averaged over the heads.

    Tied, V is the decoder's own output projection: g is added to the features that it projects, and both
    cost one product.

    Args:
        embedding_size: E.
        vocabulary: V.
        tied_to: the size of the features that the output projection projects; None: not tied.
    """

    def __init__(self, embedding_size: int, vocabulary: int, tied_to: int | None = None) -> None:
        super().__init__()
        self.hidden = Linear(embedding_size, embedding_size)  # W
        self.output = Linear(embedding_size, vocabulary, bias=False) if tied_to is None else None  # V
        self.resize: nn.Module = nn.Identity()
        if tied_to is not None and tied_to != embedding_size:
            self.resize = Linear(embedding_size, tied_to, bias=False)

    def forward(
        self, weights: Tensor, embeddings: Tensor, positions: TargetPositions | None = None
    ) -> Tensor:
        """The features g whose product with V is added to the logits; tied, resized to the size of the
        decoder's features if that differs.

        Args:
            weights: α, [B, K, T, S].
            embeddings: E x, [B, S, E].
            positions: the real target tokens; None: all tokens are real.

        Returns:
            [N, E], tied [N, F]
        """
        averages = matmul(weights.mean(dim=1) if weights.shape[1] > 1 else weights.squeeze(1), embeddings)
        found = averages.flatten(0, 1) if positions is None else positions.select(averages)  # [N, E]
        found = found.tanh()
        hidden: Tensor = self.hidden(found)
        features: Tensor = self.resize(hidden.tanh() + found)
        return features

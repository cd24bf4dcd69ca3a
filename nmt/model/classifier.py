"""A classifier of sentences: embedding, encoder, pooling, and a linear map.

Shapes: B batch, S source length, C classes.
"""

from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.model.embedding import TokenEmbedding
from nmt.model.encoders.encoded import Encoded
from nmt.model.pooling import PoolingHead
from nmt.model.translation import ENCODERS


class SentenceClassifier(nn.Module):
    """The class of a sentence, from its states pooled into one vector.

    Args:
        config: the encoder, and the pooling: `config.bridge`, but not "copy".
        vocabulary: number of source tokens.
        padding: index of the padding token.
        classes: C.
    """

    def __init__(self, config: ModelConfig, vocabulary: int, padding: int, classes: int) -> None:
        super().__init__()
        self.source = TokenEmbedding(vocabulary, config.encoder.embedding, padding, 0.0, 0.0)
        self.encoder = ENCODERS[config.encoder.type](config, 0.0)
        self.head = PoolingHead(config.bridge, config.encoder.size, classes)

    def encode(self, source: Tensor, mask: Tensor) -> Encoded:
        """Tokens [B, S] and their mask → their states."""
        encoded: Encoded = self.encoder(self.source(source), mask)
        return encoded

    def forward(self, source: Tensor, mask: Tensor) -> Tensor:
        """The logits of the classes.

        Args:
            source: tokens, [B, S].
            mask: True at real tokens, [B, S].

        Returns:
            [B, C].
        """
        logits: Tensor = self.head(self.encode(source, mask))
        return logits

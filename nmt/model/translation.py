"""The whole model: encoder, bridge, attention decoder, and the projection onto the target vocabulary.

Shapes: B batch, S source length, T target length, N real target tokens in the batch, V vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.model.bridge import Bridge
from nmt.model.decoder import DECODERS, Decoder, Memory, State
from nmt.model.encoder import RecurrentEncoder


class TiedProjection(nn.Module):
    """Features → logits by the embeddings themselves: E P x + b (Press and Wolf 2017).

    P brings features to the size of an embedding; without need it is left out. The embeddings are given
    with each call, not kept here: there is one copy of them in the model.
    """

    def __init__(self, feature_size: int, embedding: nn.Embedding) -> None:
        super().__init__()
        size = embedding.embedding_dim
        self.resize = nn.Identity() if size == feature_size else nn.Linear(feature_size, size, bias=False)
        self.bias = nn.Parameter(torch.zeros(embedding.num_embeddings))

    def forward(self, features: Tensor, embeddings: Tensor) -> Tensor:
        """[N, F] and [V, E] → logits [N, V]."""
        return F.linear(self.resize(features), embeddings, self.bias)


class TranslationModel(nn.Module):
    """p(target | source), one target token after the other (Bahdanau et al. 2015, eq. 2 and 4).

    Args:
        config: sizes and kinds of the parts.
        source_vocabulary: number of source pieces.
        target_vocabulary: number of target pieces.
        padding: index of the padding token in both.
    """

    def __init__(
        self, config: ModelConfig, source_vocabulary: int, target_vocabulary: int, padding: int
    ) -> None:
        super().__init__()
        decoder = config.decoder
        self.encoder = RecurrentEncoder(source_vocabulary, padding, config.encoder, config.dropout)
        self.bridge = Bridge(config.bridge, config.encoder.size, decoder.size, decoder.layers)
        self.embedding = nn.Embedding(target_vocabulary, decoder.embedding, padding_idx=padding)
        self.dropout = nn.Dropout(config.dropout)
        self.decoder: Decoder = DECODERS[decoder.style](
            config.encoder.size, decoder, config.attention, config.dropout
        )
        features = self.decoder.feature_size
        self.tied = TiedProjection(features, self.embedding) if decoder.tie_embeddings else None
        self.vocabulary = None if decoder.tie_embeddings else nn.Linear(features, target_vocabulary)

    def encode(self, source: Tensor, mask: Tensor) -> tuple[State, Memory]:
        """Read the source.

        Args:
            source: tokens, [B, S].
            mask: True at real tokens, [B, S].

        Returns:
            the decoder's first state and its memory of the source.
        """
        encoded = self.encoder(source, mask)
        memory = self.decoder.prepare(encoded.states, encoded.mask)
        return self.decoder.init_state(self.bridge(encoded)), memory

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State, Tensor]:
        """One step of decoding.

        Args:
            tokens: the previous target tokens, [B].
            state: after the step before.
            memory: of the source.

        Returns:
            log-probabilities of the next token [B, V] in float32, the next state, weights [B, S].
        """
        embedded = self.dropout(self.embedding(tokens))
        features, state, weights = self.decoder.step(embedded, state, memory)
        return self._logits(features).float().log_softmax(dim=-1), state, weights

    def forward(
        self, source: Tensor, source_mask: Tensor, previous: Tensor, target_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Teacher forcing: the logits of every next token, given the true ones before it.

        Args:
            source: tokens, [B, S].
            source_mask: True at real tokens, [B, S].
            previous: the target shifted right (begin-of-sentence first), [B, T].
            target_mask: True at real tokens, [B, T].

        Returns:
            logits at the real target tokens [N, V] (row by row of the batch), and weights [B, T, S].
        """
        state, memory = self.encode(source, source_mask)
        embedded = self.dropout(self.embedding(previous))  # [B, T, E]
        features, weights = self.decoder(embedded, target_mask, state, memory)
        return self._logits(features), weights

    def _logits(self, features: Tensor) -> Tensor:
        """[N, F] → [N, V]."""
        if self.tied is not None:
            logits: Tensor = self.tied(features, self.embedding.weight)
        else:
            assert self.vocabulary is not None
            logits = self.vocabulary(features)
        return logits

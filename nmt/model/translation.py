"""The full model: embeddings, encoder, decoder, and output projection.

Shapes: B batch, S source length, T target length, K heads, N real target tokens in the batch, E size of a
source embedding, V vocabulary.
"""

from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.model.decoders.bahdanau import BahdanauDecoder
from nmt.model.decoders.decoder import Decoder, MemoryT, Selectable, StateT
from nmt.model.decoders.luong import LuongDecoder
from nmt.model.decoders.transformer import TransformerDecoder
from nmt.model.decoders.vector import VectorDecoder
from nmt.model.embedding import TokenEmbedding
from nmt.model.encoders.convolutional import ConvolutionalEncoder
from nmt.model.encoders.recurrent import RecurrentEncoder
from nmt.model.encoders.self_attention import SelfAttentionEncoder
from nmt.model.lexical import LexicalModel
from nmt.model.linear import Linear
from nmt.model.logits import Logits
from nmt.model.mode import check_evaluating
from nmt.model.positions import TargetPositions

Encoder = RecurrentEncoder | ConvolutionalEncoder | SelfAttentionEncoder
DecoderClass = Callable[[ModelConfig, float], Decoder[Selectable, Selectable]]
"""Builds a decoder from the settings and the dropout probability."""


def _any_decoder(kind: Callable[[ModelConfig, float], Decoder[StateT, MemoryT]]) -> DecoderClass:
    """A decoder whose state and memory are of any types: `TranslationModel` only passes them back to it."""
    return cast(DecoderClass, kind)


ENCODERS: dict[str, type[Encoder]] = {
    "recurrent": RecurrentEncoder,
    "convolutional": ConvolutionalEncoder,
    "self_attention": SelfAttentionEncoder,
}
DECODERS: dict[str, DecoderClass] = {
    "bahdanau": _any_decoder(BahdanauDecoder),
    "luong": _any_decoder(LuongDecoder),
    "vector": _any_decoder(VectorDecoder),
    "transformer": _any_decoder(TransformerDecoder),
}


class TiedProjection(nn.Module):
    """Features → logits with tied target embeddings: E P x + b (Press and Wolf 2017); b is optional.

    P projects features to the embedding size; it is omitted if the sizes are equal. The embeddings are
    passed with each call and not stored here, so that the model has a single copy of them.
    """

    def __init__(self, feature_size: int, embedding: nn.Embedding, bias: bool) -> None:
        super().__init__()
        size = embedding.embedding_dim
        self.resize = nn.Identity() if size == feature_size else Linear(feature_size, size, bias=False)
        self.bias = nn.Parameter(torch.zeros(embedding.num_embeddings)) if bias else None

    def forward(self, features: Tensor, embeddings: Tensor) -> Logits:
        """[N, F] and [V, E] → logits."""
        return Logits((self.resize(features),), (embeddings,), self.bias)


class Source(NamedTuple):
    """The encoded source, as used in decoding.

    Attributes:
        memory: the decoder's memory.
        embeddings: [B, S, E], for the lexical model; None if there is none.
    """

    memory: Selectable
    embeddings: Tensor | None

    def select(self, index: Tensor) -> "Source":
        """Select batch rows by index; rows may repeat."""
        embeddings = None if self.embeddings is None else self.embeddings.index_select(0, index)
        return Source(self.memory.select(index), embeddings)


class DropoutRates(NamedTuple):
    """Dropout probabilities; they are training settings, not part of the model configuration.

    Attributes:
        units: of features, and between layers.
        embeddings: of single units of an embedding.
        words: of a token's entire embedding.
    """

    units: float = 0.0
    embeddings: float = 0.0
    words: float = 0.0


NO_DROPOUT = DropoutRates()


class TranslationModel(nn.Module):
    """p(target | source), autoregressive in the target tokens (Bahdanau et al. 2015, eq. 2 and 4).

    Args:
        config: architecture and sizes.
        source_vocabulary: source vocabulary size, in subwords.
        target_vocabulary: target vocabulary size, in subwords.
        padding: index of the padding token in both.
        dropout: dropout probabilities in training.
    """

    def __init__(
        self,
        config: ModelConfig,
        source_vocabulary: int,
        target_vocabulary: int,
        padding: int,
        dropout: DropoutRates = NO_DROPOUT,
    ) -> None:
        super().__init__()
        encoder, decoder = config.encoder, config.decoder
        self.source = TokenEmbedding(source_vocabulary, encoder.embedding, padding, *dropout[1:])
        self.encoder: Encoder = ENCODERS[encoder.type](config, dropout.units)
        self.target = TokenEmbedding(target_vocabulary, decoder.embedding, padding, *dropout[1:])
        self.decoder = DECODERS[decoder.style](config, dropout.units)
        features, tie, bias = self.decoder.feature_size, decoder.tie_embeddings, decoder.bias
        self.tied = TiedProjection(features, self.target.table, bias) if tie else None
        projected = decoder.embedding if tie else features
        tied_to = projected if decoder.tie_lexical else None
        self.lexical = (
            LexicalModel(encoder.embedding, target_vocabulary, tied_to) if decoder.lexical else None
        )
        self.vocabulary = None if tie else Linear(features, target_vocabulary, bias=bias)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

    @property
    def heads(self) -> int:
        """The number of attention heads; 0 without attention."""
        return self.decoder.heads

    def encode(self, source: Tensor, mask: Tensor) -> tuple[Selectable, Source]:
        """Encode the source, for decoding step by step.

        Args:
            source: tokens, [B, S].
            mask: True at real tokens, [B, S].

        Returns:
            the decoder's initial state, and the encoded source.

        Raises:
            RuntimeError: in training mode.
        """
        check_evaluating(self)
        return self._encode(source, mask)

    def _encode(
        self, source: Tensor, mask: Tensor, lengths: Tensor | None = None
    ) -> tuple[Selectable, Source]:
        embedded = self.source(source)
        encoded = self.encoder(embedded, mask, lengths)
        kept = Source(self.decoder.prepare(encoded), None if self.lexical is None else embedded)
        return self.decoder.init_state(encoded), kept

    def step(self, tokens: Tensor, state: Selectable, source: Source) -> tuple[Tensor, Selectable, Tensor]:
        """One step of decoding.

        Args:
            tokens: the previous target tokens, [B].
            state: after the previous step.
            source: from `encode`.

        Returns:
            log-probabilities of the next token [B, V] in float32, the next state, weights [B, K, S].
        """
        logits, state, weights = self._step(tokens, state, source)
        return logits.float().log_softmax(dim=-1), state, weights

    def score(
        self, source: Tensor, source_mask: Tensor, previous: Tensor, target: Tensor, target_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Forced decoding: the log-probability of every target token, given those before it.

        Args:
            source, source_mask, previous, target_mask: as for `forward`.
            target: tokens, [B, T].

        Returns:
            log-probabilities [B, T] in float32, 0 on padding, and weights [B, K, T, S].

        Raises:
            RuntimeError: in training mode.
        """
        check_evaluating(self)
        logits, weights = self(source, source_mask, previous, target_mask)
        scores = logits.float().log_softmax(dim=-1).gather(1, target[target_mask].unsqueeze(1))
        return scores.new_zeros(target.shape).masked_scatter(target_mask, scores), weights

    def forward(
        self,
        source: Tensor,
        source_mask: Tensor,
        previous: Tensor,
        target_mask: Tensor | TargetPositions,
        teacher_forcing_ratio: float = 1.0,
        source_lengths: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Teacher forcing: the logits of every target token, given the reference tokens before it.

        Args:
            source: tokens, [B, S].
            source_mask: True at real tokens, [B, S].
            previous: the target shifted right (begin-of-sentence first), [B, T].
            target_mask: the real target tokens: a mask [B, T] or indices.
            teacher_forcing_ratio: below 1: scheduled sampling (see `scheduled_sampling`).
            source_lengths: number of real source tokens, [B] on the CPU; None: counted from the mask.

        Returns:
            logits at the real target tokens [N, V] (with a mask in row-major order, else in the order of the
            indices), and weights [B, K, T, S].
        """
        positions = TargetPositions.of(target_mask) if isinstance(target_mask, Tensor) else target_mask
        if teacher_forcing_ratio < 1:
            state, kept = self._encode(source, source_mask, source_lengths)
            return self.scheduled_sampling(state, kept, previous, positions, teacher_forcing_ratio)
        logits, weights = self.teacher_forcing(source, source_mask, previous, positions, source_lengths)
        return logits.dense(), weights

    def teacher_forcing(
        self,
        source: Tensor,
        source_mask: Tensor,
        previous: Tensor,
        positions: TargetPositions,
        source_lengths: Tensor | None = None,
    ) -> tuple[Logits, Tensor]:
        """As `forward` with a teacher-forcing ratio of 1; the logits are not computed yet."""
        embedded = self.source(source)
        encoded = self.encoder(embedded, source_mask, source_lengths)
        features, weights = self.decoder(
            self.target(previous), positions, self.decoder.init_state(encoded), encoded
        )
        return self._logits(features, weights, embedded, positions), weights

    def scheduled_sampling(
        self,
        state: Selectable,
        source: Source,
        previous: Tensor,
        positions: TargetPositions,
        teacher_forcing_ratio: float,
    ) -> tuple[Tensor, Tensor]:
        """Scheduled sampling (Bengio et al. 2015, §2.4): at each step and in each row, the decoder input is
        the reference token with probability `teacher_forcing_ratio`, otherwise the model's most probable
        token.

        No gradient flows through the choice of the token. The state and the source are those of `encode`;
        other arguments and result as for `forward`.
        """
        tokens = previous[:, 0]
        all_logits: list[Tensor] = []
        rows: list[Tensor] = []
        for t in range(previous.shape[1]):
            if t:
                believed = torch.rand(tokens.shape, device=tokens.device) < teacher_forcing_ratio
                tokens = torch.where(believed, previous[:, t], all_logits[-1].detach().argmax(dim=-1))
            logits, state, weights = self._step(tokens, state, source)
            all_logits.append(logits)
            rows.append(weights)
        return positions.select(torch.stack(all_logits, dim=1)), torch.stack(rows, dim=2)

    def _step(self, tokens: Tensor, state: Selectable, source: Source) -> tuple[Tensor, Selectable, Tensor]:
        features, state, weights = self.decoder.step(self.target(tokens), state, source.memory)
        logits = self._logits(features, weights.unsqueeze(2), source.embeddings)
        return logits.dense(), state, weights

    def _logits(
        self,
        features: Tensor,
        weights: Tensor,
        source: Tensor | None,
        positions: TargetPositions | None = None,
    ) -> Logits:
        """Features [N, F], weights [B, K, T, S] and, for the lexical model, the source embeddings [B, S, E] →
        logits of the target tokens at these positions (None: all).
        """
        if self.tied is not None:
            logits: Logits = self.tied(features, self.target.table.weight)
        else:
            assert self.vocabulary is not None
            logits = Logits((features,), (self.vocabulary.weight,), self.vocabulary.bias)
        if self.lexical is None:
            return logits
        assert source is not None
        found = self.lexical(weights, source, positions)
        if self.lexical.output is None:
            return logits._replace(features=(logits.features[0] + found,))
        return Logits((*logits.features, found), (*logits.weights, self.lexical.output.weight), logits.bias)

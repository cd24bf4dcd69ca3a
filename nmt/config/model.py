"""Settings of the model: encoder, attention, decoder, and what joins them."""

from dataclasses import dataclass, field

from nmt.config.schema import Condition, option

_RECURRENT: Condition = {"model.encoder.type": ("recurrent",)}
_CONVOLUTIONAL: Condition = {"model.encoder.type": ("convolutional",)}
_SELF_ATTENTION: Condition = {"model.encoder.type": ("self_attention",)}
_ATTENTION: Condition = {"model.decoder.style": ("bahdanau", "luong")}
_TRANSFORMER: Condition = {"model.decoder.style": ("transformer",)}
_RECURRENT_DECODER: Condition = {"model.decoder.style": ("bahdanau", "luong", "vector")}


@dataclass
class EncoderConfig:
    """Source tokens → states."""

    type: str = option(
        "recurrent", "how tokens are read", choices=("recurrent", "convolutional", "self_attention")
    )
    layers: int = option(1, "stacked layers", at_least=1)
    size: int = option(512, "units of a state (both directions together)", at_least=2)
    embedding: int = option(512, "units of a source embedding", at_least=1)
    cell: str = option("gru", "recurrent: the cell", choices=("gru", "lstm"), used_if=_RECURRENT)
    bidirectional: bool = option(True, "recurrent: read the sentence from both ends", used_if=_RECURRENT)
    kernel: int = option(3, "convolutional: tokens a convolution sees", at_least=1, used_if=_CONVOLUTIONAL)
    positions: int = option(
        512,
        "convolutional, self_attention: positions told apart; later tokens share the last",
        at_least=1,
        unused_if=_RECURRENT,
    )
    heads: int = option(8, "self_attention: heads", at_least=1, used_if=_SELF_ATTENTION)
    feedforward: int = option(
        2048,
        "self_attention: hidden units of the feed-forward part",
        at_least=1,
        used_if=_SELF_ATTENTION,
    )


@dataclass
class AttentionConfig:
    """Query and states → weights over the source tokens."""

    score: str = option(
        "additive",
        "how well query and state match",
        choices=("additive", "concat", "dot", "general", "scaled_dot", "cosine", "gaussian", "location"),
        used_if=_ATTENTION,
    )
    span: str = option(
        "global",
        "which source tokens may count",
        choices=("global", "local_m", "local_p", "hard"),
        used_if=_ATTENTION,
    )
    heads: int = option(
        1, "attentions side by side, each on a slice of the units", at_least=1, used_if=_ATTENTION
    )
    coverage: bool = option(False, "what a token has received before enters its score", used_if=_ATTENTION)
    size: int = option(
        256,
        "additive, concat: units of the hidden layer",
        at_least=1,
        used_if={**_ATTENTION, "model.attention.score": ("additive", "concat")},
    )
    positions: int = option(
        512,
        "location: positions with a score; later ones are never seen",
        at_least=1,
        used_if={**_ATTENTION, "model.attention.score": ("location",)},
    )
    window: int = option(
        10,
        "local_m, local_p: tokens seen on each side of the centre",
        at_least=1,
        used_if={**_ATTENTION, "model.attention.span": ("local_m", "local_p")},
    )


@dataclass
class DecoderConfig:
    """Target tokens so far and attention → features of the next token."""

    style: str = option(
        "bahdanau",
        "attention before (bahdanau) or after (luong) the recurrence, none (vector), or transformer",
        choices=("bahdanau", "luong", "vector", "transformer"),
    )
    cell: str = option("gru", "recurrent cell", choices=("gru", "lstm"), used_if=_RECURRENT_DECODER)
    layers: int = option(1, "stacked layers", at_least=1)
    size: int = option(512, "units of a state", at_least=1)
    embedding: int = option(512, "units of a target embedding", at_least=1)
    tie_embeddings: bool = option(True, "the target embeddings are the output projection as well")
    lexical: bool = option(
        False,
        "the attended source embeddings vote for the next token on their own",
        unused_if={"model.decoder.style": ("vector",)},
    )
    input_feeding: bool = option(
        True,
        "luong: the attentional vector is an input of the next step",
        used_if={"model.decoder.style": ("luong",)},
    )
    readout: int = option(
        512,
        "bahdanau, vector: units of the readout after maxout",
        at_least=1,
        used_if={"model.decoder.style": ("bahdanau", "vector")},
    )
    heads: int = option(8, "transformer: heads", at_least=1, used_if=_TRANSFORMER)
    feedforward: int = option(
        2048, "transformer: hidden units of the feed-forward part", at_least=1, used_if=_TRANSFORMER
    )


@dataclass
class ModelConfig:
    """Encoder, attention, decoder, and what joins them."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    bridge: str = option(
        "last",
        "the recurrent decoder's first state from the encoder's states",
        choices=("last", "mean", "attention_pooling", "luong_pooling"),
        used_if=_RECURRENT_DECODER,
    )
    initialisation: str = option(
        "uniform",
        "first weights: uniform(-range, range), orthogonal recurrences with Gaussian rest, or xavier",
        choices=("uniform", "orthogonal", "xavier"),
    )
    initial_range: float = option(
        0.1, "range of uniform initialisation", above=0, used_if={"model.initialisation": ("uniform",)}
    )

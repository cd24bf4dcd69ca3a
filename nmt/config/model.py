"""Model settings: encoder, attention, decoder, bridge and initialisation."""

from dataclasses import dataclass, field

from nmt.config.extensions import SCORES
from nmt.config.schema import Condition, option

_RECURRENT: Condition = {"model.encoder.type": ("recurrent",)}
_CONVOLUTIONAL: Condition = {"model.encoder.type": ("convolutional",)}
_SELF_ATTENTION: Condition = {"model.encoder.type": ("self_attention",)}
_ATTENTION: Condition = {"model.decoder.style": ("bahdanau", "luong")}
_TRANSFORMER: Condition = {"model.decoder.style": ("transformer",)}
_RECURRENT_DECODER: Condition = {"model.decoder.style": ("bahdanau", "luong", "vector")}
_CELLS = ("gru", "lstm", "gru_reset_before")
_CELL_HELP = (
    "recurrent: cell type; gru_reset_before: reset gate before the recurrent matrix (Cho et al. 2014)"
)


@dataclass
class EncoderConfig:
    """Source tokens → encoder states."""

    type: str = option("recurrent", "encoder type", choices=("recurrent", "convolutional", "self_attention"))
    layers: int = option(1, "number of layers", at_least=1)
    size: int = option(512, "hidden size (both directions together)", at_least=2)
    embedding: int = option(512, "source embedding size", at_least=1)
    cell: str = option("gru", _CELL_HELP, choices=_CELLS, used_if=_RECURRENT)
    bidirectional: bool = option(True, "recurrent: bidirectional", used_if=_RECURRENT)
    reverse: bool = option(
        False,
        "recurrent, unidirectional: read the source tokens before end-of-sentence in reverse order",
        used_if={**_RECURRENT, "model.encoder.bidirectional": (False,)},
    )
    kernel: int = option(3, "convolutional: kernel width, in tokens", at_least=1, used_if=_CONVOLUTIONAL)
    positions: int = option(
        512,
        "convolutional, self_attention: number of distinct positions; later tokens share the last one",
        at_least=1,
        unused_if=_RECURRENT,
    )
    heads: int = option(8, "self_attention: number of heads", at_least=1, used_if=_SELF_ATTENTION)
    feedforward: int = option(
        2048,
        "self_attention: hidden size of the feed-forward layers",
        at_least=1,
        used_if=_SELF_ATTENTION,
    )


@dataclass
class AttentionConfig:
    """Query and states → weights over the source tokens."""

    score: str = option(
        "additive",
        "score function of query and encoder state",
        choices=SCORES.names(),
        used_if=_ATTENTION,
    )
    scope: str = option(
        "global",
        "which source tokens are attended to",
        choices=("global", "local_m", "local_p", "hard"),
        used_if=_ATTENTION,
    )
    heads: int = option(1, "number of heads, each on a slice of the units", at_least=1, used_if=_ATTENTION)
    coverage: bool = option(
        False, "the score depends on the attention that a token has received so far", used_if=_ATTENTION
    )
    size: int = option(
        256,
        "additive, concat: hidden size",
        at_least=1,
        used_if=_ATTENTION,
        used_by="model.attention.score",
    )
    positions: int = option(
        512,
        "location: number of positions with a score; later ones get no attention",
        at_least=1,
        used_if=_ATTENTION,
        used_by="model.attention.score",
    )
    window: int = option(
        10,
        "local_m, local_p: window size on each side of the centre, in tokens",
        at_least=1,
        used_if={**_ATTENTION, "model.attention.scope": ("local_m", "local_p")},
    )


@dataclass
class DecoderConfig:
    """Previous target tokens and attention → features for predicting the next token."""

    style: str = option(
        "bahdanau",
        "attention before (bahdanau) or after (luong) the recurrence, none (vector), or transformer",
        choices=("bahdanau", "luong", "vector", "transformer"),
    )
    cell: str = option("gru", _CELL_HELP, choices=_CELLS, used_if=_RECURRENT_DECODER)
    layers: int = option(1, "number of layers", at_least=1)
    size: int = option(512, "hidden size", at_least=1)
    embedding: int = option(512, "target embedding size", at_least=1)
    tie_embeddings: bool = option(True, "share the target embeddings with the output projection")
    lexical: bool = option(
        False,
        "lexical model: add logits computed from the attended source embeddings",
        unused_if={"model.decoder.style": ("vector",)},
    )
    tie_lexical: bool = option(
        False,
        "lexical model: share the output projection instead of having its own",
    )
    input_feeding: bool = option(
        True,
        "luong: feed the attentional vector into the next step",
        used_if={"model.decoder.style": ("luong",)},
    )
    bias: bool = option(
        True,
        "luong: biases in the attentional vector and in the output projection",
        used_if={"model.decoder.style": ("luong",)},
    )
    readout_state: str = option(
        "new",
        "bahdanau: readout of the state after (new) or before (previous) the recurrent step",
        choices=("new", "previous"),
        used_if={"model.decoder.style": ("bahdanau",)},
    )
    readout: int = option(
        512,
        "bahdanau, vector: readout size after maxout",
        at_least=1,
        used_if={"model.decoder.style": ("bahdanau", "vector")},
    )
    heads: int = option(8, "transformer: number of heads", at_least=1, used_if=_TRANSFORMER)
    feedforward: int = option(
        2048, "transformer: hidden size of the feed-forward layers", at_least=1, used_if=_TRANSFORMER
    )


@dataclass
class ModelConfig:
    """Encoder, attention, decoder, bridge and initialisation."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    bridge: str = option(
        "last",
        "how the initial state of a recurrent decoder is computed from the encoder states",
        choices=("last", "mean", "attention_pooling", "luong_pooling", "backward", "copy"),
        used_if=_RECURRENT_DECODER,
    )
    initialisation: str = option(
        "uniform",
        "weights: uniform(-range, range), orthogonal (recurrent weights; Gaussian for the rest), or xavier",
        choices=("uniform", "orthogonal", "xavier"),
    )
    initial_range: float = option(
        0.1, "range of uniform initialisation", above=0, used_if={"model.initialisation": ("uniform",)}
    )

"""Every setting, its default, what it may be: the one home of defaults.

The dataclasses are the schema that Hydra composes `configs/` over, and the form in which a checkpoint
keeps its settings. The YAML files only choose among what is defined here. Plain dataclasses, so that
`--help` needs neither Hydra nor torch.
"""

from dataclasses import dataclass, field

from nmt.schema import Condition, option

# ---------------------------------------------------------------- what makes a setting have an effect

_MANYTHINGS: Condition = {"data.source": ("manythings",)}
_TSV: Condition = {"data.source": ("tsv",)}
_MOSES: Condition = {"data.source": ("moses",)}
_RECURRENT: Condition = {"model.encoder.type": ("recurrent",)}
_CONVOLUTIONAL: Condition = {"model.encoder.type": ("convolutional",)}
_SELF_ATTENTION: Condition = {"model.encoder.type": ("self_attention",)}
_ATTENTION: Condition = {"model.decoder.style": ("bahdanau", "luong")}
_TRANSFORMER: Condition = {"model.decoder.style": ("transformer",)}
_RECURRENT_DECODER: Condition = {"model.decoder.style": ("bahdanau", "luong", "vector")}

# ---------------------------------------------------------------- data


@dataclass
class TokenizerConfig:
    """SentencePiece, trained on the training split alone."""

    kind: str = option("bpe", "how words are cut", choices=("unigram", "bpe", "char", "word"))
    vocab_size: int = option(2000, "pieces per vocabulary, at most", at_least=8)
    joint: bool = option(False, "one vocabulary for both sides")
    byte_fallback: bool = option(True, "spell what is not in the vocabulary as bytes: nothing is unknown")


@dataclass
class DataConfig:
    """Where the sentence pairs come from and how they are split."""

    source: str = option("manythings", "what to read", choices=("manythings", "sample", "tsv", "moses"))
    language: str = option(
        "mar", "manythings: the code in <code>-eng.zip", used_if=_MANYTHINGS, literal="name"
    )
    url: str = option(
        "https://www.manythings.org/anki/{language}-eng.zip",
        "manythings: where to download",
        used_if=_MANYTHINGS,
        literal="name",
    )
    archive: str | None = option(
        None, "manythings: a local .zip instead of the download", used_if=_MANYTHINGS, literal="path"
    )
    path: str | None = option(
        None, "tsv: the file (plain or .gz)", used_if=_TSV, required_if=_TSV, literal="path"
    )
    source_column: int = option(1, "tsv: column of the source sentence, from 1", at_least=1, used_if=_TSV)
    target_column: int = option(2, "tsv: column of the target sentence, from 1", at_least=1, used_if=_TSV)
    alignment_column: int | None = option(
        None, "tsv: column of the word alignment (0-0 1-2 …), if there is one", at_least=1, used_if=_TSV
    )
    source_path: str | None = option(
        None,
        "moses: the source sentences, one a line (plain or .gz)",
        used_if=_MOSES,
        required_if=_MOSES,
        literal="path",
    )
    target_path: str | None = option(
        None,
        "moses: the target sentences, line by line the same",
        used_if=_MOSES,
        required_if=_MOSES,
        literal="path",
    )
    alignment_path: str | None = option(
        None, "moses: the word alignments, line by line the same", used_if=_MOSES, literal="path"
    )
    dev_path: str | None = option(
        None,
        "a development set of your own: TSV, the columns as in the corpus or else the first two; a source "
        "on several lines has several references",
        literal="path",
    )
    dev_source_path: str | None = option(
        None, "or plain text: the source sentences, one a line (plain or .gz) …", literal="path"
    )
    dev_target_paths: list[str] = option(
        [], "… and files of references, line by line: FILE or [FILE,FILE,…]", literal="path"
    )
    test_path: str | None = option(None, "a test set of your own, like dev_path", literal="path")
    test_source_path: str | None = option(None, "or plain text, like dev_source_path", literal="path")
    test_target_paths: list[str] = option([], "… like dev_target_paths", literal="path")
    swap: bool = option(False, "translate in the other direction")
    cache: str = option("data/cache", "folder of downloads and prepared data", literal="path")
    max_words: int = option(100, "drop pairs with a longer side", at_least=1)
    max_ratio: float = option(9.0, "drop pairs with one side this many times longer, in characters", above=1)
    max_tokens: int = option(
        500, "drop pairs with more tokens (sub-word pieces) on a side, after tokenising", at_least=1
    )
    dev_fraction: float = option(
        0.02,
        "share of the components for development",
        above=0,
        below=0.5,
        used_if={"data.dev_path": (None,), "data.dev_source_path": (None,)},
    )
    test_fraction: float = option(
        0.03,
        "share of the components for the test",
        above=0,
        below=0.5,
        used_if={"data.test_path": (None,), "data.test_source_path": (None,)},
    )
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)


# ---------------------------------------------------------------- model


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


# ---------------------------------------------------------------- training and decoding


@dataclass
class TrainingConfig:
    """Teacher forcing with AdamW."""

    epochs: int = option(12, "passes over the training pairs", at_least=1)
    max_steps: int | None = option(None, "stop after this many updates", at_least=1)
    batch_tokens: int = option(640, "tokens in a batch on its longer side, with padding", at_least=1)
    learning_rate: float = option(1.5e-3, "the highest learning rate", above=0)
    lr_multiplier: float = option(
        1.0, "times learning_rate; a model file sets it for a model that needs another rate", above=0
    )
    warmup_steps: int = option(200, "updates of linear warm-up", at_least=0)
    decay: str = option(
        "cosine",
        "how the rate falls after warm-up",
        choices=("cosine", "linear", "inverse_sqrt", "constant"),
    )
    final_rate: float = option(
        0.02,
        "cosine, linear: share of the rate left at the end",
        at_least=0,
        at_most=1,
        used_if={"training.decay": ("cosine", "linear")},
    )
    weight_decay: float = option(0.01, "AdamW's decoupled weight decay", at_least=0)
    beta2: float = option(0.98, "AdamW's second-moment decay", above=0, below=1)
    clip_norm: float = option(1.0, "longest gradient (0: no limit)", at_least=0)
    teacher_forcing: float = option(
        1.0,
        "chance of the true previous token at the end of training; it falls from 1 (scheduled sampling)",
        at_least=0,
        at_most=1,
    )
    teacher_forcing_decay: str = option(
        "linear",
        "how it falls",
        choices=("linear", "exponential", "inverse_sigmoid"),
        unused_if={"training.teacher_forcing": (1.0,)},
    )
    guided_alignment: float = option(
        0.0, "weight of the attention's cross-entropy to the word alignments of the corpus", at_least=0
    )
    dropout: float = option(
        0.4, "probability of dropping a unit of the features, and between layers", at_least=0, below=1
    )
    embedding_dropout: float = option(
        0.3, "probability of dropping a unit of an embedding", at_least=0, below=1
    )
    word_dropout: float = option(
        0.0, "probability of dropping the whole embedding of a token, on either side", at_least=0, below=1
    )
    label_smoothing: float = option(
        0.1, "share of the probability spread over the vocabulary", at_least=0, below=1
    )
    precision: str = option(
        "auto",
        "auto: bf16 where the hardware has it, else fp16 on a CUDA GPU and fp32 elsewhere",
        choices=("auto", "fp32", "bf16", "fp16"),
    )
    validate_every: int | None = option(None, "validate every N updates (default: each epoch)", at_least=1)
    metric: str = option(
        "bleu", "what early stopping and the best checkpoint go by", choices=("bleu", "chrf", "loss")
    )
    bleu_tokenizer: str = option(
        "auto",
        "sacreBLEU's tokenizer for BLEU (auto: by the script of the training targets)",
        choices=("auto", "13a", "intl", "zh", "char", "ja-mecab", "ko-mecab"),
    )
    patience: int | None = option(None, "stop after N validations without a better one", at_least=1)
    accumulate: int = option(1, "batches whose gradients make one update", at_least=1)
    max_skipped: int = option(
        10, "stop after so many updates in a row whose loss or gradient is not finite", at_least=1
    )
    save_every: int | None = option(None, "save also every N updates between validations", at_least=1)
    keep: int = option(2, "newest checkpoints kept; an older one serves when a newer is damaged", at_least=1)
    ema: float = option(
        0.999, "decay of the weights' moving average, which is what translates (0: none)", at_least=0, below=1
    )
    log_every: int = option(50, "updates between two points of the training curves", at_least=1)
    samples: int = option(4, "development sentences shown at each validation", at_least=0)


@dataclass
class DecodingConfig:
    """Search for the best translation."""

    beam_size: int = option(5, "hypotheses kept (1: greedy)", at_least=1)
    length_penalty: float = option(1.0, "log-probability is divided by length to this power", at_least=0)
    max_length_factor: float = option(3.0, "a translation has at most this × the source's pieces …", above=0)
    max_length_extra: int = option(20, "… plus this many", at_least=1)
    max_length: int = option(500, "… and never more than this", at_least=1)
    batch_tokens: int = option(4096, "source pieces × beam decoded at once, padding included", at_least=1)


@dataclass
class Config:
    """One training run."""

    name: str | None = option(None, "name of the run folder (default: <data>-<model>-<time>)", literal="name")
    runs: str = option("runs", "folder of the run folders", literal="path")
    resume: str | None = option(None, "go on with this run: its folder, or runs/latest", literal="path")
    seed: int = option(1, "every random choice comes from it", at_least=0)
    device: str = option(
        "auto", "auto (a CUDA GPU if there is one, else the CPU), cpu, cuda, cuda:1 … or mps"
    )
    threads: int | None = option(None, "CPU threads (default: one a core)", at_least=1)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    decoding: DecodingConfig = field(default_factory=DecodingConfig)


RENAMED = {
    "model.dropout": "training.dropout",
    "model.embedding_dropout": "training.embedding_dropout",
    "model.word_dropout": "training.word_dropout",
    "model.rate_factor": "training.lr_multiplier",
}
"""Old keys of settings and what they are called now; command lines, runs and checkpoints with the old keys
keep working."""

"""Settings of training and of the search for translations."""

from dataclasses import dataclass

from nmt.config.schema import option


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

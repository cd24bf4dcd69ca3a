"""Training settings."""

from dataclasses import dataclass

from nmt.config.schema import option
from nmt.config.selection_metrics import METRICS


@dataclass
class TrainingConfig:
    """Teacher forcing with AdamW."""

    initialise_from: str | None = option(
        None,
        "start from the weights of this run, also of another language pair: those that fit by name and "
        "shape, embeddings by piece",
        literal="path",
    )
    epochs: int = option(12, "epochs", at_least=1)
    max_steps: int | None = option(None, "stop after this many updates", at_least=1)
    batch_tokens: int = option(640, "batch size in tokens of the longer side, padding included", at_least=1)
    learning_rate: float = option(1.5e-3, "peak learning rate", above=0)
    lr_multiplier: float = option(
        1.0, "factor on learning_rate; set in configs/model/ for models that need another rate", above=0
    )
    warmup_steps: int = option(200, "linear warm-up, in updates", at_least=0)
    decay: str = option(
        "cosine",
        "learning-rate schedule after warm-up",
        choices=("cosine", "linear", "inverse_sqrt", "constant"),
    )
    final_lr_ratio: float = option(
        0.02,
        "cosine, linear: final learning rate as a fraction of the peak",
        at_least=0,
        at_most=1,
        used_if={"training.decay": ("cosine", "linear")},
    )
    weight_decay: float = option(0.01, "AdamW: weight decay", at_least=0)
    beta2: float = option(0.98, "AdamW: beta2", above=0, below=1)
    clip_norm: float = option(1.0, "gradient clipping: maximum norm (0: no clipping)", at_least=0)
    teacher_forcing: float = option(
        1.0,
        "scheduled sampling: probability of feeding the reference token at the end of training, down from 1",
        at_least=0,
        at_most=1,
    )
    teacher_forcing_decay: str = option(
        "linear",
        "scheduled sampling: how the probability decays",
        choices=("linear", "exponential", "inverse_sigmoid"),
        unused_if={"training.teacher_forcing": (1.0,)},
    )
    guided_alignment: float = option(
        0.0,
        "loss weight of the cross-entropy between attention and the word alignments of the corpus",
        at_least=0,
    )
    dropout: float = option(0.4, "dropout of the output features and between layers", at_least=0, below=1)
    embedding_dropout: float = option(0.3, "dropout of single units of embeddings", at_least=0, below=1)
    word_dropout: float = option(
        0.0, "dropout of entire token embeddings, on both sides", at_least=0, below=1
    )
    rdrop: float = option(
        0.0,
        "R-Drop: loss weight of the divergence between two predictions of each pair under different dropout "
        "(0: none); twice the time per update",
        at_least=0,
    )
    subword_sampling: float = option(
        0.0,
        "another segmentation of the training sentences in each epoch (0: the same in all); bpe: probability "
        "of leaving out a merge (BPE-dropout); unigram: a segmentation is drawn by its probability to this "
        "power",
        at_least=0,
        below=1,
        used_if={"data.tokenizer.kind": ("bpe", "unigram")},
    )
    subword_sampling_below: int | None = option(
        None,
        "sub-word sampling only of words seen fewer times than this in training, on their side",
        at_least=1,
        unused_if={"training.subword_sampling": (0.0,)},
    )
    label_smoothing: float = option(0.1, "label smoothing", at_least=0, below=1)
    precision: str = option(
        "auto",
        "auto: bf16 on a CUDA GPU that supports it, fp16 on others; bf16 on a CPU that has instructions for "
        "it, if the model has 256 units or more; fp32 elsewhere",
        choices=("auto", "fp32", "bf16", "fp16"),
    )
    cuda_graphs: bool = option(
        True,
        "on a CUDA GPU: replay updates as CUDA graphs, with batches padded to common shapes; not under "
        "torchrun, and not with scheduled sampling",
    )
    validate_every: int | None = option(None, "validate every N updates (default: each epoch)", at_least=1)
    metric: str = option(
        "bleu",
        "metric for early stopping and for selecting the best checkpoint",
        choices=tuple(METRICS),
    )
    prefer_last: float = option(
        0.05,
        "translate with the last checkpoint of a complete training instead of the best one, if its metric is "
        "worse by at most this fraction: of many validations, one is best partly by chance (0: the best)",
        at_least=0,
        below=1,
    )
    bleu_tokenizer: str = option(
        "auto",
        "sacreBLEU tokenizer for BLEU (auto: by the script of the training targets)",
        choices=("auto", "13a", "intl", "zh", "char", "ja-mecab", "ko-mecab"),
    )
    patience: int | None = option(None, "stop after N validations without improvement", at_least=1)
    accumulate: int = option(1, "gradient accumulation: batches per update", at_least=1)
    max_skipped: int = option(
        10, "stop after this many consecutive updates with NaN or infinity in loss or gradient", at_least=1
    )
    save_every: int | None = option(None, "also save every N updates between validations", at_least=1)
    keep: int = option(2, "checkpoints to keep; an older one is used if a newer one is corrupt", at_least=1)
    ema: float = option(
        0.999,
        "decay of the exponential moving average of the weights, used for translation (0: none)",
        at_least=0,
        below=1,
    )
    log_every: int = option(50, "log a point of the training curves every N updates", at_least=1)
    samples: int = option(4, "sample translations logged at each validation", at_least=0)

"""Decoding settings."""

from dataclasses import dataclass, field, replace

from nmt.config.schema import option

COMBINE = ("mean", "consensus")
"""How several runs translate together."""
_GREEDY = {"decoding.beam_size": (1,)}
_RANDOM = {"decoding.method": ("sample", "mbr")}
_NO_ATTENTION = {"model.decoder.style": ("vector",)}


@dataclass
class SamplingConfig:
    """How translations are drawn from the model's distribution."""

    temperature: float = option(
        1.0,
        "sampling: log-probabilities are divided by it (towards 0: the most probable token each time)",
        at_least=1e-6,
        used_if=_RANDOM,
    )
    top_k: int | None = option(
        None, "sampling: draw among this many most probable tokens only", at_least=1, used_if=_RANDOM
    )
    top_p: float = option(
        1.0,
        "sampling: draw among the most probable tokens only that together have this probability (nucleus)",
        above=0,
        at_most=1,
        used_if=_RANDOM,
    )
    seed: int = option(
        1, "sampling: seed of the random numbers, which depend on the sentence, not on others", at_least=0
    )


@dataclass
class MbrConfig:
    """Minimum Bayes risk decoding."""

    candidates: str = option(
        "nbest",
        "mbr: choose from an n-best list, weighted by probability, or from samples",
        choices=("nbest", "samples"),
        used_if={"decoding.method": ("mbr",)},
    )
    size: int | None = option(
        None,
        "mbr: number of candidates (default: the 12 best of a beam of this size, or 64 samples)",
        at_least=2,
        used_if={"decoding.method": ("mbr",)},
    )

    @property
    def count(self) -> int:
        """The number of candidates."""
        return self.size or {"nbest": 12, "samples": 64}[self.candidates]


@dataclass
class RetrievalConfig:
    """A second distribution over the next token, from the training tokens in similar contexts."""

    weight: float = option(
        0.0,
        "weight of the tokens retrieved from the training set in the probability of the next one (0: off; "
        "Khandelwal et al. 2021); needs `python -m nmt.datastore` after training",
        at_least=0,
        below=1,
    )
    k: int = option(16, "number of training tokens that are retrieved: the nearest ones", at_least=1)
    temperature: float = option(
        0.1,
        "bandwidth of the kernel: a squared distance of this much divides a weight by e; keys have unit "
        "variance",
        above=0,
    )


@dataclass
class DecodingConfig:
    """How the translation is found."""

    method: str = option(
        "beam",
        "beam: the most probable translation that beam search finds; sample: a random one; mbr: of several, "
        "the one most like all of them (minimum Bayes risk with chrF)",
        choices=("beam", "sample", "mbr"),
    )

    beam_size: int = option(5, "beam size (1: greedy)", at_least=1)
    length_penalty: float = option(
        1.0,
        "length penalty: power: log-probability is divided by length to this power; wu: by "
        "((5 + length) / 6) to this power",
        at_least=0,
    )
    normalisation: str = option(
        "power", "length normalisation (wu: Wu et al. 2016, eq. 14)", choices=("power", "wu")
    )
    coverage_penalty: float = option(
        0.0,
        "weight of the coverage penalty, added to the score of a translation: the sum over source pieces of "
        "log(min(attention received, 1)) (Wu et al. 2016, eq. 14)",
        at_least=0,
        unused_if=_NO_ATTENTION,
    )
    patience: float | None = option(
        None,
        "stop when this × beam size hypotheses have ended, or before (Kasai et al. 2022; null: only when no "
        "hypothesis could win)",
        above=0,
        unused_if=_GREEDY,
    )
    lookahead: int | None = option(
        10,
        "give up a hypothesis that could not win within this many more tokens, were they certain (null: one "
        "that could not win at any length, the exact search)",
        at_least=0,
    )
    distinct: bool = option(
        False, "n best: only the best of several hypotheses with the same text", unused_if=_GREEDY
    )
    no_repeat_ngram: int = option(
        0, "no sequence of this many pieces occurs twice in a translation (0: any may)", at_least=0
    )
    min_length: int = option(0, "minimum length of a translation in pieces", at_least=0)
    max_length_factor: float = option(3.0, "maximum length of a translation: this × source pieces …", above=0)
    max_length_extra: int = option(20, "… + this many", at_least=1)
    max_length: int = option(500, "… but never more than this", at_least=1)
    batch_tokens: int = option(4096, "batch size in source pieces × beam size, padding included", at_least=1)
    combine: str = option(
        "mean",
        "several runs: mean: search with the mean of their probabilities; consensus: of the best "
        "translations by each run, the one most like all of them (minimum Bayes risk with chrF)",
        choices=COMBINE,
    )
    candidates: int = option(
        12, "number of translations of each run that consensus or a reverse model chooses from", at_least=1
    )
    reverse_weight: float = option(
        0.2,
        "weight of a reverse model: of its log-probability of the source given the translation",
        at_least=0,
    )
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    mbr: MbrConfig = field(default_factory=MbrConfig)
    retrieval: RetrievalConfig = field(default_factory=RetrievalConfig)

    def without_retrieval(self) -> "DecodingConfig":
        """The same, for what has no datastore or does not need it."""
        return replace(self, retrieval=RetrievalConfig())

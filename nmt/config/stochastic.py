"""Settings of sampling and of minimum Bayes risk decoding."""

from dataclasses import dataclass

from nmt.config.schema import option


@dataclass
class SamplingConfig:
    """How translations are drawn from the model's distribution."""

    temperature: float = option(
        1.0,
        "the log-probabilities are divided by it (towards 0: the most probable token each time)",
        at_least=1e-6,
    )
    top_k: int | None = option(
        None, "draw among this many most probable tokens only (default: all)", at_least=1
    )
    top_p: float = option(
        1.0,
        "nucleus: draw among the most probable tokens that together have this probability only (1: all)",
        above=0,
        at_most=1,
    )
    seed: int = option(1, "of the random numbers of each sentence, which no other changes", at_least=0)


@dataclass
class MbrConfig:
    """Minimum Bayes risk decoding: the translation most like all of them, by chrF."""

    candidates: str = option("samples", "what to choose from, and compare with", choices=("samples", "nbest"))
    samples: int = option(64, "number of samples of each sentence", at_least=2)

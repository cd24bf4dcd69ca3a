"""The methods of decoding (`decoding.method`): beam search, sampling, and minimum Bayes risk over either."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from nmt.config.decoding import DecodingConfig
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.interface import SearchModel, SearchOptions, StateT
from nmt.decoding.sampling import random_generators, sample
from nmt.decoding.search import Sources, Special, beam_search
from nmt.decoding.truncation import check_sampling


def hypotheses_per_sentence(config: DecodingConfig, nbest: int) -> int:
    """How many hypotheses of a sentence are computed at a time, at most."""
    return {"beam": config.beam_size, "sample": nbest, "mbr": config.mbr.count}[config.method]


def decode(
    model: SearchModel[StateT],
    sources: Sources,
    texts: Sequence[str],
    detokenise: Callable[[list[int]], str],
    config: DecodingConfig,
    special: Special,
    options: SearchOptions,
) -> list[list[Hypothesis]]:
    """Translate sentences by the method of the settings.

    Args:
        model, sources, special, options: as for `beam_search`; with sampling, `options.nbest` is the number
            of draws.
        texts: the sentences, cleaned.
        detokenise: tokens → the text of a translation.
        config: `method`, and its settings.

    Returns:
        As `beam_search`; with sampling, the draws in order; with minimum Bayes risk, hypotheses with
        different texts, whose score is the expected chrF2, 0 to 100.

    Raises:
        ConfigError, NmtError: as `beam_search`.
    """
    if config.method == "beam":
        return beam_search(model, sources, config, special, options)
    if config.method == "sample":
        return _draws(model, sources, texts, config, special, options)
    from nmt.decoding.mbr import rank_hypotheses  # fastchrf is needed for this method only

    n = config.mbr.count
    weighted = config.mbr.candidates == "nbest"
    if weighted:
        search = replace(config, beam_size=n, method="beam")
        found = beam_search(model, sources, search, special, replace(options, nbest=n))
    else:
        found = _draws(model, sources, texts, config, special, replace(options, nbest=n))
    return [
        rank_hypotheses(group, [detokenise(one.tokens) for one in group], weighted)[: options.nbest]
        for group in found
    ]


def _draws(
    model: SearchModel[StateT],
    sources: Sources,
    texts: Sequence[str],
    config: DecodingConfig,
    special: Special,
    options: SearchOptions,
) -> list[list[Hypothesis]]:
    check_sampling(config.sampling)
    generators = [random_generators(config.sampling.seed, text, options.nbest) for text in texts]
    return sample(model, sources, config, special, options, generators)

"""Validation during training: loss and perplexity against every reference, scores of greedy translations."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from nmt.data.examples import Example
from nmt.decoding.result import Translation
from nmt.decoding.translator import Translator
from nmt.evaluation.bleu_tokenizer import DEFAULT
from nmt.evaluation.metrics import quick_scores


class Validation(NamedTuple):
    """Scores of a model on the development set.

    Attributes:
        scores: loss (nats per token), perplexity, and those of `quick_scores`.
        translations: of every example, in order; the first `samples` with their attention.
    """

    scores: dict[str, float]
    translations: list[Translation]


def validate(
    translator: Translator, examples: Sequence[Example], tokenizer: str = DEFAULT, samples: int = 0
) -> Validation:
    """Translate and score the development set.

    Args:
        translator: the model and its search settings.
        examples: the sources, with references.
        tokenizer: for BLEU.
        samples: of the first so many translations, keep the attention.
    """
    sources = [example.source for example in examples]
    translations = [found[0] for found in translator.translate(sources, attention=range(samples))]
    pairs = [(example.source, reference) for example in examples for reference in example.references]
    forced = translator.align([source for source, _ in pairs], [target for _, target in pairs])
    tokens = sum(len(translation.target.ids) + 1 for translation in forced)
    loss = -sum(translation.log_probability for translation in forced) / tokens
    scores = quick_scores(
        [translation.text for translation in translations],
        [example.references for example in examples],
        tokenizer,
    )
    perplexity = math.exp(min(loss, 50.0))
    return Validation({"loss": loss, "perplexity": perplexity, **scores}, translations)

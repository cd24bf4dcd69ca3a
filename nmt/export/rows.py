"""Translations as rows of the HTML page."""

from nmt.alignment.coverage import Coverage, coverage
from nmt.decoding.result import Translation
from nmt.visualisation.page import Sentence


def sentence_row(translation: Translation, shift: int = 0, covered: Coverage | None = None) -> Sentence:
    """A translation as a row of the HTML page."""
    weights, source_words, target_words = translation.words(shift)
    row = Sentence(
        source=translation.source.text,
        translation=translation.text,
        source_words=source_words,
        target_words=target_words,
        log_probability=translation.log_probability,
    )
    if translation.has_attention:
        found = covered or coverage(weights)
        row["weights"] = [[round(float(weight), 3) for weight in line] for line in weights]
        row["low"] = found.under_translated
    return row

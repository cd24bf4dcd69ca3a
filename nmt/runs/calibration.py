"""The calibration of a run's confidence, with its development set."""

from collections.abc import Sequence
from typing import NamedTuple

from nmt.data.examples import Example
from nmt.decoding.translator import Translator
from nmt.runs.run import Run


class Agreement(NamedTuple):
    """How well confidence tells good translations from bad ones, on one set.

    Attributes:
        correlation: Spearman's rank correlation of the confidence of sentences with their chrF2.
        confidence, chrf: means over the sentences, 0 to 1.
    """

    correlation: float
    confidence: float
    chrf: float


def calibrate_run(run: Run, translator: Translator, dev: Sequence[Example]) -> None:
    """Calibrate the confidence of a run's translations, and write the calibration to the run.

    Args:
        run: it.
        translator: with its best checkpoint.
        dev: the development set.
    """
    from nmt.evaluation.confidence import calibrate

    found = translator.translate([example.source for example in dev])
    calibrate([best[0] for best in found], [example.references for example in dev]).save(run.confidence)


def agreement(run: Run, translator: Translator, examples: Sequence[Example]) -> Agreement:
    """How well the calibrated confidence of a run agrees with chrF2 on a set.

    Raises:
        RunError: if the calibration is corrupt.
    """
    from nmt.evaluation.confidence import Calibration, mean_log_probability, rank_correlation
    from nmt.evaluation.metrics import sentence_chrf

    curve = Calibration.load(run.confidence).sentence
    found = [best[0] for best in translator.translate([example.source for example in examples])]
    values = [curve(mean_log_probability(one)) for one in found]
    pairs = zip(found, examples, strict=True)
    chrf = [sentence_chrf(one.text, example.references) / 100 for one, example in pairs]
    count = max(len(chrf), 1)
    return Agreement(rank_correlation(values, chrf), sum(values) / count, sum(chrf) / count)

"""Many segments, each with its own options, to searches of batches."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nmt.config.decoding import DecodingConfig
from nmt.decoding.result import Translation as Found
from nmt.decoding.translator import Translator as SearchTranslator
from nmt.library.options import TranslationOptions


@dataclass(frozen=True)
class Job:
    """A segment to translate.

    Attributes:
        text: the segment.
        options: of its document.
    """

    text: str
    options: TranslationOptions


def search(
    make: Callable[[DecodingConfig], SearchTranslator], own: DecodingConfig, jobs: Sequence[Job]
) -> list[list[Found]]:
    """The hypotheses of each job, best first. Jobs that are searched in the same way are searched together.

    Args:
        make: a translator with other settings of the search.
        own: the settings of the run.
        jobs: in any order.
    """
    results: list[list[Found]] = [[] for _ in jobs]
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, job in enumerate(jobs):
        groups.setdefault(_how(job.options, own), []).append(index)
    for members in groups.values():
        options = jobs[members[0]].options
        translator = make(options.decoding(own))
        texts = [jobs[index].text for index in members]
        wanted = [k for k, index in enumerate(members) if jobs[index].options.attention]
        if options.sample:
            numbers = [jobs[index].options.number for index in members]
            found = _samples(translator, texts, options, numbers, wanted)
        else:
            found = translator.translate(texts, options.nbest, wanted)
        for index, hypotheses in zip(members, found, strict=True):
            results[index] = hypotheses
    return results


def _how(options: TranslationOptions, own: DecodingConfig) -> tuple[object, ...]:
    """What must be equal for a search together."""
    sampling = (options.temperature, options.seed) if options.sample else ()
    return (*dataclasses.astuple(options.decoding(own)), options.nbest, *sampling)


def _samples(
    translator: SearchTranslator,
    texts: Sequence[str],
    options: TranslationOptions,
    numbers: Sequence[int],
    wanted: Sequence[int],
) -> list[list[Found]]:
    found = []
    for k, (text, number) in enumerate(zip(texts, numbers, strict=True)):
        found += translator.sample(
            [text],
            temperature=options.temperature,
            seed=options.seed,
            first=number,
            attention=k in wanted,
        )
    return [[one] for one in found]

"""Searches with several systems, or with a reverse model: of the candidates that they find, the best."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from nmt.config.decoding import DecodingConfig
from nmt.decoding.constraints.placeholders import Placeholders
from nmt.decoding.reranking import TOGETHER, Pool, Reranker, for_candidates
from nmt.library.loaded import Loaded
from nmt.library.options import OptionError, TranslationOptions
from nmt.library.search_jobs import Beginning, Job, JobResult
from nmt.library.searching import Searcher
from nmt.library.steering import Builders


class Searching(Protocol):
    """What `Searcher` and `CombiningSearcher` do."""

    def search(
        self,
        jobs: Sequence[Job],
        cancelled: Callable[[int], bool] | None = None,
        streamed: Collection[int] = (),
    ) -> Iterator[JobResult | Beginning]:
        """As `Searcher.search`."""
        ...


class CombiningSearcher:
    """Searches with each of several systems, or one. Several threads can use it at the same time.

    Args:
        searchers: of each system.
        reranker: chooses among what they find.
        own: the settings of the first system.
    """

    def __init__(self, searchers: Sequence[Searching], reranker: Reranker, own: DecodingConfig) -> None:
        self._searchers, self._reranker, self._own = searchers, reranker, own

    def search(
        self,
        jobs: Sequence[Job],
        cancelled: Callable[[int], bool] | None = None,
        streamed: Collection[int] = (),
    ) -> Iterator[JobResult | Beginning]:
        """As `Searcher.search`, but nothing is certain of a translation before it is chosen: there are no
        beginnings. A system that finds nothing with what is asked has no candidates.
        """
        for start in range(0, len(jobs), TOGETHER):
            part = jobs[start : start + TOGETHER]
            left = None if cancelled is None else partial(_later, cancelled, start)
            for result in self._search(part, left):
                yield replace(result, job=start + result.job)

    def _search(self, jobs: Sequence[Job], cancelled: Callable[[int], bool] | None) -> Iterator[JobResult]:
        """The results of some jobs, whose candidates are in memory at the same time."""
        given = {id(job.options): job.options for job in jobs}  # most jobs have the same
        wider = {key: self._for_candidates(options) for key, options in given.items()}
        configs = {key: options.decoding(self._own) for key, options in given.items()}
        searched = [replace(job, options=wider[id(job.options)]) for job in jobs]
        results = [_by_job(searcher.search(searched, cancelled)) for searcher in self._searchers]
        pools = []
        for index, job in enumerate(jobs):
            config = configs[id(job.options)]
            lists = [own[index].found for own in results]
            pools.append(Pool(job.text, lists, config.method == "sample", config.reverse_weight))
        for index, ranked in enumerate(self._reranker.rank(pools)):
            first = results[0][index]
            yield replace(first, found=ranked[: jobs[index].options.nbest], error=None) if ranked else first

    def _for_candidates(self, options: TranslationOptions) -> TranslationOptions:
        """The options with which each system searches."""
        count = options.decoding(self._own).candidates
        alone = len(self._searchers) == 1
        return replace(options, nbest=max(options.nbest, count), tree=options.tree and alone)


def combined_searcher(systems: Sequence[Loaded], reverse: Loaded | None) -> Searching:
    """The searcher of one system, or of several.

    Args:
        systems: of the same languages.
        reverse: translates into the source language; None: it does not count.
    """
    first = systems[0].decoding
    if reverse is None and len(systems) == 1:
        return _searcher(systems[0], first)
    searchers = [_searcher(one, for_candidates(one.decoding, first)) for one in systems]
    back = None if reverse is None else reverse.make(reverse.decoding)
    reranker = Reranker(len(systems) > 1, back)
    return CombiningSearcher(searchers, reranker, for_candidates(first, first))


def _searcher(system: Loaded, config: DecodingConfig) -> Searcher:
    return Searcher(system.make, config, Builders(system.finishing.target), Placeholders(system.source))


def check_combining(options: TranslationOptions, several: bool, reverse: bool) -> None:
    """Check the options of a text.

    Args:
        options: of the text.
        several: whether several systems make a consensus.
        reverse: whether there is a reverse model.

    Raises:
        OptionError: if one has no effect.
    """
    if options.mbr and (several or reverse):
        why = "combine='consensus'" if several else "a reverse model"
        raise OptionError("mbr", f"has no effect with {why}; leave it out")
    if options.examples and several:
        raise OptionError("examples", "are of one run, not of a consensus; leave it out")
    if options.candidates is not None and not (several or reverse):
        raise OptionError(
            "candidates", "has no effect without combine='consensus' or a reverse model; leave it out"
        )
    if options.reverse_weight is not None and not reverse:
        raise OptionError("reverse_weight", "has no effect without a reverse model; leave it out")


def _later(cancelled: Callable[[int], bool], start: int, index: int) -> bool:
    return cancelled(start + index)


def _by_job(events: Iterator[JobResult | Beginning]) -> dict[int, JobResult]:
    return {event.job: event for event in events if isinstance(event, JobResult)}

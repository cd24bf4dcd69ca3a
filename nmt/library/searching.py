"""The segments of many texts, each with its own options, as searches of batches.

Segments whose searches have the same settings are searched together; what is asked of their text is a matter
of each.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace

from nmt.config.decoding import DecodingConfig
from nmt.data.tokenizer import Tokens
from nmt.decoding.constraints.builder import Built
from nmt.decoding.constraints.placeholders import Placeholders, Replaced
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.interface import SearchOptions
from nmt.decoding.translator import Translator as SearchTranslator
from nmt.decoding.tree import SearchTree
from nmt.errors import ConfigError
from nmt.library.attempts import Attempt, Tried, first_attempt, meeting, next_attempt
from nmt.library.options import TranslationOptions
from nmt.library.search_jobs import Beginning, Job, JobResult, in_parts, same_jobs
from nmt.library.steering import NOTHING, Builders


@dataclass(frozen=True)
class _Ready:
    """A segment that can be searched."""

    job: int
    source: Tokens
    built: Built | None
    attempt: Attempt
    tried: Tried
    replaced: Replaced | None = None
    """Instead of what it is searched."""
    asked: Built | None = None
    """What is asked of its translation once everything is back in it."""

    @property
    def is_final(self) -> bool:
        """Whether its result begins with what it says: without placeholders, and not to be compared."""
        return self.replaced is None and self.attempt.constrained and not self.tried.free

    @property
    def constrained(self) -> Built | None:
        """What this attempt follows."""
        return self.built if self.attempt.constrained else None


class Searcher:
    """Searches with one model. Several threads can use it at the same time.

    Args:
        make: a translator with other settings of the search.
        own: the settings of the run.
        builders: of constraints.
        placeholders: for what is kept.
    """

    def __init__(
        self,
        make: Callable[[DecodingConfig], SearchTranslator],
        own: DecodingConfig,
        builders: Builders,
        placeholders: Placeholders,
    ) -> None:
        self._make, self._own = make, own
        self._builders, self._placeholders = builders, placeholders

    def search(
        self,
        jobs: Sequence[Job],
        cancelled: Callable[[int], bool] | None = None,
        streamed: Collection[int] = (),
    ) -> Iterator[JobResult | Beginning]:
        """The results of all jobs, as they are found.

        Args:
            jobs: in any order.
            cancelled: asked for each job after every step; once True, it leaves the batch.
            streamed: the jobs whose beginnings are wanted; asked after every step. Unless it is empty at
                first, the jobs are searched in order, as far as that does not take much longer.

        Raises:
            NmtError: if the model returns NaN, or probability zero for every token.
        """
        same = same_jobs(jobs)

        def left(job: int) -> bool:
            return cancelled is not None and all(map(cancelled, same[job]))

        for event in self._search(jobs, list(same), left if cancelled else None, streamed):
            for job in same[event.job]:
                if isinstance(event, JobResult):
                    yield replace(event, job=job)
                elif job in streamed:
                    yield event._replace(job=job)

    def _search(
        self,
        jobs: Sequence[Job],
        chosen: Sequence[int],
        cancelled: Callable[[int], bool] | None,
        streamed: Collection[int],
    ) -> Iterator[JobResult | Beginning]:
        """The results of chosen jobs."""
        groups: dict[tuple[object, ...], list[int]] = {}
        keys: dict[int, tuple[object, ...]] = {}  # by the identity of options, as most jobs have the same
        given: dict[int, dict[int, str]] = {}  # likewise
        for index in chosen:
            job = jobs[index]
            request, text = job.steering.request, job.steering.given
            if text is None and not request.prefix and Placeholders.is_all(job.text, request.keep):
                text = job.text
            if text is not None:
                given.setdefault(id(job.options), {})[index] = text
            else:
                key = keys.get(id(job.options)) or keys.setdefault(id(job.options), self._how(job.options))
                groups.setdefault(key, []).append(index)
        for texts in given.values():
            yield from self._score(jobs, texts)
        for members in groups.values():
            settings = jobs[members[0]].options.decoding(self._own)
            translator = self._make(replace(settings, no_repeat_ngram=0))  # a constraint already: see `steer`
            attempts: dict[int, Attempt | None] = dict.fromkeys(members)
            tried = {index: Tried() for index in members}
            while attempts:
                following: dict[int, Attempt | None] = {}
                for event in self._together(translator, jobs, attempts, tried, cancelled, streamed):
                    if isinstance(event, JobResult) and event.then is not None:
                        following[event.job] = event.then
                    else:
                        yield event
                attempts = following

    def _together(
        self,
        translator: SearchTranslator,
        jobs: Sequence[Job],
        attempts: Mapping[int, Attempt | None],
        tried: Mapping[int, Tried],
        cancelled: Callable[[int], bool] | None,
        streamed: Collection[int],
    ) -> Iterator[JobResult | Beginning]:
        """Make an attempt (None: the first one) at each of the jobs, which have the same settings."""
        ready: list[_Ready] = []
        for index, attempt in attempts.items():
            try:
                ready.append(self._prepare(translator, jobs[index], index, attempt, tried[index]))
            except ConfigError as error:
                yield JobResult(index, error=error)
        nbest = max((jobs[index].options.nbest for index in attempts), default=1)
        for part in in_parts(ready) if streamed else (ready,):
            for chosen in translator.batches([one.source for one in part], nbest):
                yield from _run(translator, jobs, [part[i] for i in chosen], cancelled, streamed)

    def _how(self, options: TranslationOptions) -> tuple[object, ...]:
        """What must be equal for a search together."""
        return (*_values(options.decoding(self._own)), options.nbest)

    def _score(self, jobs: Sequence[Job], texts: Mapping[int, str]) -> Iterator[JobResult]:
        """Score the given translations of jobs with the same options."""
        options = jobs[next(iter(texts))].options
        config = options.decoding(self._own)
        tokens = max(1, config.batch_tokens // config.beam_size)  # a batch as large as those of the search
        translator = self._make(replace(config, batch_tokens=tokens))
        sources = [jobs[index].text for index in texts]
        found = translator.align(sources, [*texts.values()], options.attention, options.to)
        for index, one in zip(texts, found, strict=True):
            yield JobResult(index, [one])

    def _prepare(
        self, translator: SearchTranslator, job: Job, index: int, attempt: Attempt | None, tried: Tried
    ) -> _Ready:
        """Tokenize a segment and make its constraint.

        Raises:
            ConfigError: if nothing can meet it.
        """
        request, method = job.steering.request, translator.config.method
        source = translator.encode(job.text, job.options.to)
        if request == NOTHING:
            return _Ready(index, source, None, first_attempt(None, method), tried)
        builder = self._builders.of(request)
        maximum = translator.config.max_length
        built = builder.build(job.text, int(translator.prepare([source]).limits[0]), maximum)
        replacing = attempt is None or attempt.replacing
        replaced = self._placeholders.replace(job.text, request.keep) if replacing else None
        if replaced is None or not translator.heads or request.prefix:
            return _Ready(index, source, built, attempt or first_attempt(built, method), tried)
        source = translator.encode(replaced.text, job.options.to)
        own = builder.build(replaced.text, int(translator.prepare([source]).limits[0]), maximum)
        return _Ready(index, source, own, attempt or first_attempt(own, method), tried, replaced, built)


def _values(settings: object) -> tuple[object, ...]:
    """The values of settings, and of settings within them; `dataclasses.astuple` would copy each."""
    return tuple(_values(one) if is_dataclass(one) else one for one in vars(settings).values())


def _run(
    translator: SearchTranslator,
    jobs: Sequence[Job],
    batch: Sequence[_Ready],
    cancelled: Callable[[int], bool] | None,
    streamed: Collection[int],
) -> Iterator[JobResult | Beginning]:
    """Search a batch."""
    every = [jobs[one.job].options for one in batch]
    options = SearchOptions(
        nbest=every[0].nbest,
        attention=frozenset(
            row for row, own in enumerate(every) if own.attention or batch[row].replaced is not None
        ),
        trace=frozenset(row for row, own in enumerate(every) if own.tree),
        constraints={
            row: one.constrained.constraint
            for row, one in enumerate(batch)
            if one.constrained is not None and one.constrained.constraint is not None
        },
    )
    sources = translator.prepare([one.source for one in batch])
    for row, one in enumerate(batch):
        if one.constrained is not None:
            sources.limits[row] = one.constrained.limit
    search = translator.search(sources, options)
    rows = {one.job: row for row, one in enumerate(batch) if one.is_final}
    while search.active:
        done = search.step()
        for row, hypotheses in zip(done, search.hypotheses(done) if done else (), strict=True):
            tree = search.tree(row) if hypotheses and every[row].tree else None
            yield _result(translator, jobs[batch[row].job], batch[row], hypotheses, tree)
        active = set(search.active)
        for job in [job for job in streamed if rows.get(job) in active]:
            if tokens := search.shared(rows[job]):
                yield Beginning(job, tokens)
        if cancelled is not None:
            for row in active:
                if cancelled(batch[row].job):
                    search.cancel(row)


def _result(
    translator: SearchTranslator,
    job: Job,
    one: _Ready,
    hypotheses: Sequence[Hypothesis],
    tree: SearchTree | None,
) -> JobResult:
    tried, attempt, nbest = one.tried, one.attempt, job.options.nbest
    found = [translator.translation(one.source, hypothesis) for hypothesis in hypotheses]
    if not attempt.constrained and one.built is not None:
        found = meeting(found, one.built)
    restored = True
    if one.replaced is not None and one.asked is not None:
        texts = [Placeholders.restore(translation, one.replaced) for translation in found]
        found = translator.align([job.text] * len(texts), texts, job.options.attention, job.options.to)
        restored = bool(found) and all(one.asked.is_met_by(translation.target.ids) for translation in found)
    if attempt.constrained:
        tried.constrained = found
    else:
        tried.free = found if restored else []
    if hypotheses and (then := next_attempt(attempt, tried, nbest, restored)):
        return JobResult(one.job, then=then)
    if not (found := tried.best(nbest)):
        reason = (
            "no translation with what is asked of it was found (prefix, required and forbidden phrases, "
            "glossary …); ask for less, or raise beam_size"
        )
        return JobResult(one.job, error=ConfigError(reason))
    return JobResult(one.job, found, tree=tree)

"""`nmt.Translator`: translate text with trained runs, from Python.

translator = nmt.Translator.load("runs/latest")
(translation,) = translator.translate(["Rahul is a good boy."], nbest=3, attention=True)
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nmt.data.target_languages import SourceEncoder
from nmt.data.text import clean
from nmt.decoding.constraints.alternatives import next_word
from nmt.decoding.constraints.prefix import clean_prefix
from nmt.decoding.reranking import combined_heads
from nmt.errors import ConfigError, NmtError, RunError
from nmt.library.collecting import Collector, Followed, Outcome, collected, ended
from nmt.library.combining import check_combining, combined_searcher
from nmt.library.loaded import Loaded
from nmt.library.loading import load_systems
from nmt.library.options import TranslationOptions
from nmt.library.search_jobs import Job
from nmt.library.segments import segment
from nmt.library.steering import steer
from nmt.library.translated import Translation


class Translator:
    """Translates texts. Several threads can use it at the same time.

    Args:
        systems: a run or an ensemble; or several, whose consensus the translation is.
        reverse: translates into the source language, to rank what the others find; None: not so.

    Attributes:
        name: of the run (its folder), or of all runs, joined by "+".
        heads: number of attention heads; 0: a model has none.
        languages: codes of the source and the target language of the main direction; None: the run does not
            know them.
        targets: the languages that the option `to` may name, that of the main direction first; none: the
            model has one direction.
        beam_size: of a translation whose options name none.
    """

    def __init__(self, *systems: Loaded, reverse: Loaded | None = None) -> None:
        self._systems, self._reverse = systems, reverse
        self._searcher = combined_searcher(systems, reverse)
        self.name, self.languages = "+".join(one.name for one in systems), systems[0].languages
        self.heads = combined_heads([one.heads for one in systems])
        self._encoders = [SourceEncoder(one.source) for one in systems]
        self.targets = self._encoders[0].targets
        self.beam_size = systems[0].decoding.beam_size

    @classmethod
    def load(
        cls,
        *runs: str | Path,
        device: str = "auto",
        threads: int | None = None,
        batch_tokens: int | None = None,
        combine: str | None = None,
        reverse: str | Path | None = None,
    ) -> "Translator":
        """Load a run, several runs that translate together, or folders written by `nmt.export`.

        Args:
            runs: run folders (default: runs/latest, the newest run).
            device: auto (a CUDA GPU if available, else the CPU), cpu, cuda, cuda:1 … or mps.
            threads: CPU threads of the whole process (default: one per core).
            batch_tokens: batch size in source subwords × beam size; results do not depend on it (default:
                decoding.batch_tokens of the run).
            combine: how several runs translate together: "mean": search with the mean of their probabilities;
                "consensus": of the best translations of each, the one most like all of them (default:
                decoding.combine of the first run).
            reverse: a run of the other direction (data.swap=true), which ranks translations by how well it
                finds the source in them.

        Raises:
            RunError: if a run is missing or corrupt.
            ConfigError: if runs whose probabilities are averaged do not have the same tokenizers, runs do not
                translate the same languages, or there is no such device.
        """
        paths = [Path(run) for run in runs or ("runs/latest",)]
        other = None if reverse is None else Path(reverse)
        systems, back = load_systems(paths, device, threads, combine, other)
        if batch_tokens is not None:
            systems = [one.with_batch_tokens(batch_tokens) for one in systems]
            back = back and back.with_batch_tokens(batch_tokens)
        return cls(*systems, reverse=back)

    def translate(
        self,
        texts: Sequence[str],
        options: TranslationOptions | Sequence[TranslationOptions] | None = None,
        **changes: Any,
    ) -> list[Translation]:
        """Translate each text, in order. A result depends on nothing but its text and its options.

        Args:
            texts: any text, of any length and number of lines; N texts give N translations.
            options: of all texts, or of each.
            changes: fields of `TranslationOptions`, by name, instead of those of `options`.

        Raises:
            ConfigError: for an option that is out of range, a constraint that cannot be met, or a language
                that the model does not translate to.
        """
        if isinstance(texts, str):
            raise ConfigError("texts: a list of texts is needed; put the text in a list")
        if options is None or isinstance(options, TranslationOptions):
            every = [(options or TranslationOptions()).changed(changes)] * len(texts)
        else:
            every = [own.changed(changes) for own in options]
        found: list[Translation] = []
        for outcome in self.translate_batch(texts, every):
            if isinstance(outcome, NmtError):
                raise outcome
            assert outcome is not None, "nothing is cancelled"
            found.append(outcome)
        return found

    def translate_batch(
        self,
        texts: Sequence[str],
        options: Sequence[TranslationOptions],
        *,
        cancelled: Callable[[int], bool] | None = None,
        streamed: Collection[int] = (),
        report: Callable[[int, str], None] | None = None,
        finished: Callable[[int, Outcome], None] | None = None,
    ) -> list[Outcome]:
        """Translate texts of several users: none is harmed by what another asks for.

        Args:
            texts: as for `translate`.
            options: of each.
            cancelled: asked for the index of each text after every step of the search; once True, the text
                leaves the batch.
            streamed: the indices of the texts that are reported.
            report: called with the index of a text and what has become certain of its translation.
            finished: called with the index of a text and its outcome, as soon as it is there.

        Returns:
            of each text the translation, why it cannot be translated as asked, or None if it was cancelled.
        """
        outcomes: list[Outcome] = [None] * len(texts)
        for index, event in self._events(texts, options, cancelled, streamed):
            if isinstance(event, str):
                if report is not None:
                    report(index, event)
                continue
            outcomes[index] = event
            if finished is not None:
                finished(index, event)
        return outcomes

    def check_target(self, to: str | None, option: str = "to=") -> None:
        """Check a target language before any work; None: that of the main direction.

        Args:
            to: its code.
            option: how the user gave it, for the message.

        Raises:
            ConfigError: if the model does not translate to it.
        """
        for encoder in self._encoders:
            encoder.check(to, option)

    @property
    def directions(self) -> tuple[tuple[str, str], ...]:
        """Codes of the source and the target language of each direction, the main one first, as far as they
        are known.
        """
        main = () if self.languages is None else (self.languages,)
        return self._systems[0].directions or main

    def share_threads(self, batches: int) -> None:
        """Let the thread that calls it translate its next batches with its share of the CPU threads, if so
        many batches are translated at the same time. Other threads are not affected.
        """
        self._systems[0].share_threads(batches)

    def size(self, text: str) -> int:
        """The number of source subwords of a text, what its translation costs."""
        return len(self._systems[0].source.encode(clean(text)))

    def target_size(self, text: str) -> int:
        """The number of target subwords of a text in the target language."""
        return len(self._systems[0].finishing.target.encode(clean(text)))

    def stream(self, text: str, options: TranslationOptions | None = None, **changes: Any) -> Iterator[str]:
        """The translation of a text in pieces, as they become certain: what all hypotheses of the beam share.
        Joined, they are the text of `translate`; nothing is taken back.

        Raises:
            ConfigError: as `translate`, while iterating.
        """
        own = (options or TranslationOptions()).changed(changes)
        for _, event in self._events([text], [own], None, (0,)):
            if isinstance(event, NmtError):
                raise event
            if isinstance(event, str):
                yield event

    def alternatives(
        self,
        text: str,
        prefix: str = "",
        count: int = 5,
        options: TranslationOptions | None = None,
        *,
        cancelled: Callable[[], bool] | None = None,
        **changes: Any,
    ) -> list[Translation]:
        """Translations that begin with a prefix and differ in the next word, best first.

        Args:
            text: as for `translate`.
            prefix: characters; it may end inside a word, which the alternatives complete differently.
            count: how many, at most: fewer if no others are found.
            options, changes: as for `translate`.
            cancelled: asked after every step of the search; once True, it is given up, and what was found
                before is returned.

        Raises:
            ConfigError: as `translate`, if there is none at all.
        """
        own = (options or TranslationOptions()).changed({"nbest": count, **changes, "prefix": prefix})

        def left(_: int) -> bool:
            return cancelled is not None and cancelled()

        whole = clean_prefix(prefix) if "\n" not in prefix else prefix.lstrip()
        found: dict[str, Translation] = {}
        while len(found) < count:
            events = self._events([text], [own], left, (), tuple(found))
            outcome = next((event for _, event in events), None)
            if isinstance(outcome, NmtError) and not found:
                raise outcome
            if not isinstance(outcome, Translation):
                break
            known = len(found)
            for one in (outcome, *outcome.alternatives):
                found.setdefault(next_word(one.text.lstrip(), whole), replace(one, alternatives=()))
            if len(found) == known:
                break
        return sorted(found.values(), key=lambda one: -one.score)[:count]

    def _events(
        self,
        texts: Sequence[str],
        options: Sequence[TranslationOptions],
        cancelled: Callable[[int], bool] | None,
        streamed: Collection[int],
        excluded: Sequence[str] = (),
    ) -> Iterator[tuple[int, Outcome | str]]:
        """What happens, with the index of its text: text that has become certain, and outcomes."""
        first, finishing = self._systems[0], [one.finishing for one in self._systems]
        limit = min(one.limit for one in self._systems)
        collectors: list[Collector] = []
        jobs: list[Job] = []
        followed: dict[int, Collector] = {}
        places: list[tuple[int, int]] = []  # of each job: its text, and the segment in it
        for index, (text, own) in enumerate(zip(texts, options, strict=True)):
            document = segment(text, first.source, limit)
            collectors.append(Collector(document, own, finishing))
            try:
                self.check_target(own.to)
                check_combining(own, len(self._systems) > 1, self._reverse is not None)
                for one in finishing:
                    one.examples.check(own)
                steering = steer(document, own, first.decoding, excluded, first.is_unknown)
            except (ConfigError, RunError) as error:
                yield index, error
                continue
            if not steering:
                yield from ((index, found) for found in ended(collectors[index], index in streamed))
            if index in streamed:
                followed[len(jobs)] = collectors[index]
            for place, (part, how) in enumerate(zip(document.segments, steering, strict=True)):
                jobs.append(Job(part.text, own, how))
                places.append((index, place))
        left = None if cancelled is None else lambda job: cancelled(places[job][0])
        for event in self._searcher.search(jobs, left, Followed(followed)):
            index, place = places[event.job]
            is_left = left is not None and left(event.job)
            for found in collected(collectors[index], place, event, index in streamed, is_left):
                yield index, found

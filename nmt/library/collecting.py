"""The translation of a text, put together as its segments are found."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from nmt.data.tokenizer import Tokenizer
from nmt.decoding.result import Translation as Found
from nmt.errors import NmtError
from nmt.evaluation.confidence import Calibration
from nmt.library.assembling import assemble
from nmt.library.beam_tree import TreeNode, text_tree
from nmt.library.options import TranslationOptions
from nmt.library.search_jobs import Beginning, JobResult
from nmt.library.segments import Document
from nmt.library.settling import settled
from nmt.library.training_examples import NO_EXAMPLES, ExampleFinder
from nmt.library.translated import Translation

Outcome = Translation | NmtError | None
"""Of one text: its translation, why it cannot be translated as asked, or None if it was cancelled."""


@dataclass(frozen=True)
class Finishing:
    """What is needed to make a translation of what was found.

    Attributes:
        target: tokenizer of translations.
        calibration: of their confidence.
        examples: finds training pairs that they are like.
    """

    target: Tokenizer
    calibration: Calibration
    examples: ExampleFinder = NO_EXAMPLES


class Collector:
    """Collects what is found for the segments of one text.

    Args:
        document: the text.
        options: what is asked of its translation.
        finishing: how it is made, of each system.
    """

    def __init__(
        self, document: Document, options: TranslationOptions, finishing: Sequence[Finishing]
    ) -> None:
        self._document, self._options, self._finishing = document, options, finishing
        self._found: list[list[Found]] = [[] for _ in document.segments]
        self._missing = len(document.segments)
        self._tree: tuple[TreeNode, ...] | None = None
        self._error: NmtError | None = None
        self._next = 0  # the first segment that is not done, or not reported
        self._shown = 0  # how many characters of its translation have been reported

    @property
    def is_done(self) -> bool:
        """Whether all segments are found, or one cannot be translated."""
        return not self._missing or self._error is not None

    @property
    def next(self) -> int | None:
        """The segment that comes next in what is reported; None: there is none."""
        return None if self.is_done else self._next

    def add(self, place: int, result: JobResult) -> None:
        """Add the result of a segment."""
        self._missing -= 1
        self._found[place] = result.found
        self._error = self._error or result.error
        if result.tree is not None and len(self._found) == 1:
            self._tree = text_tree(result.tree, self._finishing[0].target)

    def outcome(self) -> Translation | NmtError:
        """The translation, or why there is none. All segments are done."""
        if self._error is not None:
            return self._error
        calibrations = [one.calibration for one in self._finishing]
        best = assemble(self._document, self._found, self._options.nbest, calibrations)
        if self._options.examples:  # of a single system: see `check_combining`
            best = replace(best, examples=self._finishing[0].examples.find(best, self._options))
        return best if self._tree is None else replace(best, tree=self._tree)

    def news(self, place: int = -1, tokens: list[int] | None = None) -> str:
        """What has become certain of the text since the last call.

        Args:
            place: a segment that is not done.
            tokens: with which its translation begins.
        """
        segments, news, more = self._document.segments, "", ""
        while self._next < len(segments) and self._found[self._next]:
            whole = segments[self._next].before + self._found[self._next][0].text
            news += whole[self._shown :]
            self._next, self._shown = self._next + 1, 0
        if self._next == len(segments):
            more = self._document.after
        elif place == self._next and tokens and (certain := settled(self._finishing[0].target, tokens)):
            more = segments[place].before + certain
        news += more[self._shown :]
        self._shown = max(self._shown, len(more))
        return news


class Followed(Collection[int]):
    """Of each text that is reported, the job whose segment comes next: of no other can anything be shown.

    Args:
        collectors: of these texts, by the number of the job of the first segment.
    """

    def __init__(self, collectors: Mapping[int, Collector]) -> None:
        self._collectors = collectors

    def __iter__(self) -> Iterator[int]:
        """Now."""
        return (first + one.next for first, one in self._collectors.items() if one.next is not None)

    def __len__(self) -> int:
        """Now."""
        return sum(1 for _ in self)

    def __contains__(self, job: object) -> bool:
        """Whether it is one of them now."""
        return any(job == one for one in self)


def collected(
    collector: Collector, place: int, event: JobResult | Beginning, streamed: bool, is_left: bool
) -> Iterator[Outcome | str]:
    """What happens to a text with an event of one of its segments."""
    before, news = collector.is_done, ""
    if isinstance(event, Beginning):
        news = collector.news(place, event.tokens)
    else:
        collector.add(place, event)
        if not collector.is_done:
            news = collector.news() if streamed else ""
        elif not before and not is_left:
            yield from ended(collector, streamed)
    if news:
        yield news


def ended(collector: Collector, streamed: bool) -> Iterator[Outcome | str]:
    """What happens to a text at its end."""
    outcome = collector.outcome()
    if streamed and isinstance(outcome, Translation) and (news := collector.news()):
        yield news
    yield outcome

"""A request on its way to the model and back, between the event loop and the thread that translates."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import NamedTuple

from nmt.errors import NmtError
from nmt.library.options import TranslationOptions
from nmt.server.engine import Outcome, Result


class Job:
    """The texts of one request. They are translated in any batches, with those of other requests.

    Args:
        texts: at least one.
        options: of all texts.
        costs: of each text, in source pieces × beam size.
        count: for alternatives of the next word after `options.prefix`: how many; None: translations.
        report: for one text: called with what is newly certain of its translation.

    Attributes:
        future: its result, in the order of the texts; or the alternatives. Cancelling it gives the request
            up.
    """

    def __init__(
        self,
        texts: Sequence[str],
        options: TranslationOptions,
        costs: Sequence[int],
        *,
        count: int | None = None,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self.texts, self.options, self.costs, self.count = texts, options, costs, count
        self.future: Future[list[Result]] = Future()
        self.streamed = report is not None
        self._report = report
        self._found: dict[int, Result] = {}
        self._sent = self._seen = 0

    def cancelled(self) -> bool:
        """Whether nobody waits for it any longer."""
        return self.future.cancelled()

    def deliver(self, number: int, outcome: Outcome) -> None:
        """Hand over the outcome of a text; an error is that of the whole request."""
        if isinstance(outcome, NmtError):
            self.fail(outcome)
        elif outcome is None:
            self.future.cancel()
        else:
            self._found[number] = outcome
            if len(self._found) == len(self.texts):
                self.finish([self._found[i] for i in range(len(self.texts))])

    def finish(self, results: list[Result]) -> None:
        """Set the result, unless it was cancelled or has failed."""
        with suppress(InvalidStateError):
            self.future.set_result(results)

    def fail(self, error: Exception) -> None:
        """Set an error as the result, likewise."""
        with suppress(InvalidStateError):
            self.future.set_exception(error)

    def report(self, piece: str) -> None:
        """Pass on what is newly certain; after `restart`, only what was not yet."""
        assert self._report is not None
        new = piece[max(self._sent - self._seen, 0) :]
        self._seen += len(piece)
        self._sent = max(self._sent, self._seen)
        if new:
            self._report(new)

    def restart(self) -> None:
        """What is reported from now on begins at the beginning again."""
        self._seen = 0


class Unit(NamedTuple):
    """A text of a job: what batches are made of."""

    job: Job
    number: int

    @property
    def text(self) -> str:
        """The text."""
        return self.job.texts[self.number]

    @property
    def cost(self) -> int:
        """In source pieces × beam size."""
        return self.job.costs[self.number]

    @property
    def over(self) -> bool:
        """Whether its job needs no more results: cancelled, or failed for another of its texts."""
        return self.job.future.done()

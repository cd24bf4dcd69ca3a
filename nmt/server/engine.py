"""What the server needs of a model: `nmt.Translator` has it, and so has the fake one of the tests."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from nmt.errors import NmtError
from nmt.library.options import TranslationOptions


class Result(Protocol):
    """A translation; see `nmt.library.translated.Translation`."""

    @property
    def text(self) -> str:
        """The translation."""
        ...

    @property
    def alternatives(self) -> Sequence["Result"]:
        """The others of the n best."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """As values that JSON can express."""
        ...


Outcome = Result | NmtError | None
"""Of one text: a translation, why it cannot be translated as asked, or None if it was given up."""


class Engine(Protocol):
    """A model that translates batches. Several threads can use it at the same time.

    Attributes:
        heads: number of attention heads.
    """

    heads: int

    @property
    def languages(self) -> tuple[str, str] | None:
        """The codes of the source and the target language, as far as known."""
        ...

    @property
    def directions(self) -> Sequence[tuple[str, str]]:
        """The codes of the source and the target language of each direction, as far as known."""
        ...

    @property
    def targets(self) -> Sequence[str]:
        """The languages that the option `to` may name; none: there is one direction."""
        ...

    @property
    def beam_size(self) -> int:
        """The beam size of a request that names none."""
        ...

    def share_threads(self, batches: int) -> None:
        """Let the thread that calls it translate its next batches with its share of the processors, if so
        many batches are translated at the same time.
        """
        ...

    def size(self, text: str) -> int:
        """The number of source pieces of a text."""
        ...

    def target_size(self, text: str) -> int:
        """The number of pieces of a text in the target language."""
        ...

    def translate_batch(
        self,
        texts: Sequence[str],
        options: Sequence[TranslationOptions],
        *,
        cancelled: Callable[[int], bool],
        report: Callable[[int, str], None] | None = None,
        streamed: Sequence[int] = (),
        finished: Callable[[int, Outcome], None] | None = None,
    ) -> Sequence[Outcome]:
        """Translate texts, each with its own options.

        Args:
            texts: of any length.
            options: of each text.
            cancelled: asked for the index of each text after every step of the search; once True, the text
                leaves the batch.
            report: called with the index of a text of `streamed` and what is newly certain of its
                translation.
            streamed: the texts that are reported.
            finished: called with the index of each text and its outcome, as soon as its own search is done.
        """
        ...

    def alternatives(
        self,
        text: str,
        prefix: str,
        count: int,
        options: TranslationOptions,
        *,
        cancelled: Callable[[], bool],
    ) -> Sequence[Result]:
        """Translations that begin with a prefix and differ in the next word, best first.

        Args:
            text: of any length.
            prefix: characters.
            count: how many.
            options: what else is asked of them.
            cancelled: asked after every step of the search; once True, it is given up.

        Raises:
            NmtError: if there are none.
        """
        ...

"""`nmt.Translator` as the server needs it."""

from collections.abc import Callable, Sequence

from nmt.library.api import Translator
from nmt.library.options import TranslationOptions
from nmt.library.translated import Translation
from nmt.server.engine import Outcome


class TranslatorEngine:
    """A translator.

    Args:
        translator: the translator.
        languages: the codes of its languages, if they are to be others than those that it knows.
    """

    def __init__(self, translator: Translator, languages: tuple[str, str] | None = None) -> None:
        self._translator = translator
        self.heads, self.beam_size = translator.heads, translator.beam_size
        self.languages = languages or translator.languages
        self.size = self.target_size = translator.size

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
        """As in `Engine`."""
        found = self._translator.translate_batch(texts, options, cancelled=cancelled)
        for index in streamed:
            outcome = found[index]
            if report is not None and isinstance(outcome, Translation):
                report(index, outcome.text)
        return found

    def alternatives(self, text: str, prefix: str, count: int) -> Sequence[Translation]:
        """As in `Engine`."""
        return self._translator.alternatives(text, prefix, count)

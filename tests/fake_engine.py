"""A model for the server that translates to upper case, a word per step, and can be held up at any step."""

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

from nmt.errors import ConfigError
from nmt.library.options import TranslationOptions
from nmt.library.translated import Translation

IMPOSSIBLE, BROKEN = "impossible", "broken"
"""Texts that cannot be translated as asked, and that are an internal error."""


class FakeEngine:
    """The fake model.

    Attributes:
        held: set while a step waits.
        batches: the texts of each batch.
        live: for each step of each batch, the texts still in it.
        shares: for each batch, how many were translated at the time.
    """

    heads, beam_size = 1, 2

    def __init__(self, languages: tuple[str, str] | None = ("eng", "mar")) -> None:
        self.languages = languages
        self.directions, self.targets = () if languages is None else (languages,), ()
        self.shares: list[int] = []
        self.held = threading.Event()
        self._changed, self._steps = threading.Condition(), math.inf
        self.batches: list[list[str]] = []
        self.live: list[list[str]] = []

    def share_threads(self, batches: int) -> None:
        """As in `Engine`."""
        self.shares.append(batches)

    def size(self, text: str) -> int:
        """English: a piece per word."""
        return len(text.split())

    def target_size(self, text: str) -> int:
        """The other language: a piece per letter, or per word in capitals."""
        return sum(1 if word.isupper() else len(word) for word in text.split())

    def translate_batch(
        self,
        texts: Sequence[str],
        options: Sequence[TranslationOptions],
        *,
        cancelled: Callable[[int], bool],
        report: Callable[[int, str], None] | None = None,
        streamed: Sequence[int] = (),
        finished: Callable[[int, Any], None] | None = None,
    ) -> list[Translation | ConfigError | None]:
        """As in `Engine`."""
        self.batches.append(list(texts))
        longest = max(len(text.split()) for text in texts)
        gone: set[int] = set()
        for step in range(longest):
            self._step()
            gone |= {i for i in range(len(texts)) if cancelled(i)}
            self.live.append([text for i, text in enumerate(texts) if i not in gone])
            if len(gone) == len(texts):
                break
            for i in set(streamed) - gone:
                words = texts[i].upper().split()
                if texts[i] != IMPOSSIBLE and step < len(words) and report is not None:
                    report(i, ("" if step == 0 else " ") + words[step])
            for i, text in enumerate(texts):
                if finished and i not in gone and len(text.split()) == step + 1 and BROKEN not in texts:
                    finished(i, self._outcome(text, options[i]))
        if BROKEN in texts:
            raise RuntimeError("the model is broken")
        return [
            None if i in gone else self._outcome(text, own)
            for i, (text, own) in enumerate(zip(texts, options, strict=True))
        ]

    def alternatives(
        self,
        text: str,
        prefix: str,
        count: int,
        options: TranslationOptions,
        *,
        cancelled: Callable[[], bool],
    ) -> list[Translation]:
        """As in `Engine`: a step per word; the required phrases come last."""
        for _ in text.split():
            self._step()
            self.live.append([] if cancelled() else [text])
            if cancelled():
                return []
        ending = "".join(options.required)
        return [self._translation(text, f"{prefix}{number}{ending}") for number in range(count)]

    def hold(self) -> None:
        """Let the next step wait."""
        self.go(0)

    def go(self, steps: float = math.inf) -> None:
        """Let so many steps be taken."""
        with self._changed:
            self._steps = steps
            self._changed.notify_all()

    def _step(self) -> None:
        with self._changed:
            while self._steps < 1:
                self.held.set()
                assert self._changed.wait(30)
            self.held.clear()
            self._steps -= 1

    def _outcome(self, text: str, own: TranslationOptions) -> Translation | ConfigError:
        if text == IMPOSSIBLE:
            return ConfigError("required: impossible")
        others = tuple(self._translation(text, f"{text.upper()} {n}") for n in range(1, own.nbest))
        return self._translation(text, own.prefix + text.upper(), others)

    def _translation(self, source: str, text: str, others: tuple[Translation, ...] = ()) -> Translation:
        return Translation(source, text, -1.0, -2.0, alternatives=others)

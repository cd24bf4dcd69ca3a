"""`nmt.Translator`: translate text with trained runs, from Python.

    translator = nmt.Translator.load("runs/latest")
    (translation,) = translator.translate(["Rahul is a good boy."], nbest=3, attention=True)
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nmt.library.options import TranslationOptions
from nmt.library.translated import Translation


class Translator:
    """Translates texts. Several threads can use it at the same time.

    Attributes:
        name: of the run (its folder), or of all runs of an ensemble, joined by "+".
        heads: number of attention heads; 0: the model has none.
    """

    name: str
    heads: int

    @classmethod
    def load(cls, *runs: str | Path, device: str = "auto", threads: int | None = None) -> "Translator":
        """Load a run, several runs as an ensemble, or a folder written by `nmt.export`.

        Args:
            runs: run folders; "runs/latest" is the newest run.
            device: auto (a CUDA GPU if available, else the CPU), cpu, cuda, cuda:1 … or mps.
            threads: CPU threads of the whole process (default: one per core).

        Raises:
            RunError: if a run is missing or corrupt.
            ConfigError: if runs of an ensemble do not have the same tokenizers, or there is no such device.
        """
        raise NotImplementedError

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
            ConfigError: for an option that is out of range, or a constraint that cannot be met.
        """
        raise NotImplementedError

    def size(self, text: str) -> int:
        """The number of source subwords of a text, what its translation costs."""
        raise NotImplementedError

    def stream(self, text: str, options: TranslationOptions | None = None, **changes: Any) -> Iterator[str]:
        """The translation of a text in pieces, as they become certain: what all hypotheses of the beam share.
        Joined, they are the text of `translate`; nothing is taken back.
        """
        raise NotImplementedError

    def alternatives(
        self, text: str, prefix: str = "", count: int = 5, **changes: Any
    ) -> list[Translation]:
        """Translations that begin with `prefix` and differ in the next word, best first."""
        raise NotImplementedError

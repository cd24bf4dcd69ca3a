"""`nmt.Translator`: translate text with trained runs, from Python.

translator = nmt.Translator.load("runs/latest")
(translation,) = translator.translate(["Rahul is a good boy."], nbest=3, attention=True)
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nmt.data.text import clean
from nmt.errors import ConfigError, NmtError
from nmt.library.assembling import assemble
from nmt.library.loading import Loaded, load_runs
from nmt.library.options import TranslationOptions
from nmt.library.searching import Job, search
from nmt.library.segments import segment
from nmt.library.translated import Translation


class Translator:
    """Translates texts. Several threads can use it at the same time.

    Attributes:
        name: of the run (its folder), or of all runs of an ensemble, joined by "+".
        heads: number of attention heads; 0: the model has none.
        languages: codes of the source and the target language, as far as the run knows them.
        beam_size: of a translation whose options name none.
    """

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self.name, self.heads, self.languages = loaded.name, loaded.heads, loaded.languages
        self.beam_size = loaded.decoding.beam_size

    @classmethod
    def load(
        cls,
        *runs: str | Path,
        device: str = "auto",
        threads: int | None = None,
        batch_tokens: int | None = None,
    ) -> "Translator":
        """Load a run, several runs as an ensemble, or a folder written by `nmt.export`.

        Args:
            runs: run folders (default: runs/latest, the newest run).
            device: auto (a CUDA GPU if available, else the CPU), cpu, cuda, cuda:1 … or mps.
            threads: CPU threads of the whole process (default: one per core).
            batch_tokens: batch size in source subwords × beam size; results do not depend on it (default:
                decoding.batch_tokens of the run).

        Raises:
            RunError: if a run is missing or corrupt.
            ConfigError: if runs of an ensemble do not have the same tokenizers, or there is no such device.
        """
        loaded = load_runs([Path(run) for run in runs or ("runs/latest",)], device, threads)
        if batch_tokens is not None:
            loaded = replace(loaded, decoding=replace(loaded.decoding, batch_tokens=batch_tokens))
        return cls(loaded)

    def translate(
        self,
        texts: Sequence[str],
        options: TranslationOptions | Sequence[TranslationOptions] | None = None,
        **changes: Any,
    ) -> list[Translation]:
        """Translate each text, in order. A result depends on nothing but its text and its options.

        Args:
            texts: any text, of any length and number of lines; N texts give N translations.
            options: of all texts, or of each. If one is for all, samples of the texts differ in `number`.
            changes: fields of `TranslationOptions`, by name, instead of those of `options`.

        Raises:
            ConfigError: for an option that is out of range, or a constraint that cannot be met.
        """
        if isinstance(texts, str):
            raise ConfigError("texts: a list of texts is needed; put the text in a list")
        if options is None or isinstance(options, TranslationOptions):
            one = (options or TranslationOptions()).changed(changes)
            every = [replace(one, number=one.number + i) if one.sample else one for i in range(len(texts))]
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
    ) -> list[Translation | NmtError | None]:
        """Translate texts of several users: none is harmed by what another asks for.

        Args:
            texts: as for `translate`.
            options: of each.
            cancelled: asked for the index of each text after every step of the search; once True, the text
                leaves the batch.

        Returns:
            of each text the translation, why it cannot be translated as asked, or None if it was cancelled.
        """
        loaded = self._loaded
        documents = [segment(text, loaded.source, loaded.limit) for text in texts]
        jobs = [
            Job(part.text, own)
            for document, own in zip(documents, options, strict=True)
            for part in document.segments
        ]
        found = iter(search(loaded.make, loaded.decoding, jobs))
        return [
            assemble(document, [next(found) for _ in document.segments], own.nbest, loaded.calibration)
            for document, own in zip(documents, options, strict=True)
        ]

    def size(self, text: str) -> int:
        """The number of source subwords of a text, what its translation costs."""
        return len(self._loaded.source.encode(clean(text)))

    def stream(self, text: str, options: TranslationOptions | None = None, **changes: Any) -> Iterator[str]:
        """The translation of a text in pieces, as they become certain: what all hypotheses of the beam share.
        Joined, they are the text of `translate`; nothing is taken back.
        """
        raise NotImplementedError

    def alternatives(self, text: str, prefix: str = "", count: int = 5, **changes: Any) -> list[Translation]:
        """Translations that begin with `prefix` and differ in the next word, best first."""
        raise NotImplementedError

"""Several translators as one, which chooses among the candidates of all; or one with a reverse model."""

from collections.abc import Collection, Sequence

from nmt.data.target_languages import SourceEncoder
from nmt.data.text import clean
from nmt.decoding.reranking import TOGETHER, Pool, Reranker, combined_heads, for_candidates
from nmt.decoding.result import Translation
from nmt.decoding.translator import Translator


class CombinedTranslator:
    """Translates text. Several threads can use it at the same time.

    Each translator searches by itself, with its own tokenizers and settings.

    Args:
        translators: of the same languages.
        reranker: chooses.

    Attributes:
        config: settings of the first.
        heads: number of attention heads in a translation; 0 if a model has none.
    """

    def __init__(self, translators: Sequence[Translator], reranker: Reranker) -> None:
        self.config = translators[0].config
        self._reranker = reranker
        self._translators = [
            Translator(one.model, one.source, one.target, for_candidates(one.config, self.config))
            for one in translators
        ]
        self.heads = combined_heads([one.heads for one in translators])

    @property
    def encode(self) -> SourceEncoder:
        """That of the first."""
        return self._translators[0].encode

    def translate(
        self,
        texts: Sequence[str],
        nbest: int = 1,
        attention: bool | Collection[int] = False,
        to: str | None = None,
    ) -> list[list[Translation]]:
        """The `nbest` best candidates of each text, best first; at most as many as there are.

        Args:
            texts, attention, to: as for `Translator.translate`.
        """
        results: list[list[Translation]] = []
        for start in range(0, len(texts), TOGETHER):
            wanted = attention if isinstance(attention, bool) else {index - start for index in attention}
            for ranked in self._translate(texts[start : start + TOGETHER], wanted, to):
                results.append(ranked[:nbest])
        return results

    def _translate(
        self, texts: Sequence[str], attention: bool | Collection[int], to: str | None
    ) -> list[list[Translation]]:
        config = self.config
        found = [one.translate(texts, config.candidates, attention, to) for one in self._translators]
        pools = [
            Pool(clean(text), lists, config.method == "sample", config.reverse_weight)
            for text, lists in zip(texts, zip(*found, strict=True), strict=True)
        ]
        return self._reranker.rank(pools)

"""The encoded source as a prepared model keeps it during search.

Shapes: b sentences, S source length, E size of a source embedding.
"""

from dataclasses import dataclass

from torch import Tensor

from nmt.model.decoders.decoder import Selectable
from nmt.model.inference.layout import Layout


@dataclass(frozen=True)
class SearchMemory:
    """The encoded source, once per sentence, however many hypotheses the sentence has."""

    source: Selectable
    """What the decoder attends to, b rows."""
    embeddings: Tensor | None
    """[b, S, E], for the lexical model; None if there is none."""
    layout: Layout

    def select(self, index: Tensor) -> "SearchMemory":
        """Select sentences by index, with one row each."""
        return self.arrange(index, Layout(len(index)))

    def arrange(self, sentences: Tensor | None, layout: Layout) -> "SearchMemory":
        """Select sentences (None: all), whose rows are those of `layout`."""
        if sentences is None:
            return SearchMemory(self.source, self.embeddings, layout)
        embeddings = None if self.embeddings is None else self.embeddings.index_select(0, sentences)
        return SearchMemory(self.source.select(sentences), embeddings, layout)

"""The translator: text cleaning, tokenization, search, detokenization, and the attention of the result.

Shapes: K heads, S source subwords and T target subwords, both including end-of-sentence as the last one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.config.training import DecodingConfig
from nmt.data.alignment import (
    Link,
    argmax_links,
    merge_to_words,
    piece_groups,
    shift_rows,
    threshold_links,
)
from nmt.data.batches import collate, pad, sorted_batches
from nmt.data.text import clean, word_spans
from nmt.data.tokenizer import BOS, EOS, EOS_PIECE, PAD, UNK, Tokenizer, Tokens
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.search import search
from nmt.model.translation import TranslationModel


@dataclass(frozen=True)
class Translation:
    """A source sentence, its translation, and the attention weights.

    Attributes:
        source, target: text, subwords and their character spans.
        log_probability: natural logarithm, summed over the subwords, end-of-sentence included.
        score: score used for ranking.
        heads: attention of each head, [K, T, S], float32; K is 0 if the model has none. The last column
            is the source's end-of-sentence; the last row is the translation's, if it is finished.
        finished: False if it was truncated at the length limit.
    """

    source: Tokens
    target: Tokens
    log_probability: float
    score: float
    heads: NDArray[np.float32]
    finished: bool

    @property
    def attention(self) -> NDArray[np.float32]:
        """Attention averaged over the heads, [T, S]; zeros if the model has none."""
        K = len(self.heads)
        total: NDArray[np.float32] = self.heads.sum(axis=0)
        return total / np.float32(K) if K > 1 else total

    @property
    def text(self) -> str:
        """The translation as one line of cleaned text."""
        return clean(self.target.text)

    def source_pieces(self) -> list[str]:
        """Labels of the columns of `attention`."""
        return [*self.source.pieces, EOS_PIECE]

    def target_pieces(self) -> list[str]:
        """Labels of the rows of `attention`."""
        return [*self.target.pieces, *([EOS_PIECE] if self.finished else [])]

    def links(self, shift: int = 0, threshold: float | None = None) -> frozenset[Link]:
        """Alignment links between words, without end-of-sentence: for each target word the source word it
        attends to most, or all source words with an attention weight of at least `threshold`.

        Args:
            shift: use the attention this many steps after the step that generates a subword (see
                `shift_rows`).
            threshold: None: the best source word of each target word.
        """
        weights = self.words(shift)[0][: len(word_spans(self.target.text)), :-1]
        return argmax_links(weights) if threshold is None else threshold_links(weights, threshold)

    def words(self, shift: int = 0) -> tuple[NDArray[np.floating[Any]], list[str], list[str]]:
        """Word-level attention, and the source and target words; end-of-sentence counts as the last word.

        Rows are averaged over a word's subwords, columns summed (see `merge_to_words`).

        Args:
            shift: as for `links`.
        """
        columns, source_words = _word_groups(self.source, ends=True)
        rows, target_words = _word_groups(self.target, ends=self.finished)
        return merge_to_words(shift_rows(self.attention, shift), columns, rows), source_words, target_words


def _word_groups(tokens: Tokens, ends: bool) -> tuple[list[list[int]], list[str]]:
    """The subwords of each word, and the words; if `ends`, end-of-sentence is added as a word."""
    spans = word_spans(tokens.text)
    groups = piece_groups(tokens.spans, spans)
    names = [tokens.text[start:end] for start, end in spans]
    if ends:
        groups, names = [*groups, [len(tokens.ids)]], [*names, EOS_PIECE]
    return groups, names


class Translator:
    """Translates text with a model.

    Args:
        model: the model; it is put in evaluation mode during translation.
        source, target: the tokenizers.
        config: beam size, length penalty and limits.
    """

    def __init__(
        self, model: TranslationModel, source: Tokenizer, target: Tokenizer, config: DecodingConfig
    ) -> None:
        self.model, self.source, self.target, self.config = model, source, target, config
        self.device = next(model.parameters()).device
        self.heads = model.decoder.heads
        """Number of attention heads in a translation; 0: the model has none."""

    @torch.inference_mode()
    def translate(self, texts: Sequence[str], nbest: int = 1) -> list[list[Translation]]:
        """The `nbest` best translations of each text, best first. A blank text has one blank translation.

        Args:
            texts: any text; it is cleaned in the same way as the training text.
            nbest: at most the beam size.

        Raises:
            NmtError: if the model returns NaN, or probability zero for every allowed token.
            ConfigError: if `nbest` is larger than the beam size.
        """
        was_training = self.model.training
        self.model.eval()
        sources = [self.source.cut(clean(text)) for text in texts]
        nothing = Tokens("", [], [], [])
        blank = Translation(nothing, nothing, 0.0, 0.0, np.zeros((self.heads, 0, 1), "f4"), False)
        results = [[blank] for _ in texts]
        todo = [i for i, tokens in enumerate(sources) if tokens.ids]
        budget = max(1, self.config.batch_tokens // self.config.beam_size)
        for batch in sorted_batches([len(sources[i].ids) + 1 for i in todo], budget):
            chosen = [todo[k] for k in batch]
            found = self._search([sources[i].ids for i in chosen], nbest)
            for i, hypotheses in zip(chosen, found, strict=True):
                results[i] = [self._translation(sources[i], hypothesis) for hypothesis in hypotheses]
        self.model.train(was_training)
        return results

    def _search(self, sources: list[list[int]], nbest: int) -> list[list[Hypothesis]]:
        tokens, mask = pad([[*sentence, EOS] for sentence in sources])
        tokens, mask = tokens.to(self.device), mask.to(self.device)
        state, memory = self.model.encode(tokens, mask)
        return search(
            self.model,
            state,
            memory,
            beam_size=self.config.beam_size,
            max_lengths=self._limits(mask),
            length_penalty=self.config.length_penalty,
            bos=BOS,
            eos=EOS,
            nbest=nbest,
            forbidden=(PAD, UNK),
        )

    def _limits(self, mask: Tensor) -> Tensor:
        """Maximum length of each translation in subwords, [B]."""
        config = self.config
        by_source = (mask.sum(dim=1) * config.max_length_factor).long() + config.max_length_extra
        return by_source.clamp(max=config.max_length)

    def _translation(self, source: Tokens, hypothesis: Hypothesis) -> Translation:
        heads = hypothesis.attention[:, :, : len(source.ids) + 1].transpose(0, 1).numpy()  # [K, T, S]
        return Translation(
            source,
            self.target.join(hypothesis.tokens),
            hypothesis.log_probability,
            hypothesis.score,
            heads,
            hypothesis.finished,
        )

    @torch.inference_mode()
    def align(self, sources: Sequence[str], targets: Sequence[str]) -> list[Translation]:
        """Forced decoding: score given translations, with their attention.

        Args:
            sources, targets: texts that are not empty after cleaning.
        """
        was_training = self.model.training
        self.model.eval()
        cut = [
            (self.source.cut(clean(source)), self.target.cut(clean(target)))
            for source, target in zip(sources, targets, strict=True)
        ]
        lengths = [max(len(source.ids), len(target.ids)) + 1 for source, target in cut]
        results: list[Translation | None] = [None] * len(cut)
        for chosen in sorted_batches(lengths, self.config.batch_tokens):
            for i, aligned in zip(chosen, self._force([cut[i] for i in chosen]), strict=True):
                results[i] = aligned
        self.model.train(was_training)
        return [result for result in results if result is not None]

    def _force(self, pairs: list[tuple[Tokens, Tokens]]) -> list[Translation]:
        batch = collate([source.ids for source, _ in pairs], [target.ids for _, target in pairs])
        batch = batch.to(self.device)
        logits, weights = self.model(batch.source, batch.source_mask, batch.previous, batch.target_mask)
        chosen = logits.float().log_softmax(dim=-1).gather(1, batch.target[batch.target_mask].unsqueeze(1))
        sums = chosen.squeeze(1).split([len(target.ids) + 1 for _, target in pairs])
        results = []
        for k, (source, target) in enumerate(pairs):
            heads = weights[k, :, : len(target.ids) + 1, : len(source.ids) + 1].float().cpu().numpy()
            total = float(sums[k].sum())
            score = total / (len(target.ids) + 1) ** self.config.length_penalty
            results.append(Translation(source, target, total, score, heads, finished=True))
        return results

"""The translator: text cleaning, tokenization, search, detokenization.

Shapes: B sentences, H attention heads, S source subwords and T target subwords, both including
end-of-sentence as the last one.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from nmt.config.decoding import DecodingConfig
from nmt.data.grouping import pad, sorted_batches
from nmt.data.target_languages import SourceEncoder
from nmt.data.text import clean
from nmt.data.tokenizer import BOS, EOS, PAD, UNK, Tokenizer, Tokens
from nmt.decoding.constraint import Constraint
from nmt.decoding.constraints.combined import All
from nmt.decoding.constraints.pieces import Pieces
from nmt.decoding.constraints.repeated_ngrams import NoRepeatedNgrams
from nmt.decoding.constraints.well_formed import WellFormedBytes
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.interface import Floats, SearchModel, SearchOptions
from nmt.decoding.methods import Decoding, begin, hypotheses_per_sentence, is_random
from nmt.decoding.ranking import length_norms
from nmt.decoding.result import Translation
from nmt.decoding.sources import Sources, Special

SPECIAL = Special(BOS, EOS, (PAD, UNK))


class Translator:
    """Translates text with a model. Several threads can use it at the same time.

    Args:
        model: the model, in evaluation mode.
        source, target: the tokenizers.
        config: beam size, scores and limits.

    Attributes:
        heads: number of attention heads in a translation; 0: the model has none.
        encode: source text → pieces, with the tag for the language of its translation.
    """

    def __init__(
        self,
        model: SearchModel[Any],
        source: Tokenizer,
        target: Tokenizer,
        config: DecodingConfig,
    ) -> None:
        self.source, self.target, self.config = source, target, config
        self.model, self.heads = model, model.heads
        self.encode = SourceEncoder(source)

    def translate(
        self,
        texts: Sequence[str],
        nbest: int = 1,
        attention: bool | Collection[int] = False,
        to: str | None = None,
    ) -> list[list[Translation]]:
        """The `nbest` best translations of each text, best first, by `config.method`: with sampling, so many
        draws. A blank text has one blank translation.

        A result depends on the text and the settings only, also a random one: not on the other texts.

        Args:
            texts: any text; it is cleaned in the same way as the training text.
            nbest: at most the beam size.
            attention: whether the translations have their attention, or the indices of the texts for which
                they have. Nothing is kept or copied from the device for the others.
            to: the target language, of a model that knows several; None: that of the main direction.

        Raises:
            NmtError: if the model returns NaN, or probability zero for every allowed token.
            ConfigError: if `nbest` is larger than the beam size, or for an unknown target language.
        """
        sources = [self.encode(text, to) for text in texts]
        wanted = _indices(attention, len(texts))
        results = [[self._blank(i in wanted)] for i in range(len(texts))]
        for chosen in self.batches(sources, nbest):
            rows = frozenset(row for row, i in enumerate(chosen) if i in wanted)
            search = self.search(self.prepare([sources[i] for i in chosen]), SearchOptions(nbest, rows))
            while search.active:
                search.step()
            for i, hypotheses in zip(chosen, search.hypotheses(range(len(chosen))), strict=True):
                results[i] = [self.translation(sources[i], hypothesis) for hypothesis in hypotheses]
        return results

    def _blank(self, attention: bool) -> Translation:
        """The translation of a blank text."""
        nothing, weights = Tokens("", [], [], []), np.zeros((self.heads, 0, 1), "f4")
        return Translation(nothing, nothing, 0.0, 0.0, weights if attention else None, False, [])

    def batches(self, sources: Sequence[Tokens], nbest: int = 1) -> Iterator[list[int]]:
        """The indices of the sources that are not blank, in batches of similar lengths.

        Args:
            sources: texts as pieces.
            nbest: number of translations of each.
        """
        todo = [i for i, tokens in enumerate(sources) if tokens.ids]
        max_tokens = max(1, self.config.batch_tokens // hypotheses_per_sentence(self.config, nbest))
        for batch in sorted_batches([len(sources[i].input_ids) + 1 for i in todo], max_tokens):
            yield [todo[k] for k in batch]

    def prepare(self, sources: Sequence[Tokens]) -> Sources:
        """A batch of sources, none of them blank, with the maximum lengths of their translations."""
        config, (tokens, mask) = self.config, pad([source.input_ids for source in sources], last=EOS)
        longest = (mask.sum(axis=1) * config.max_length_factor).astype(np.int64) + config.max_length_extra
        return Sources(tokens, mask, np.clip(longest, config.min_length + 1, config.max_length))

    def search(self, batch: Sources, options: SearchOptions) -> Decoding:
        """Translate a batch that `prepare` has made, by `config.method`; not yet begun. `no_repeat_ngram` of
        the settings is a constraint on the sentences that have no other, which would include it. Samples are
        valid UTF-8.
        """
        if self.config.no_repeat_ngram:
            blocking = NoRepeatedNgrams(self.config.no_repeat_ngram)
            constraints = dict.fromkeys(range(len(batch.limits)), blocking) | options.constraints
            options = replace(options, constraints=constraints)
        if is_random(self.config) and self._well_formed_bytes:
            options = replace(
                options, constraints=self._well_formed(batch.limits.tolist(), options.constraints)
            )
        return begin(self.model, batch, self.config, SPECIAL, options, self.text)

    def _well_formed(
        self, limits: Sequence[int], constraints: Mapping[int, Constraint]
    ) -> dict[int, Constraint]:
        """The constraints of each sentence, and that of valid UTF-8."""
        assert self._well_formed_bytes is not None
        found: dict[int, Constraint] = {}
        for row, limit in enumerate(limits):
            valid = self._well_formed_bytes.within(limit)
            found[row] = All((constraints[row], valid)) if row in constraints else valid
        return found

    @cached_property
    def _well_formed_bytes(self) -> WellFormedBytes | None:
        byte_tokens = Pieces(self.target).byte_tokens
        return WellFormedBytes(byte_tokens) if byte_tokens else None

    def text(self, tokens: list[int]) -> str:
        """Target pieces as one line of cleaned text."""
        return clean(self.target.decode(tokens))

    def translation(self, source: Tokens, hypothesis: Hypothesis) -> Translation:
        """A hypothesis for a source as text."""
        weights = None
        if hypothesis.attention is not None:
            weights = _of_pieces(hypothesis.attention, source).swapaxes(0, 1)  # [H, T, S]
        return Translation(
            source,
            self.target.decode_with_offsets(hypothesis.tokens),
            hypothesis.log_probability,
            hypothesis.score,
            weights,
            hypothesis.finished,
            hypothesis.log_probabilities,
        )

    def align(
        self,
        sources: Sequence[str],
        targets: Sequence[str],
        attention: bool = False,
        to: str | None = None,
    ) -> list[Translation]:
        """Forced decoding: score given translations.

        Args:
            sources, targets: texts that are not empty after cleaning.
            attention: whether the results have their attention.
            to: the target language, as for `translate`.
        """
        encoded = [
            (self.encode(source, to), self.target.encode_with_offsets(clean(target)))
            for source, target in zip(sources, targets, strict=True)
        ]
        return self.force_decode(encoded, attention)

    def force_decode(
        self, pairs: Sequence[tuple[Tokens, Tokens]], attention: bool = False
    ) -> list[Translation]:
        """Forced decoding of given subwords, such as those of hypotheses that have ended.

        Args:
            pairs: source and target of each.
            attention: whether the results have their attention.
        """
        lengths = [max(len(source.input_ids), len(target.ids)) + 1 for source, target in pairs]
        results: list[Translation | None] = [None] * len(pairs)
        for chosen in sorted_batches(lengths, self.config.batch_tokens):
            found = self._force_decode([pairs[i] for i in chosen], attention)
            for i, aligned in zip(chosen, found, strict=True):
                results[i] = aligned
        return [result for result in results if result is not None]

    def _force_decode(self, pairs: list[tuple[Tokens, Tokens]], attention: bool) -> list[Translation]:
        source, source_mask = pad([source.input_ids for source, _ in pairs], last=EOS)
        previous, _ = pad([target.ids for _, target in pairs], first=BOS)
        target, target_mask = pad([target.ids for _, target in pairs], last=EOS)
        scores, all_weights = self.model.score(source, source_mask, previous, target, target_mask, attention)
        norms = length_norms(target.shape[1], self.config)
        results = []
        for k, (source_tokens, target_tokens) in enumerate(pairs):
            T = len(target_tokens.ids) + 1
            parts = scores[k, :T].astype(np.float64)
            total = float(parts.sum())
            weights = None if all_weights is None else _of_pieces(all_weights[k, :, :T], source_tokens)
            score = total / float(norms[T - 1])
            results.append(
                Translation(source_tokens, target_tokens, total, score, weights, True, parts.tolist())
            )
        return results


def _of_pieces(weights: Floats, source: Tokens) -> Floats:
    """Attention [..., padded] to the pieces of a source and its end-of-sentence, [..., S], as a copy. What is
    attended to the tag counts as attention to end-of-sentence: neither is of a word.
    """
    first = len(source.input_ids) - len(source.ids)
    found = weights[..., first : first + len(source.ids) + 1].copy()
    found[..., -1] += weights[..., :first].sum(axis=-1)
    return found


def _indices(attention: bool | Collection[int], count: int) -> Collection[int]:
    """The indices of the texts whose attention is wanted."""
    if isinstance(attention, bool):
        return range(count) if attention else ()
    return attention

"""The translator: text cleaning, tokenization, search or sampling, detokenization.

Shapes: B sentences, K heads, S source subwords and T target subwords, both including end-of-sentence as the
last one.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from nmt.config.training import DecodingConfig
from nmt.data.batches import collate, pad
from nmt.data.batching import sorted_batches
from nmt.data.text import clean
from nmt.data.tokenizer import BOS, EOS, PAD, UNK, Tokenizer, Tokens
from nmt.decoding.greedy import check_temperature, sample
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.interface import InferenceModel
from nmt.decoding.result import Translation
from nmt.decoding.search import beam_search
from nmt.model.decoders.decoder import MemoryT, StateT


class Translator:
    """Translates text with a model. Several threads can use it at the same time.

    Args:
        model: the model, in evaluation mode.
        source, target: the tokenizers.
        config: beam size, length penalty and limits.

    Attributes:
        heads: number of attention heads in a translation; 0: the model has none.
    """

    def __init__(
        self,
        model: InferenceModel[StateT, MemoryT],
        source: Tokenizer,
        target: Tokenizer,
        config: DecodingConfig,
    ) -> None:
        self.source, self.target, self.config = source, target, config
        self.device, self.heads, self._model = model.device, model.heads, model
        self._search, self._sample = partial(_search, model), partial(_sample, model)
        self._score = model.score

    def configured(self, config: DecodingConfig) -> "Translator":
        """A translator with the same model, and these settings."""
        return Translator(self._model, self.source, self.target, config)

    @torch.inference_mode()
    def translate(
        self, texts: Sequence[str], nbest: int = 1, attention: bool | Collection[int] = False
    ) -> list[list[Translation]]:
        """The `nbest` best translations of each text, best first. A blank text has one blank translation.

        Args:
            texts: any text; it is cleaned in the same way as the training text.
            nbest: at most the beam size.
            attention: whether the translations have their attention, or the indices of the texts for which
                they have. Nothing is kept or copied from the device for the others.

        Raises:
            NmtError: if the model returns NaN, or probability zero for every allowed token.
            ConfigError: if `nbest` is larger than the beam size.
        """
        sources = [self.source.encode_with_offsets(clean(text)) for text in texts]
        wanted = _indices(attention, len(texts))
        results = [[self._blank(i in wanted)] for i in range(len(texts))]
        for chosen in self._batches(sources, self.config.beam_size):
            tokens, mask, limits = self._prepare([sources[i] for i in chosen])
            rows = [row for row, i in enumerate(chosen) if i in wanted]
            found = self._search(tokens, mask, limits, self.config, nbest, rows)
            for i, hypotheses in zip(chosen, found, strict=True):
                results[i] = [self._translation(sources[i], hypothesis) for hypothesis in hypotheses]
        return results

    @torch.inference_mode()
    def sample(
        self,
        texts: Sequence[str],
        *,
        temperature: float = 1.0,
        seed: int = 0,
        first: int = 0,
        attention: bool | Collection[int] = False,
    ) -> list[Translation]:
        """A random translation of each text, drawn from the model's distribution (ancestral sampling).

        The draws for a text depend on the seed and its number only, not on the other texts.

        Args:
            texts: as for `translate`.
            temperature: divides the log-probabilities; towards 0 it approaches greedy search.
            seed: of the random numbers, at least 0.
            first: number of the first text, for texts that are given in several calls.
            attention: as for `translate`.

        Raises:
            ConfigError: if the temperature is below 1e-6 or not finite.
            NmtError: as for `translate`.
        """
        check_temperature(temperature)
        sources = [self.source.encode_with_offsets(clean(text)) for text in texts]
        wanted = _indices(attention, len(texts))
        results = [self._blank(i in wanted) for i in range(len(texts))]
        for chosen in self._batches(sources, 1):
            tokens, mask, limits = self._prepare([sources[i] for i in chosen])
            generators = [np.random.default_rng((seed, first + i)) for i in chosen]
            rows = [row for row, i in enumerate(chosen) if i in wanted]
            found = self._sample(tokens, mask, limits, generators, temperature, rows)
            for i, hypothesis in zip(chosen, found, strict=True):
                ranked = hypothesis.normalised(self.config.length_penalty)
                results[i] = self._translation(sources[i], ranked)
        return results

    def _blank(self, attention: bool) -> Translation:
        """The translation of a blank text."""
        nothing, weights = Tokens("", [], [], []), np.zeros((self.heads, 0, 1), "f4")
        return Translation(nothing, nothing, 0.0, 0.0, weights if attention else None, False)

    def _batches(self, sources: Sequence[Tokens], beam_size: int) -> Iterator[list[int]]:
        """The indices of the sources that are not blank, in batches of similar lengths."""
        todo = [i for i, tokens in enumerate(sources) if tokens.ids]
        max_tokens = max(1, self.config.batch_tokens // beam_size)
        for batch in sorted_batches([len(sources[i].ids) + 1 for i in todo], max_tokens):
            yield [todo[k] for k in batch]

    def _prepare(self, sources: Sequence[Tokens]) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens and mask, [B, S] each, and the maximum length of each translation in subwords, [B]."""
        tokens, mask = pad([[*source.ids, EOS] for source in sources])
        tokens, mask = tokens.to(self.device), mask.to(self.device)
        config = self.config
        by_source = (mask.sum(dim=1) * config.max_length_factor).long() + config.max_length_extra
        return tokens, mask, by_source.clamp(max=config.max_length)

    def _translation(self, source: Tokens, hypothesis: Hypothesis) -> Translation:
        weights = None
        if hypothesis.attention is not None:
            weights = hypothesis.attention[:, :, : len(source.ids) + 1].transpose(0, 1).numpy()  # [K, T, S]
        return Translation(
            source,
            self.target.decode_with_offsets(hypothesis.tokens),
            hypothesis.log_probability,
            hypothesis.score,
            weights,
            hypothesis.finished,
        )

    @torch.inference_mode()
    def align(
        self, sources: Sequence[str], targets: Sequence[str], attention: bool = False
    ) -> list[Translation]:
        """Forced decoding: score given translations.

        Args:
            sources, targets: texts that are not empty after cleaning.
            attention: whether the results have their attention.
        """
        encoded = [
            (self.source.encode_with_offsets(clean(source)), self.target.encode_with_offsets(clean(target)))
            for source, target in zip(sources, targets, strict=True)
        ]
        lengths = [max(len(source.ids), len(target.ids)) + 1 for source, target in encoded]
        results: list[Translation | None] = [None] * len(encoded)
        for chosen in sorted_batches(lengths, self.config.batch_tokens):
            found = self._force_decode([encoded[i] for i in chosen], attention)
            for i, aligned in zip(chosen, found, strict=True):
                results[i] = aligned
        return [result for result in results if result is not None]

    def _force_decode(self, pairs: list[tuple[Tokens, Tokens]], attention: bool) -> list[Translation]:
        batch = collate([source.ids for source, _ in pairs], [target.ids for _, target in pairs])
        batch = batch.to(self.device)
        scores, all_weights = self._score(
            batch.source, batch.source_mask, batch.previous, batch.target, batch.target_mask
        )
        scores = scores.cpu()
        results = []
        for k, (source, target) in enumerate(pairs):
            S, T = len(source.ids) + 1, len(target.ids) + 1
            total = float(scores[k, :T].sum())
            weights = all_weights[k, :, :T, :S].float().cpu().numpy() if attention else None
            score = total / T**self.config.length_penalty
            results.append(Translation(source, target, total, score, weights, finished=True))
        return results


def _indices(attention: bool | Collection[int], count: int) -> Collection[int]:
    """The indices of the texts whose attention is wanted."""
    if isinstance(attention, bool):
        return range(count) if attention else ()
    return attention


def _search(
    model: InferenceModel[StateT, MemoryT],
    tokens: Tensor,
    mask: Tensor,
    limits: Tensor,
    config: DecodingConfig,
    nbest: int,
    attention: Collection[int],
) -> list[list[Hypothesis]]:
    """Encode, and search."""
    state, memory = model.encode(tokens, mask)
    return beam_search(
        model,
        state,
        memory,
        beam_size=config.beam_size,
        max_lengths=limits,
        length_penalty=config.length_penalty,
        bos=BOS,
        eos=EOS,
        nbest=nbest,
        forbidden=(PAD, UNK),
        attention=attention,
        lookahead=config.lookahead,
    )


def _sample(
    model: InferenceModel[StateT, MemoryT],
    tokens: Tensor,
    mask: Tensor,
    limits: Tensor,
    generators: Sequence[np.random.Generator],
    temperature: float,
    attention: Collection[int],
) -> list[Hypothesis]:
    """Encode, and sample."""
    state, memory = model.encode(tokens, mask)
    return sample(
        model,
        state,
        memory,
        max_lengths=limits,
        bos=BOS,
        eos=EOS,
        generators=generators,
        temperature=temperature,
        forbidden=(PAD, UNK),
        attention=attention,
    )

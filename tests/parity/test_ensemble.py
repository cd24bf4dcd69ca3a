"""An ensemble against a model that has the mean probabilities, exhaustively; and of real models of all kinds
against their steps.
"""

import dataclasses
import math

import numpy as np
import pytest
import torch
from table_model import SharedModel, TableModel, draws, enumerate_all, random_model, search, sources
from test_prepared import MODELS, SOURCE, STEPS, layout_of
from tiny import ENGLISH, MARATHI, tiny_config, tiny_model, tiny_tokenizers

from nmt.config.decoding import DecodingConfig
from nmt.data.tokenizer import BOS, EOS
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.interface import SearchOptions
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.translator import Translator
from nmt.errors import NmtError
from nmt.model.inference.ensemble import Ensemble
from nmt.model.inference.prepared import PreparedModel


def ensemble_of(*models: TableModel) -> tuple[Ensemble, TableModel]:
    """An ensemble of tables, and one table with the mean of their probabilities."""
    mean = torch.stack([model.table.double() for model in models]).exp().mean(dim=0).log().float()
    return Ensemble([SharedModel(model.table) for model in models]), TableModel(mean)


def check_same(one: Hypothesis, other: Hypothesis) -> None:
    assert (one.tokens, one.finished) == (other.tokens, other.finished)
    assert (one.log_probability, one.score) == pytest.approx((other.log_probability, other.score), abs=1e-5)
    assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-5)
    assert np.array_equal(one.attention, other.attention)  # it tells what the rows have read


@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_is_exhaustive(seed, penalty):
    ensemble, mean = ensemble_of(*(random_model(10 * seed + i) for i in range(3)))
    expected = enumerate_all(mean, 4, penalty)
    for nbest in (1, 7, 60):
        (found,) = search(ensemble, [4], beam_size=128, length_penalty=penalty, nbest=nbest)
        assert [(one.tokens, one.finished) for one in found] == [item[:2] for item in expected[:nbest]]
        assert [one.score for one in found] == pytest.approx([item[2] for item in expected[:nbest]])


@pytest.mark.parametrize("lookahead", [None, 0, 2])
@pytest.mark.parametrize("beam", [1, 2, 4])
def test_search_is_that_of_the_mean_model(beam, lookahead):
    """Sentences of different lengths, which leave the batch at different steps; and each sentence alone."""
    ensemble, mean = ensemble_of(*(random_model(seed, 6, longest=8, vocabulary=7) for seed in (1, 2)))
    lengths, options = [8, 2, 5, 1, 8, 3], {"beam_size": beam, "nbest": min(beam, 3), "lookahead": lookahead}
    together, expected = search(ensemble, lengths, **options), mean.search(lengths, **options)
    for number, (group, others) in enumerate(zip(together, expected, strict=True)):
        (alone,) = search(ensemble, [lengths[number]], [number], **options)
        for one, other, single in zip(group, others, alone, strict=True):
            check_same(one, other)
            assert (one.tokens, one.score) == (single.tokens, single.score)
            assert np.array_equal(one.attention, single.attention)


def test_greedy_search_and_samples_are_those_of_the_mean_model():
    ensemble, mean = ensemble_of(*(random_model(seed, 4, longest=6) for seed in (3, 4, 5)))
    lengths = [6, 3, 6, 2]
    found = search(ensemble, lengths, beam_size=1, length_penalty=0.0)
    for (one,), other in zip(found, mean.greedy(lengths), strict=True):
        check_same(one, other)
    generators = [[np.random.default_rng((0, i))] for i in range(4)]
    options = SearchOptions(attention=frozenset(range(4)))
    config = DecodingConfig(length_penalty=0.0)
    drawn = draws(TorchModel(ensemble), sources(lengths), config, options, generators)
    for (one,), other in zip(drawn, mean.sample(lengths), strict=True):
        check_same(one, other)


def test_a_token_is_impossible_only_if_it_is_to_all():
    one, other = random_model(1), random_model(2)
    one.table[..., 3] = -math.inf
    ensemble, mean = ensemble_of(one, other)
    (found,), (expected,) = search(ensemble, [4], nbest=3), mean.search([4], nbest=3)
    for item, same in zip(found, expected, strict=True):
        check_same(item, same)
    assert any(3 in item.tokens for item in found)
    for model in (one, other):
        model.table[...] = -math.inf
    with pytest.raises(NmtError, match="probability zero"):
        search(ensemble_of(one, other)[0], [4])
    other.table[...] = math.nan
    with pytest.raises(NmtError, match="NaN"):
        search(ensemble_of(one, other)[0], [4])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_certain_tokens_are_not_above_certainty(size):
    certain = random_model(1)
    certain.table[...] = -math.inf
    certain.table[..., 4] = 0.0
    ensemble, _ = ensemble_of(*[certain] * size)
    predicted, _, _ = ensemble.step(
        torch.tensor([1]), *ensemble.encode(torch.zeros(1, 1).long(), torch.ones(1, 1))
    )
    assert predicted.max() == 0.0


# ---------------------------------------------------------------- real models

KINDS = [MODELS[i] for i in (0, 2, 5, 6, 9, 11)]


@pytest.mark.parametrize("overrides", MODELS)
def test_an_ensemble_of_a_model_with_itself_is_the_model(overrides):
    tokenizers = tiny_tokenizers()
    model = PreparedModel(tiny_model(*(len(one) for one in tokenizers), tiny_config(overrides), seed=5))
    config = DecodingConfig(beam_size=4, max_length_factor=1.0, max_length_extra=4)
    for changes in ({}, {"beam_size": 1}, {"lookahead": None}):
        changed = dataclasses.replace(config, **changes)
        alone, tripled = (
            Translator(TorchModel(one), *tokenizers, changed) for one in (model, Ensemble([model] * 3))
        )
        assert bool(tripled.heads) == bool(alone.heads)
        nbest = min(3, changed.beam_size)
        found, expected = (
            [*one.translate(ENGLISH, nbest, attention=True), one.align(ENGLISH, MARATHI, attention=True)]
            for one in (tripled, alone)
        )
        for group, others in zip(found, expected, strict=True):
            for one, other in zip(group, others, strict=True):
                assert (one.target, one.finished) == (other.target, other.finished)
                assert one.score == pytest.approx(other.score, abs=1e-6)
                assert one.mean_attention == pytest.approx(other.mean_attention, abs=1e-6)


@torch.inference_mode()
def test_steps_are_the_mean_of_those_of_the_models():
    """Models of all kinds in one ensemble, with other numbers of heads, two of them without attention."""
    models = [tiny_model(23, 29, tiny_config(kind), i, double=True) for i, kind in enumerate(KINDS)]
    ensemble = Ensemble([PreparedModel(model) for model in models])
    assert ensemble.heads == 1
    plain = [model.encode(SOURCE, SOURCE > 0) for model in models]
    states, memories = [state for state, _ in plain], [memory for _, memory in plain]
    own, shared = ensemble.encode(SOURCE, SOURCE > 0)
    going = [0, 1, 2]
    for step, (counts, parents, stay) in enumerate(STEPS):
        going = going if stay is None else [going[i] for i in stay]
        shared = shared.arrange(None if stay is None else torch.tensor(stay), layout_of(counts))
        index = torch.tensor(parents)
        own = own.select(index)
        rows = torch.tensor([going[i] for i, count in enumerate(counts) for _ in range(count)])
        tokens = (torch.arange(len(rows)) * 7 + step) % 25 + 4
        all_predicted, all_weights = [], []
        for number, model in enumerate(models):
            predicted, states[number], weights = model.step(
                tokens, states[number].select(index), memories[number].select(rows)
            )
            all_predicted.append(predicted.double().exp())
            if model.heads:
                all_weights.append(weights.mean(dim=1, keepdim=True))
        assert len(all_weights) == len(models) - 1
        found, own, attention = ensemble.step(tokens, own, shared)
        expected = torch.stack(all_predicted).mean(dim=0).log()
        torch.testing.assert_close(found.double(), expected, atol=2e-6, rtol=0)
        torch.testing.assert_close(attention, torch.stack(all_weights).mean(dim=0), atol=1e-9, rtol=0)


def test_what_search_finds_is_what_forced_decoding_scores():
    """Of models of all kinds; with one sentence at a time, and with all."""
    tokenizers = tiny_tokenizers()
    sizes = [len(one) for one in tokenizers]
    models = [tiny_model(*sizes, tiny_config(kind), i) for i, kind in enumerate(KINDS)]
    ensemble = TorchModel(Ensemble([PreparedModel(model) for model in models]))
    config = DecodingConfig(beam_size=4, max_length_factor=1.0, max_length_extra=4)
    together = Translator(ensemble, *tokenizers, config)
    alone = Translator(ensemble, *tokenizers, dataclasses.replace(config, batch_tokens=1))
    found, apart = (one.translate(ENGLISH, 3, attention=True) for one in (together, alone))
    for group, others in zip(found, apart, strict=True):
        for one, other in zip(group, others, strict=True):
            assert (one.target, one.finished) == (other.target, other.finished)
            assert one.score == pytest.approx(other.score, abs=1e-5)
            assert one.attention == pytest.approx(other.attention, abs=1e-5)
            assert one.mean_attention.sum(axis=1) == pytest.approx(1, abs=1e-5)
    mean = np.mean([np.exp(scores(model, tokenizers)) for model in models], axis=0)
    for forced, expected in zip(together.align(ENGLISH, MARATHI), np.log(mean), strict=True):
        length = len(forced.target.ids) + 1
        assert forced.log_probability == pytest.approx(expected[:length].sum(), abs=1e-4)


def scores(model, tokenizers) -> np.ndarray:
    """Log-probabilities of the pieces of `MARATHI`, [B, T], by the steps of a model in float64."""
    source, target = (
        [[*one.encode(text), EOS] for text in texts]
        for one, texts in zip(tokenizers, (ENGLISH, MARATHI), strict=True)
    )
    double = model.double().eval()
    rows = np.zeros((len(source), max(map(len, target))))
    for i, (read, written) in enumerate(zip(source, target, strict=True)):
        tokens = torch.tensor([read])
        state, memory = double.encode(tokens, tokens > 0)
        for t, (before, now) in enumerate(zip([BOS, *written], written, strict=False)):
            predicted, state, _ = double.step(torch.tensor([before]), state, memory)
            rows[i, t] = predicted[0, now].item()
    model.float()
    return rows

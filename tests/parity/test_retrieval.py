"""Retrieval against its equations in loops, and the search with it against all sequences."""

import itertools
import math

import pytest
import torch
from table_model import search, sources
from test_prepared import MODELS, SOURCE, STEPS, layout_of
from tiny import ENGLISH, MARATHI, tiny_config, tiny_model, tiny_tokenizers

from nmt.config.decoding import DecodingConfig, RetrievalConfig
from nmt.data.tokenizer import BOS, EOS, PAD, UNK
from nmt.decoding.interface import SearchOptions
from nmt.decoding.methods import begin
from nmt.decoding.sources import Special
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.translator import Translator
from nmt.model.inference.prepared import PreparedModel
from nmt.retrieval.retrieval_model import RetrievalModel
from nmt.retrieval.token_memory import TokenMemory

V = 8
CONFIG = RetrievalConfig(weight=0.4, k=5, temperature=0.7)
SPECIAL = Special(BOS, EOS, (PAD, UNK))
KINDS = [MODELS[i] for i in (0, 1, 4, 6, 7, 8, 11, 13)]


def memory_of(model: PreparedModel, vocabulary: int, count: int = 60, dimension: int = 3) -> TokenMemory:
    """Random keys and tokens, in part with the same key."""
    generator = torch.Generator().manual_seed(3)
    keys = torch.randn(count, dimension, generator=generator)
    keys[count - count // 2 :] = keys[: count // 2].clone()
    tokens = torch.randint(EOS, vocabulary, (count,), generator=generator)
    F = model.input_size
    components = torch.randn(dimension, F, generator=generator) * 3 / math.sqrt(F)
    return TokenMemory(torch.randn(F, generator=generator) / 9, components, keys, tokens)


def made(overrides: str, vocabulary: int = V) -> tuple[PreparedModel, RetrievalModel]:
    plain = PreparedModel(tiny_model(23, vocabulary, tiny_config(overrides), seed=5))
    return plain, RetrievalModel(plain, memory_of(plain, vocabulary), CONFIG)


def by_the_equations(memory: TokenMemory, features, predicted, config: RetrievalConfig) -> list[float]:
    """log p of every token in one context, in Python floats."""
    keys, tokens = memory._keys._keys.tolist(), memory._tokens.tolist()
    centred = [x - m for x, m in zip(features.tolist(), memory._mean.tolist(), strict=True)]
    query = [sum(c * x for c, x in zip(row, centred, strict=True)) for row in memory._components.tolist()]
    squared = [sum((q - x) ** 2 for q, x in zip(query, key, strict=True)) for key in keys]
    order = sorted(range(len(keys)), key=lambda i: (round(squared[i], 5), i))
    reach = squared[order[config.k]]
    weights = [
        math.exp(-squared[i] / config.temperature) * max(1 - squared[i] / reach, 1e-3)
        for i in order[: config.k]
    ]
    shares = [0.0] * len(predicted)
    for i, weight in zip(order, weights, strict=False):
        shares[tokens[i]] += weight / sum(weights)
    rest = 1 - config.weight
    return [
        math.log(config.weight * p + rest * math.exp(q))
        for p, q in zip(shares, predicted.tolist(), strict=True)
    ]


@pytest.mark.parametrize("overrides", KINDS)
@torch.inference_mode()
def test_steps_are_by_the_equations(overrides):
    """Hypotheses that come, go and change places, of decoders of all kinds; and each row by itself."""
    plain, model = made(overrides)
    state, memory = plain.encode(SOURCE, SOURCE > 0)
    for step, (counts, parents, stay) in enumerate(STEPS):
        memory = memory.arrange(None if stay is None else torch.tensor(stay), layout_of(counts))
        state = state.select(torch.tensor(parents))
        tokens = (torch.arange(len(parents)) * 7 + step) % 4 + 4
        features, after, weights = plain.output_inputs(tokens, state, memory)
        predicted, _, expected_weights = plain.step(tokens, state, memory)
        found, _, own_weights = model.step(tokens, state, memory)
        for row in range(len(parents)):
            expected = by_the_equations(model.memory, features[row], predicted[row], CONFIG)
            assert found[row].tolist() == pytest.approx(expected, abs=2e-5)
        assert found.exp().sum(dim=1).numpy() == pytest.approx(1, abs=1e-5)
        assert torch.equal(own_weights, expected_weights)
        assert torch.equal(weights, expected_weights)
        state = after


@pytest.mark.parametrize("overrides", KINDS)
@torch.inference_mode()
def test_forced_decoding_is_that_of_the_steps(overrides):
    _, model = made(overrides)
    target = torch.tensor([[4, 5, 6, EOS], [7, EOS, 0, 0], [5, 5, EOS, 0]])
    previous = torch.cat((torch.full((3, 1), BOS), target[:, :-1]), dim=1)
    scores, _ = model.score(SOURCE, SOURCE > 0, previous, target, target > 0)
    state, memory = model.encode(SOURCE, SOURCE > 0)
    for t in range(4):
        predicted, state, _ = model.step(previous[:, t], state, memory.arrange(None, layout_of([1] * 3, 1)))
        expected = torch.where(target[:, t] > 0, predicted.gather(1, target[:, t : t + 1]).squeeze(1), 0.0)
        torch.testing.assert_close(scores[:, t], expected, atol=2e-5, rtol=0)


def every_sequence(model: RetrievalModel, sentence: int, longest: int) -> list[tuple[list[int], float]]:
    """All finished sequences with their scores, by forced decoding of each, the best first."""
    given = sources([longest], [sentence])
    source, mask = torch.from_numpy(given.tokens), torch.from_numpy(given.mask)
    found = []
    for length in range(longest):
        for tokens in itertools.product(range(EOS + 1, V), repeat=length):
            target = torch.tensor([[*tokens, EOS]])
            previous = torch.tensor([[BOS, *tokens]])
            scores, _ = model.score(source, mask, previous, target, target > 0)
            found.append(([*tokens], float(scores.sum()) / (length + 1)))
    return sorted(found, key=lambda item: -item[1])


@pytest.mark.parametrize("overrides", [KINDS[0], KINDS[3]])
@torch.inference_mode()
def test_a_wide_beam_is_exhaustive(overrides):
    plain, model = made(overrides)
    for sentence in (5, 9):
        expected = every_sequence(model, sentence, 4)
        (found,) = search(model, [4], [sentence], SPECIAL, beam_size=400, nbest=9)
        assert [one.tokens for one in found] == [tokens for tokens, _ in expected[:9]]
        assert [one.score for one in found] == pytest.approx([score for _, score in expected[:9]], abs=1e-5)
        (others,) = search(plain, [4], [sentence], SPECIAL, beam_size=400, nbest=9)
        assert [one.tokens for one in others] != [one.tokens for one in found]


@torch.inference_mode()
def test_samples_have_the_probabilities_of_the_model():
    _, model = made(KINDS[0])
    config = DecodingConfig(method="sample", length_penalty=0.0)
    options = SearchOptions(nbest=40)
    sampler = begin(TorchModel(model), sources([4, 4], [5, 9]), config, SPECIAL, options, str)
    while sampler.active:
        sampler.step()
    for sentence, group in zip((5, 9), sampler.hypotheses(range(2)), strict=True):
        scores = {
            tuple(tokens): score * (len(tokens) + 1) for tokens, score in every_sequence(model, sentence, 4)
        }
        finished = [one for one in group if one.finished]
        assert len({tuple(one.tokens) for one in finished}) > 1
        for one in finished:
            assert one.log_probability == pytest.approx(scores[tuple(one.tokens)], abs=1e-4)


def test_a_result_does_not_depend_on_the_batch():
    tokenizers = tiny_tokenizers()
    sizes = [len(one) for one in tokenizers]
    for kind in KINDS[1:3]:
        plain = PreparedModel(tiny_model(*sizes, tiny_config(kind), seed=5))
        model = TorchModel(RetrievalModel(plain, memory_of(plain, sizes[1], 2000, 8), CONFIG))
        config = DecodingConfig(beam_size=4, max_length_factor=1.0, max_length_extra=4)
        alone = DecodingConfig(beam_size=4, max_length_factor=1.0, max_length_extra=4, batch_tokens=1)
        many = [*ENGLISH[:3], "cat " * 9]
        together, apart = (
            Translator(model, *tokenizers, one).translate(many, nbest=3) for one in (config, alone)
        )
        for group, others in zip(together, apart, strict=True):
            for one, other in zip(group, others, strict=True):
                assert one.target == other.target
                assert one.score == pytest.approx(other.score, abs=1e-5)
        for forced in Translator(model, *tokenizers, config).align(ENGLISH, MARATHI):
            (again,) = Translator(model, *tokenizers, config).align(
                [forced.source.text], [forced.target.text]
            )
            assert again.log_probability == pytest.approx(forced.log_probability, abs=1e-5)


def test_fewer_keys_than_neighbours():
    plain, _ = made(KINDS[0])
    for count in (1, 4, 5, 6):
        memory = memory_of(plain, V, count)
        features = torch.randn(3, plain.input_size)
        retrieved = memory.retrieve(features, CONFIG)
        assert tuple(retrieved.weights.shape) == (3, min(count, CONFIG.k))
        assert retrieved.weights.sum(dim=1).numpy() == pytest.approx(1)
        assert (retrieved.tokens == memory._tokens[retrieved.indices]).all()

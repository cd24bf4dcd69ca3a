"""Greedy search and sampling against plain loops and exact distributions; errors of all search methods."""

import math

import numpy as np
import pytest
from table_model import BOS, EOS, PAD, TableModel, check_forced, enumerate_all, random_model, same, scripted

from nmt.decoding.sources import Special
from nmt.errors import ConfigError, NmtError


@pytest.mark.parametrize("penalty", [0.0, 1.0, 5.0])
def test_a_beam_of_one_is_greedy(penalty):
    model = random_model(5, sentences=8, longest=9)
    lengths = [9, 3, 1, 9, 5, 9, 9, 2]
    expected = model.greedy(lengths)
    found = model.search(lengths, beam_size=1, length_penalty=penalty)
    assert {one.finished for one in expected} == {True, False}
    for sentence, (one, (beam,)) in enumerate(zip(expected, found, strict=True)):
        check_forced(model, sentence, one)
        assert (beam.tokens, beam.finished) == (one.tokens, one.finished)
        assert np.array_equal(beam.attention, one.attention)
        assert beam.score == pytest.approx(one.score / (len(one.tokens) + one.finished) ** penalty)
        state, history = model.table[sentence], [0, BOS]
        for position in range(lengths[sentence]):
            choice = state[position, history[-2], history[-1]].clone()
            choice[[PAD, BOS]] = -math.inf
            history.append(int(choice.argmax()))
            if history[-1] == EOS:
                break
        assert [token for token in history[2:] if token != EOS] == one.tokens


def test_forbidden_tokens_never_come_even_if_most_probable():
    model = random_model(7, sentences=3)
    model.table[..., [PAD, BOS]] = 0.0
    found = [one for group in model.search([4] * 3, nbest=3) for one in group]
    found += model.greedy([4] * 3) + model.sample([4] * 3)
    for one in found:
        assert not {PAD, BOS} & set(one.tokens)
    freely = model.greedy([4] * 3, special=Special(BOS, EOS))
    assert all(set(one.tokens) == {PAD} for one in freely)
    assert model.greedy([4] * 3, special=Special(EOS, EOS))[0].tokens[0] == PAD  # EOS may be used as BOS


def test_an_eos_that_serves_as_bos_still_ends():
    model = scripted(3, {0: {3: 0.0}, 1: {EOS: 0.0}})
    special = Special(EOS, EOS, (PAD,))
    for one in (*model.search([3], special=special)[0], *model.greedy([3], special=special)):
        assert (one.tokens, one.finished) == ([3], True)


@pytest.mark.parametrize("method", ["beam", "greedy", "sample"])
@pytest.mark.parametrize(("value", "message"), [(math.nan, "NaN"), (-math.inf, "probability zero")])
def test_a_broken_model_is_an_error(method, value, message):
    model = random_model(1, sentences=2)
    model.table[1, 1:] = value
    model.table[..., 0, :, :, EOS] = -50.0
    run = {"beam": model.search, "greedy": model.greedy, "sample": model.sample}[method]
    with pytest.raises(NmtError, match=message):
        run([4, 4])


def test_one_nan_among_numbers_is_an_error():
    model = random_model(1)
    model.table[0, 2, :, :, 4] = math.nan
    model.table[..., EOS] = -50.0
    for run in (model.search, model.greedy, model.sample):
        with pytest.raises(NmtError, match="NaN"):
            run([4])


def test_sampling_follows_the_distribution():
    """Every sequence of a tiny model, by Pearson's chi-square against its exact probability."""
    model, draws, temperature = random_model(4, longest=3, vocabulary=5), 20_000, 1.7
    allowed = model.table / temperature
    allowed[..., [PAD, BOS]] = -math.inf
    tempered = TableModel(allowed.log_softmax(dim=-1))
    exact = {tuple(t): math.exp(score) for t, _, score in enumerate_all(tempered, 3, 0.0)}
    assert sum(exact.values()) == pytest.approx(1.0)
    found = model.sample([3] * draws, [0] * draws, temperature=temperature)
    counts = dict.fromkeys(exact, 0)
    for one in found:
        counts[tuple(one.tokens)] += 1
    chi_square = sum((counts[t] - draws * p) ** 2 / (draws * p) for t, p in exact.items())
    freedom = len(exact) - 1
    assert chi_square < freedom + 4 * math.sqrt(2 * freedom)
    for one in found[:50]:
        check_forced(model, 0, one)


def test_cold_sampling_is_greedy_and_a_seed_repeats():
    model = random_model(6, sentences=8, longest=9)
    lengths = [9, 3, 1, 9, 5, 9, 9, 2]
    for one, other in zip(model.sample(lengths, temperature=1e-6), model.greedy(lengths), strict=True):
        assert same(one, other)
    first, again, other = ([one.tokens for one in model.sample(lengths, seed=seed)] for seed in (1, 1, 2))
    assert first == again != other
    for temperature in (0.0, 1e-7, -1.0, math.inf, math.nan):
        with pytest.raises(ConfigError, match="temperature"):
            model.sample(lengths, temperature=temperature)


def test_a_sample_depends_on_its_own_generator_only():
    """Not on the batch, the order in it, or when other sentences leave it."""
    model = random_model(6, sentences=5, longest=9)
    lengths = [9, 3, 1, 9, 5]
    together = model.sample(lengths, seed=4)
    assert len({len(one.tokens) for one in together}) > 1
    for sentence in range(5):
        generator = np.random.default_rng((4, sentence))
        (alone,) = model.sample([lengths[sentence]], [sentence], generators=[generator])
        assert same(alone, together[sentence])
        check_forced(model, sentence, alone)
    order = [3, 0, 4, 2, 1]
    generators = [np.random.default_rng((4, sentence)) for sentence in order]
    mixed = model.sample([lengths[sentence] for sentence in order], order, generators=generators)
    for sentence, one in zip(order, mixed, strict=True):
        assert one.tokens == together[sentence].tokens

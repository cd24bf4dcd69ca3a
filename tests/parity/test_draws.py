"""Several draws of a sentence: their distribution with top-k and nucleus, what they depend on, and the rows
that they share.
"""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from sacrebleu.metrics.chrf import CHRF
from table_model import (
    BOS,
    EOS,
    PAD,
    SPECIAL,
    SharedModel,
    TableModel,
    check_forced,
    enumerate_all,
    random_model,
    same,
    sources,
)

from nmt.config.decoding import DecodingConfig, MbrConfig, SamplingConfig
from nmt.decoding.constraint import Except, Only
from nmt.decoding.interface import SearchOptions
from nmt.decoding.methods import Decoding, begin
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.truncation import probabilities
from nmt.errors import ConfigError


def generators(sentences: list[int], draws: int, seed: int = 0) -> list[list[np.random.Generator]]:
    return [[np.random.default_rng((seed, i, k)) for k in range(draws)] for i in sentences]


@pytest.mark.parametrize(
    "settings", [{"top_k": 2}, {"top_p": 0.6}, {"temperature": 0.5, "top_k": 3, "top_p": 0.9}]
)
def test_draws_follow_the_truncated_distribution(settings):
    """Every sequence of a tiny model, by Pearson's chi-square against its exact probability."""
    model, draws = random_model(4, longest=3, vocabulary=6), 8_000
    allowed = model.table.clone()
    allowed[..., [PAD, BOS]] = -math.inf
    rows = probabilities(allowed.flatten(0, -2).numpy(), SamplingConfig(**settings))
    exact_table = np.log(
        rows / rows.sum(axis=1, keepdims=True), where=rows > 0, out=np.full_like(rows, -math.inf)
    )
    tempered = TableModel(type(allowed)(exact_table).reshape(allowed.shape))
    exact = {tuple(t): math.exp(score) for t, _, score in enumerate_all(tempered, 3, 0.0)}
    exact = {tokens: probability for tokens, probability in exact.items() if probability > 0}
    assert sum(exact.values()) == pytest.approx(1.0)
    (found,) = model.draw([3], generators([0], draws), **settings)
    counts = dict.fromkeys(exact, 0)
    for one in found:
        counts[tuple(one.tokens)] += 1  # none that is impossible
    chi_square = sum((counts[t] - draws * p) ** 2 / (draws * p) for t, p in exact.items())
    freedom = len(exact) - 1
    assert chi_square < freedom + 4 * math.sqrt(2 * freedom)
    for one in found[:50]:
        check_forced(model, 0, one)  # log-probabilities are those of the model


@pytest.mark.parametrize("kind", [TableModel, SharedModel])
def test_draws_depend_on_nothing_else(kind):
    """Not on the other sentences, their order, or how many draws each has."""
    model = kind(random_model(6, sentences=4, longest=8).table)
    lengths, counts = [8, 1, 5, 8], [7, 2, 1, 4]
    draws = [generators([i], n)[0] for i, n in enumerate(counts)]
    together = model.draw(lengths, draws)
    assert [len(group) for group in together] == counts
    assert len({tuple(one.tokens) for one in together[0]}) > 4
    for sentence, group in enumerate(together):
        (alone,) = model.draw([lengths[sentence]], generators([sentence], 9), [sentence])
        for one, other in zip(group, alone, strict=False):
            assert same(one, other)
            check_forced(TableModel(model.table), sentence, one)
    order = [2, 0, 3, 1]
    mixed = model.draw([lengths[i] for i in order], [generators([i], counts[i])[0] for i in order], order)
    for sentence, group in zip(order, mixed, strict=True):
        for one, other in zip(group, together[sentence], strict=True):
            assert same(one, other)


def test_draws_with_the_same_beginning_share_a_row():
    model = random_model(3, sentences=2, longest=6)
    found = model.draw([6, 4], generators([0, 1], 50))
    beginnings = [
        {(i, *one.tokens[:step]) for i, group in enumerate(found) for one in group if len(one.tokens) >= step}
        for step in range(6)
    ]
    for step, limits in ((step, [i for i, limit in enumerate((6, 4)) if limit > step]) for step in range(6)):
        assert model.rows[step] == len({one for one in beginnings[step] if one[0] in limits})
    assert model.rows[0] == 2


def test_attention_only_of_the_sentences_named():
    model = random_model(8, sentences=3, longest=6)
    everything = model.draw([6, 3, 6], generators([0, 1, 2], 5))
    for wanted in ([], [1], [0, 2]):
        found = model.draw([6, 3, 6], generators([0, 1, 2], 5), attention=wanted)
        for sentence, (group, full) in enumerate(zip(found, everything, strict=True)):
            for one, other in zip(group, full, strict=True):
                assert (one.attention is not None) == (sentence in wanted)
                attention = other.attention if one.attention is None else one.attention
                assert same(dataclasses.replace(one, attention=attention), other)


def test_settings_out_of_range_are_refused():
    model = random_model(1)
    for settings in ({"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.1}, {"top_p": math.nan}, {"seed": -1}):
        with pytest.raises(ConfigError, match=next(iter(settings))):
            model.draw([3], generators([0], 1), **settings)


# ---------------------------------------------------------------- constraints


class Alternating:
    """3 and 4 alternate. The sequence ends after three tokens at the earliest, after four at the latest."""

    def start(self):
        return ()

    def advance(self, state, token):
        return (*state, token)

    def allowed(self, state):
        if len(state) == 4:
            return Only((EOS,))
        if len(state) == 3:
            return Except((state[-1], 5))
        return Only((3, 4)) if not state else Only((7 - state[-1],))

    def wanted(self, state):
        return ()

    def met(self, state):
        return 0


class Impossible(Alternating):
    def allowed(self, state):
        return Only(()) if 4 in state else Only((3, 4, EOS))


def test_a_constraint_is_followed_and_changes_no_other_sentence():
    model = random_model(5, sentences=3, longest=8)
    free = model.draw([8, 8, 8], generators([0, 1, 2], 30))
    found = model.draw([8, 8, 8], generators([0, 1, 2], 30), constraints={1: Alternating()})
    for sentence in (0, 2):
        for one, other in zip(found[sentence], free[sentence], strict=True):
            assert same(one, other)
    expected = {
        tuple(itertools.islice(itertools.cycle(pair), n)) for pair in ((3, 4), (4, 3)) for n in (3, 4)
    }
    assert {tuple(one.tokens) for one in found[1]} == expected
    for one in found[1]:
        assert one.finished
        check_forced(model, 1, one)


def test_draws_that_can_go_nowhere_are_left_out():
    model = random_model(5, longest=8)
    (found,) = model.draw([8], generators([0], 40), constraints={0: Impossible()})
    assert 0 < len(found) < 40
    assert all(set(one.tokens) <= {3} for one in found)


def test_the_minimum_length():
    model = random_model(2, longest=6)
    (found,) = model.draw([6], generators([0], 60), min_length=3)
    assert min(len(one.tokens) for one in found) == 3


# ---------------------------------------------------------------- in progress


def begun(model: TableModel, lengths: list[int], nbest: int, **settings) -> Decoding:
    config = DecodingConfig(length_penalty=0.0, **settings)
    options = SearchOptions(nbest=nbest, attention=frozenset((0, 2)))
    return begin(
        TorchModel(model), sources(lengths), config, SPECIAL, options, lambda tokens: str(tokens[:2])
    )


METHODS = {
    "sample": {"method": "sample"},
    "mbr of samples": {"method": "mbr", "mbr": MbrConfig("samples", 20)},
    "mbr of a beam": {"method": "mbr", "mbr": MbrConfig("nbest", 20)},
}


@pytest.mark.parametrize("settings", METHODS.values(), ids=METHODS)
def test_what_is_certain_stays_and_what_is_cancelled_leaves(settings):
    model, lengths = random_model(5, sentences=4, longest=7), [7, 2, 7, 7]
    whole = begun(model, lengths, 3, **settings)
    while whole.active:
        whole.step()
    expected = whole.hypotheses(range(4))
    assert all(1 <= len(group) <= 3 for group in expected)
    decoding, certain, done = begun(model, lengths, 3, **settings), {}, []
    while decoding.active:
        for sentence in decoding.active:
            tokens = decoding.shared(sentence)
            assert tokens[: len(certain.get(sentence, []))] == certain.get(sentence, [])
            certain[sentence] = tokens
        done += (now := decoding.step())
        assert not set(now) & set(decoding.active)
        if len(done) == 1 and 2 in decoding.active:
            decoding.cancel(2)
    assert sorted(done) == [0, 1, 2, 3]
    assert decoding.hypotheses([2]) == [[]]
    assert decoding.shared(3) == expected[3][0].tokens
    for sentence in (3, 0, 1):
        (group,) = decoding.hypotheses([sentence])
        assert certain[sentence] == group[0].tokens[: len(certain[sentence])]
        assert [one.tokens for one in group] == [one.tokens for one in expected[sentence]]
        for one in group:
            assert (one.attention is None) == (sentence != 0)


def test_risk_of_every_translation_there_is():
    """A beam of all sequences, whose probabilities sum to 1: the exact expected utility."""
    model = random_model(3, longest=3, vocabulary=6)
    config = DecodingConfig(method="mbr", mbr=MbrConfig("nbest", 60), lookahead=None)
    text = lambda tokens: "".join("_PEabcdef"[token] for token in tokens)  # noqa: E731
    decoding = begin(TorchModel(model), sources([3]), config, SPECIAL, SearchOptions(nbest=5), text)
    while decoding.active:
        decoding.step()
    everything = [(text(tokens), math.exp(score)) for tokens, _, score in enumerate_all(model, 3, 0.0)]
    total = sum(probability for _, probability in everything)
    expected = sorted(
        (
            sum(p * CHRF().sentence_score(one, [other]).score for other, p in everything) / total
            for one, _ in everything
        ),
        reverse=True,
    )
    (found,) = decoding.hypotheses([0])
    assert [one.score for one in found] == pytest.approx(expected[:5])

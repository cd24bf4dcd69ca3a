"""Beam search against exhaustive enumeration and a plain beam search in Python lists."""

import dataclasses
import math
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_model import (
    BOS,
    EOS,
    PAD,
    SharedModel,
    TableModel,
    check_forced,
    enumerate_all,
    random_model,
    same,
    scripted,
    tied_model,
)

from nmt.decoding.arrays import ArrayAttention, ArrayStep
from nmt.decoding.interface import Query
from nmt.errors import ConfigError


def plain_beam(
    model: TableModel,
    longest: int,
    beam: int,
    penalty: float,
    nbest: int,
    lookahead: int | None = None,
    patience: float | None = None,
):
    """Beam search in Python lists; (tokens, finished) of the n best. It stops early only by a lookahead or by
    patience.
    """
    table, vocabulary = model.table[0].tolist(), model.table.shape[-1]
    live, finished = [(0.0, [0, BOS])], []
    for step in range(longest):
        candidates = []
        for total, history in live:
            for token in set(range(vocabulary)) - {PAD, BOS}:
                logp = table[step][history[-2]][history[-1]][token]
                candidates.append((total + logp, [*history, token]))
        candidates.sort(key=lambda candidate: -candidate[0])  # stable: parent's rank, then token
        norm = (step + 1) ** penalty
        for total, history in candidates[:beam]:
            if history[-1] == EOS:
                finished.append((total / norm, history[2:-1]))
        live = [candidate for candidate in candidates if candidate[1][-1] != EOS][:beam]
        finished.sort(key=lambda item: -item[0])
        if patience is not None and len(finished) >= patience * beam:
            break
        if lookahead is not None and len(finished) >= nbest:
            norm = min(longest, step + 1 + lookahead) ** penalty
            live = [one for one in live if one[0] / norm > finished[nbest - 1][0]]
    return [(tokens, True) for _, tokens in finished[:nbest]] + [
        (history[2:], False) for _, history in live[: max(0, nbest - len(finished))]
    ]


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_is_exhaustive(seed, penalty):
    model = random_model(seed)
    expected = enumerate_all(model, 4, penalty)
    for nbest in (1, 7, 60):  # 40 sequences can finish within 4 tokens: 60 include unfinished ones
        (found,) = model.search([4], beam_size=128, length_penalty=penalty, nbest=nbest)
        assert [(one.tokens, one.finished) for one in found] == [item[:2] for item in expected[:nbest]]
        assert [one.score for one in found] == pytest.approx([item[2] for item in expected[:nbest]])
        for one in found:
            check_forced(model, 0, one)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    longest=st.integers(1, 7),
    beam=st.integers(2, 5),
    nbest=st.integers(1, 5),
    penalty=st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    tied=st.booleans(),
    shared=st.booleans(),
    lookahead=st.sampled_from([None, None, 0, 1, 2, 9]),
    patience=st.sampled_from([None, None, 0.1, 0.5, 1.0, 2.0]),
)
def test_stopping_early_changes_nothing(
    seed, longest, beam, nbest, penalty, tied, shared, lookahead, patience
):
    """Nor does leaving out hypotheses that cannot win; those without a chance within `lookahead` tokens are
    given up, and all when enough have ended.
    """
    model = tied_model(seed, longest) if tied else random_model(seed, longest=longest, vocabulary=5)
    nbest = min(nbest, beam)
    options = {"beam_size": beam, "length_penalty": penalty, "nbest": nbest, "lookahead": lookahead}
    options["patience"] = patience
    (found,) = (SharedModel(model.table) if shared else model).search([longest], **options)
    expected = plain_beam(model, longest, beam, penalty, nbest, lookahead, patience)
    assert [(one.tokens, one.finished) for one in found] == expected
    for one in found:
        check_forced(model, 0, one)
        length = len(one.tokens) + one.finished
        assert one.score == pytest.approx(one.log_probability / length**penalty)


def test_a_long_hypothesis_may_overtake_a_finished_one():
    """After one step EOS has the best score, also compared with the live one at its current length."""
    model = scripted(4, {0: {EOS: -1.0, 3: -1.5}, 1: {3: 0.0}, 2: {3: 0.0}, 3: {EOS: 0.0}})
    (found,) = model.search([4], beam_size=2)
    assert found[0].tokens == [3, 3, 3]
    assert found[0].score == pytest.approx(-1.5 / 4)
    assert model.search([4], beam_size=2, length_penalty=0.0)[0][0].tokens == []
    for lookahead, tokens in ((0, []), (1, [3, 3, 3])):  # -1.5 / 2 is better than -1, -1.5 / 1 is not
        assert model.search([4], beam_size=2, lookahead=lookahead)[0][0].tokens == tokens


def test_search_stops_when_nothing_live_can_win():
    """Also when it could only tie, as ties go to the earlier hypothesis: -2 / 4 = -0.5."""
    for value, steps in ((-2.5, 1), (-2.0, 1), (-1.5, 2)):
        model = scripted(4, {0: {EOS: -0.5, 3: value}})
        model.search([4], beam_size=2)
        assert len(model.rows) == steps


def test_done_sentences_leave_the_batch():
    model = random_model(3, sentences=3)
    model.table[0, ..., EOS] = 0.0
    shared = SharedModel(model.table)
    shared.search([4, 2, 3], beam_size=2, length_penalty=0.0, nbest=1)
    assert shared.rows[0] == 3
    assert shared.rows[1] <= 4
    model.table[1:, ..., EOS] = -50.0
    assert [one.finished for one in model.greedy([4, 2, 3])] == [True, False, False]
    assert model.rows == [3, 2, 1]


@pytest.mark.parametrize("kind", [TableModel, SharedModel])
@pytest.mark.parametrize("make", [random_model, tied_model])
def test_a_batch_gives_what_each_sentence_gives_alone(make, kind):
    model = kind(make(11, sentences=6, longest=8, vocabulary=7).table)
    lengths = [8, 2, 5, 1, 8, 3]
    together = model.search(lengths, beam_size=4, nbest=3)
    greedily = model.greedy(lengths)
    assert len({len(found[0].tokens) for found in together}) > 1
    for sentence, length in enumerate(lengths):
        (alone,) = model.search([length], [sentence], beam_size=4, nbest=3)
        assert len(alone) == 3
        assert all(same(one, other) for one, other in zip(alone, together[sentence], strict=True))
        for one in alone:
            check_forced(TableModel(model.table), sentence, one)
        ((one,),) = model.search([length], [sentence], beam_size=1, length_penalty=0.0)
        assert same(one, greedily[sentence])


@pytest.mark.parametrize("kind", [TableModel, SharedModel])
@pytest.mark.parametrize("method", ["beam", "greedy", "sample"])
def test_attention_is_kept_only_for_the_sentences_named(method, kind):
    """And is theirs, whichever sentences leave the batch first; nothing else changes."""
    model = kind(random_model(13, sentences=6, longest=8, vocabulary=7).table)
    lengths = [8, 2, 5, 1, 8, 3]
    run = {
        "beam": lambda **options: model.search(lengths, beam_size=4, nbest=2, **options),
        "greedy": lambda **options: [[one] for one in model.greedy(lengths, **options)],
        "sample": lambda **options: [[one] for one in model.sample(lengths, **options)],
    }[method]
    everything = run()
    for wanted in ([], [4], [1, 2, 5], range(6), range(20)):
        for sentence, (found, full) in enumerate(zip(run(attention=wanted), everything, strict=True)):
            for one, other in zip(found, full, strict=True):
                assert (one.attention is not None) == (sentence in wanted)
                attention = other.attention if one.attention is None else one.attention
                assert same(dataclasses.replace(one, attention=attention), other)
                assert one.attention is None or len(one.attention) == len(one.tokens) + one.finished


def test_without_attention_none_is_kept(monkeypatch):
    """Not even by a search that still runs."""
    kept: list[weakref.ref[ArrayAttention]] = []

    class Watched(ArrayAttention):
        def __init__(self, weights):
            super().__init__(weights)
            assert not [one for one in kept[:-1] if one() is not None]
            kept.append(weakref.ref(self))

    monkeypatch.setattr("nmt.decoding.torch_model.ArrayAttention", Watched)
    model = random_model(5, sentences=4, longest=8)
    for run in (model.search, model.greedy, model.sample):
        run([8] * 4, attention=())
        assert len(kept) > 4
        kept.clear()
    with pytest.raises(AssertionError):
        model.search([8] * 4, attention=range(4))


def test_asking_for_more_never_changes_the_first():
    model = random_model(2, sentences=4, longest=6)
    few, many = (model.search([6] * 4, beam_size=4, nbest=n) for n in (1, 4))
    assert all(same(one[0], other[0]) for one, other in zip(few, many, strict=True))


def test_no_sentences():
    model = random_model(0)
    assert model.search([], []) == []
    assert model.rows == []


def test_a_dead_end_is_left_out():
    """One live hypothesis, then probability zero for all tokens except EOS: fewer than n are found."""
    model = scripted(3, {0: {3: -1.0, EOS: -2.0}, 1: {EOS: -0.5}}, otherwise=-math.inf)
    (found,) = model.search([3], nbest=3, length_penalty=0.0)
    assert [one.tokens for one in found] == [[3], []]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"beam_size": 0}, "beam_size=0"),
        ({"beam_size": 2, "nbest": 3}, "nbest=3"),
        ({"nbest": 0}, "nbest=0"),
        ({"length_penalty": -1.0}, "length_penalty=-1"),
        ({"length_penalty": math.nan}, "length_penalty=nan"),
    ],
)
def test_impossible_settings(options, name):
    with pytest.raises(ConfigError, match=name):
        random_model(0).search([4], **options)


@pytest.mark.parametrize("width", [9, 700, 3000])
@pytest.mark.parametrize("levels", [1, 3, 40, 10**6])
def test_the_best_are_the_first_of_equals(levels, width):
    """Against a stable sort of the entire row."""
    generator = np.random.default_rng(levels)
    scores = -generator.integers(0, levels, (5, width)).astype(np.float32)
    scores[4, 7:] = -math.inf
    bans = np.array([2, 2]), np.array([0, 5])
    named = np.array([0, 4, 2]), np.array([1, 8, 5])
    step = ArrayStep(scores, None, ArrayAttention(np.ones((5, 1, 3), np.float32)))
    found = step.read(Query(6, np.array([1, 3]), bans, named))
    assert np.array_equal(found.named, scores[named])
    allowed = scores.copy()
    allowed[:, [1, 3]] = allowed[bans] = -math.inf
    expected = np.argsort(-allowed, axis=1, kind="stable")[:, :6]
    assert np.array_equal(found.values, np.take_along_axis(allowed, expected, axis=1))
    possible = found.values > -math.inf
    assert possible.sum() == (np.sort(allowed, axis=1)[:, -6:] > -math.inf).sum() > 20
    assert np.array_equal(found.tokens[possible], expected[possible])

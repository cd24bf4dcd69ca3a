"""Search options against exhaustive enumeration: scores, limits, distinct texts, constraints; and what a
search tells of itself: log-probabilities of tokens, its tree, what its hypotheses share.
"""

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np
import pytest
from array_table import EOS, PAD, ArrayTable, every_sequence
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config.decoding import DecodingConfig
from nmt.decoding.constraint import Except, Only, Usual, Watch
from nmt.decoding.interface import SearchOptions
from nmt.decoding.tree import EXTENDED, FINISHED, GIVEN_UP, PRUNED, TRUNCATED
from nmt.errors import ConfigError, NmtError

WIDE = DecodingConfig(beam_size=128, lookahead=None)
NARROW = DecodingConfig(beam_size=4)


def check_same(found, expected) -> None:
    assert [(one.tokens, one.finished) for one in found] == [one[:2] for one in expected]
    assert [one.score for one in found] == pytest.approx([one.score for one in expected], abs=1e-6)
    for one, other in zip(found, expected, strict=True):
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-6)
        assert one.log_probability == pytest.approx(sum(other.log_probabilities), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    normalisation=st.sampled_from(["power", "wu"]),
    penalty=st.sampled_from([0.0, 0.6, 1.0, 2.0]),
    coverage=st.sampled_from([0.0, 0.2, 2.0]),
    shortest=st.sampled_from([0, 1, 3]),
    nbest=st.sampled_from([1, 7, 60]),
)
def test_a_wide_beam_is_exhaustive(seed, normalisation, penalty, coverage, shortest, nbest):
    """With every score and a minimum length; 60 are more than can finish."""
    config = dataclasses.replace(
        WIDE,
        normalisation=normalisation,
        length_penalty=penalty,
        coverage_penalty=coverage,
        min_length=shortest,
    )
    model = ArrayTable.random(seed)
    (found,) = model.search([4], config, SearchOptions(nbest))
    check_same(found, every_sequence(model, 4, config)[:nbest])


@pytest.mark.parametrize("beam", [1, 3])
def test_a_coverage_penalty_counts_for_every_sentence_alone(beam):
    """In a batch from which sentences leave, as for each one alone."""
    config = dataclasses.replace(NARROW, beam_size=beam, coverage_penalty=0.7)
    model, lengths = ArrayTable.random(5, sentences=5, longest=8), [8, 2, 5, 8, 3]
    for number, found in enumerate(model.search(lengths, config)):
        assert model.search([lengths[number]], config, sentences=[number]) == [found]
    plain = model.search(lengths, dataclasses.replace(config, coverage_penalty=0.0))
    assert [one.score for (one,) in plain] != [one.score for (one,) in model.search(lengths, config)]


def test_a_piece_without_attention_has_a_finite_penalty():
    model = ArrayTable.random(1)
    model.attention[...] = np.eye(4, dtype=np.float32)[0]
    ((found,),) = model.search([4], dataclasses.replace(WIDE, coverage_penalty=1.0))
    assert -200 < found.score < -20


def test_a_minimum_length_holds_for_greedy_search_too():
    model = ArrayTable.random(2, sentences=4, longest=8)
    model.table[..., EOS] += 3
    for beam in (1, 4):
        config = dataclasses.replace(NARROW, beam_size=beam, min_length=5)
        lengths = [len(one.tokens) for (one,) in model.search([8] * 4, config)]
        assert min(lengths) >= 5
        assert min(lengths) < 8


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"coverage_penalty": -1.0}, "coverage_penalty=-1"),
        ({"min_length": 500}, "min_length=500"),
        ({"min_length": -1}, "min_length=-1"),
        ({"patience": 0.0}, "patience=0"),
        ({"patience": np.nan}, "patience=nan"),
    ],
)
def test_impossible_settings(options, name):
    with pytest.raises(ConfigError, match=name):
        ArrayTable.random(0).search([4], dataclasses.replace(NARROW, **options))


def test_a_coverage_penalty_needs_attention():
    model = ArrayTable.random(0)
    model.heads = 0
    with pytest.raises(ConfigError, match="no attention"):
        model.search([4], dataclasses.replace(NARROW, coverage_penalty=1.0))


# ---------------------------------------------------------------- distinct texts

TEXTS = {3: "a", 4: "b", 5: "ab"}


def text(tokens: list[int]) -> str:
    return "".join(TEXTS[token] for token in tokens)


@pytest.mark.parametrize("nbest", [1, 5, 30, 100])
@pytest.mark.parametrize("seed", range(6))
def test_distinct_texts_are_the_best_of_each(seed, nbest):
    model = ArrayTable.random(seed)
    config = dataclasses.replace(WIDE, length_penalty=0.5)
    everything, first = every_sequence(model, 4, config), {}
    for one in everything:
        first.setdefault(text(one.tokens), one)
    assert len(first) < len(everything)
    (found,) = model.search([4], config, SearchOptions(nbest, text=text))
    check_same(found, list(first.values())[:nbest])


# ---------------------------------------------------------------- constraints


class Phrase(NamedTuple):
    """Two tokens must follow each other; a token is never allowed; the first one is one of some."""

    phrase: tuple[int, int]
    never: int = PAD
    first: tuple[int, ...] | None = None
    shared: bool = True

    def start(self):
        return 0, True  # tokens of the phrase so far; at the beginning

    def advance(self, state, token):
        done, _ = state
        if done < 2:
            done = 1 + int(done == 1 and token == self.phrase[1]) if token in self.phrase else 0
            if done == 1 and token != self.phrase[0]:
                done = 0
        return done, False

    def allowed(self, state):
        if state[1] and self.first is not None:
            return Only(self.first)
        return Except([self.never] if state[0] == 2 else [self.never, EOS])

    def wanted(self, state):
        return [self.phrase[state[0]]] if state[0] < 2 else []

    def met(self, state):
        return state[0] if self.shared else 0

    def met_after(self, state):
        return lambda token: self.met(self.advance(state, token))

    def usual_met(self, state):
        return None

    def forces(self):
        return False

    def watch(self):
        return None

    def possible(self, targets: list[int]) -> bool:
        words = [token for token in targets if token != EOS]
        if self.never in words or (self.first is not None and targets[0] not in self.first):
            return False
        return EOS not in targets or self.phrase in itertools.pairwise(words)


class Anything(NamedTuple):
    """Allows everything."""

    def start(self):
        return ()

    def advance(self, state, token):
        return (*state, token)

    def allowed(self, state):
        return None

    def wanted(self, state):
        return ()

    def met(self, state):
        return 0

    def met_after(self, state):
        return lambda token: self.met(self.advance(state, token))

    def usual_met(self, state):
        return None

    def forces(self):
        return False

    def watch(self):
        return None


@pytest.mark.parametrize("nbest", [1, 9, 100])
@pytest.mark.parametrize(
    "constraint",
    [
        Phrase((3, 4)),
        Phrase((5, 5)),
        Phrase((4, 3), never=5),
        Phrase((4, 3), never=3),
        Phrase((3, 5), first=(4, 5, 2)),
        Anything(),
    ],
)
def test_a_wide_beam_with_a_constraint_is_exhaustive(constraint, nbest):
    model = ArrayTable.random(3)
    config = dataclasses.replace(WIDE, length_penalty=0.5, coverage_penalty=0.1, min_length=1)
    (found,) = model.search([4], config, SearchOptions(nbest, constraints={0: constraint}))
    possible = getattr(constraint, "possible", lambda targets: True)
    check_same(found, every_sequence(model, 4, config, possible)[:nbest])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), beam=st.integers(1, 5), tied=st.booleans())
def test_constraints_change_only_their_own_sentences(seed, beam, tied):
    """One that allows everything changes nothing; what must be in a translation is, however improbable."""
    model, lengths = ArrayTable.random(seed, sentences=5, longest=8), [8, 3, 5, 8, 6]
    model.table[..., 5] -= 8
    if tied:
        model.table = np.round(model.table).clip(max=-1)
    config = dataclasses.replace(NARROW, beam_size=beam)
    plain = model.search(lengths, config, SearchOptions(beam))
    required = {1: Anything(), 2: Phrase((5, 5)), 3: Phrase((5, 3))}
    found = model.search(lengths, config, SearchOptions(beam, constraints=required))
    for number in (0, 1, 4):
        assert found[number] == plain[number]
    for number in (2, 3):
        assert found[number]
        for one in found[number]:
            assert not one.finished or required[number].phrase in itertools.pairwise(one.tokens)
        options = SearchOptions(beam, constraints={0: required[number]})
        assert model.search([lengths[number]], config, options, [number]) == [found[number]]


def test_slots_are_shared_among_hypotheses_that_meet_more_or_less():
    """Else those that have begun an improbable phrase would be pruned."""
    model = ArrayTable.random(4, longest=8)
    model.table[..., 5] -= 8
    results = []
    for shared in (True, False):
        options = SearchOptions(constraints={0: Phrase((5, 5), shared=shared)})
        ((found,),) = model.search([8], NARROW, options)
        results.append(found)
    assert results[0].finished
    assert not results[1].finished


def test_an_impossible_constraint_gives_no_hypotheses_and_harms_no_other():
    model = ArrayTable.random(6, sentences=2)
    options = SearchOptions(constraints={0: Phrase((3, 4), first=())})
    assert model.search([4, 4], NARROW, options) == [[], model.search([4, 4], NARROW)[1]]
    model.table[1] = -np.inf
    with pytest.raises(NmtError, match="probability zero"):
        model.search([4, 4], NARROW, options)


class Never(NamedTuple):
    """Some pairs of tokens do not follow each other; some of these are avoided without need."""

    pairs: frozenset[tuple[int, int]]
    avoided: frozenset[tuple[int, int]] = frozenset()
    watched: bool = True

    def start(self):
        return 1

    def advance(self, state, token):
        return token

    def allowed(self, state):
        found = {last for first, last in self.pairs | self.avoided if first == state}
        return Except(sorted(found)) if found else None

    def wanted(self, state):
        return ()

    def met(self, state):
        return 0

    def met_after(self, state):
        return lambda token: 0

    def usual_met(self, state):
        return Usual(0)

    def forces(self):
        return False

    def watch(self):
        if not self.watched:
            return None
        firsts = {first for first, _ in self.pairs | self.avoided}
        return Watch(
            np.isin(np.arange(6), [*firsts]),
            False,
            lambda state: state not in firsts,
            lambda state, token: (state, token) in self.pairs | self.avoided,
            lambda state, token: (state, token) in self.pairs,
        )

    def is_met_by(self, tokens) -> bool:
        return not self.pairs.intersection(itertools.pairwise([1, *tokens, EOS]))


def pairs_of(rng: np.random.Generator, count: int) -> frozenset[tuple[int, int]]:
    """Pairs of tokens, the last one possibly end-of-sentence."""
    return frozenset(zip(rng.integers(3, 6, count).tolist(), rng.integers(2, 6, count).tolist(), strict=True))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), beam=st.integers(1, 5), more=st.booleans(), tied=st.booleans())
def test_a_constraint_beside_the_free_search_is_as_one_after_the_other(seed, beam, more, tied):
    """What is found without it stands if the best meets it; else, and where there are fewer than n, what is
    found with it. In a batch as alone.
    """
    rng, lengths = np.random.default_rng(seed), [8, 3, 5, 8, 6]
    model = ArrayTable.random(seed, sentences=5, longest=8)
    model.table = (2 * model.table).clip(-20, 0)
    if tied:
        model.table = np.round(model.table).clip(max=-1)
    config = dataclasses.replace(NARROW, beam_size=beam, coverage_penalty=0.3 * more, lookahead=more or None)
    nbest, attention = 1 + more * (beam - 1), frozenset({1, 2})
    asked = {number: Never(pairs_of(rng, 2), pairs_of(rng, 3)) for number in (1, 2, 3, 4)}
    free = {number: asked[number].is_met_by for number in (1, 2, 3)}
    options = SearchOptions(nbest, attention, constraints=asked, free=free)
    found = model.search(lengths, config, options)
    plain = model.search(lengths, config, SearchOptions(nbest, attention))
    every = {number: one._replace(watched=False) for number, one in asked.items()}
    constrained = model.search(lengths, config, SearchOptions(nbest, attention, constraints=every))
    for number, group in enumerate(found):
        expected = plain[number]
        if number in free:
            met = [one for one in plain[number] if free[number](one.tokens)]
            met = met if met[:1] == plain[number][:1] else []
            known = [one.tokens for one in met]
            expected = [*met, *(one for one in constrained[number] if one.tokens not in known)][:nbest]
        elif number in asked:
            expected = constrained[number]
        for one, other in zip(group, expected, strict=True):
            assert (one.tokens, one.score, one.finished) == (other.tokens, other.score, other.finished)
            assert one.log_probabilities == other.log_probabilities
            assert np.array_equal(one.attention, other.attention) or number not in attention
        if number in free:
            own = SearchOptions(nbest, constraints={0: asked[number]}, free={0: free[number]})
            (alone,) = model.search([lengths[number]], config, own, [number])
            assert [(one.tokens, one.score) for one in alone] == [(one.tokens, one.score) for one in group]


@pytest.mark.parametrize("seed", range(30))
def test_what_is_shared_beside_the_free_search_is_never_taken_back(seed):
    rng, lengths = np.random.default_rng(seed), [8, 6, 8]
    model = ArrayTable.random(seed, sentences=3, longest=8)
    model.table = (2 * model.table).clip(-20, 0)
    asked = {number: Never(pairs_of(rng, 3)) for number in range(3)}
    free = {number: one.is_met_by for number, one in asked.items()}
    options = SearchOptions(2, constraints=asked, free=free, trace=frozenset({0, 2}))
    search = model.start(lengths, NARROW, options)
    shared: dict[int, list[list[int]]] = {number: [] for number in range(3)}
    while search.active:
        search.step()
        for number, parts in shared.items():
            parts.append(search.shared(number))
    for number, (best, *_) in enumerate(search.hypotheses(range(3))):
        assert shared[number][-1] == best.tokens
        for before, after in itertools.pairwise(shared[number]):
            assert after[: len(before)] == before
    for number in (0, 2):
        paths, ranked = {-1: []}, []
        for index, node in enumerate(search.tree(number).nodes):
            paths[index] = [*paths[node.parent], node.token]
            assert len(paths[index]) == node.step + 1
            ranked += [paths[index]] if node.rank is not None else []
        found = [[*one.tokens, *[EOS] * one.finished] for one in search.hypotheses([number])[0]]
        assert found[-1] in ranked


# ---------------------------------------------------------------- the tree


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), beam=st.integers(1, 4), lookahead=st.sampled_from([None, 1]), nbest=st.just(2)
)
def test_the_tree_is_the_beam_of_every_step(seed, beam, lookahead, nbest):
    model, longest = ArrayTable.random(seed, sentences=2, longest=6), [6, 5]
    config, nbest = dataclasses.replace(NARROW, beam_size=beam, lookahead=lookahead), min(nbest, beam)
    search = model.start(longest, config, SearchOptions(nbest, trace=frozenset({1})))
    while search.active:
        search.step()
    nodes, (best,) = search.tree(1).nodes, search.hypotheses([1])
    paths = []
    for number, node in enumerate(nodes):
        before = [0, 1] if node.parent < 0 else paths[node.parent]
        paths.append([*before, node.token])
        assert node.parent < number
        assert node.step == len(paths[-1]) - 3
        value = model.table[1, node.step, before[-2], before[-1], node.token]
        assert node.log_probability == pytest.approx(float(value), abs=1e-6)
        children = [child for child in nodes if child.parent == number]
        assert (node.fate == EXTENDED) == bool(children)
        assert (node.fate == FINISHED) == (node.token == EOS)
    ranked = sorted(
        (node.rank, path, node) for path, node in zip(paths, nodes, strict=True) if node.rank is not None
    )
    assert [path[2:] for _, path, _ in ranked] == [one.tokens + [EOS] * one.finished for one in best]
    assert [(node.total, node.score) for _, _, node in ranked] == [
        (one.log_probability, one.score) for one in best
    ]
    assert {node.fate for _, _, node in ranked} <= {FINISHED, TRUNCATED}
    for step in range(1, nodes[-1].step + 1):
        parents = [number for number, node in enumerate(nodes) if node.step == step - 1]
        parents = [number for number in parents if nodes[number].fate in (EXTENDED, PRUNED)]
        candidates = sorted(
            (
                (nodes[number].total + float(model.table[1, step, *paths[number][-2:], token]), token)
                for number in parents
                for token in (2, 3, 4, 5)
            ),
            reverse=True,
        )
        expected = {round(total, 6) for total, token in candidates[:beam] if token == EOS}
        others = [total for total, token in (candidates if beam > 1 else candidates[:1]) if token != EOS]
        expected |= {round(total, 6) for total in others[:beam]}
        assert {round(node.total, 6) for node in nodes if node.step == step} == expected
    assert not [node for node in nodes if node.fate == GIVEN_UP and node.rank is not None]


# ---------------------------------------------------------------- step by step


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), beam=st.integers(1, 5), nbest=st.integers(1, 2))
def test_what_hypotheses_share_is_never_taken_back(seed, beam, nbest):
    """It is what the best finished one and all that go on have in common, from the tree."""
    model, lengths = ArrayTable.random(seed, sentences=3, longest=8), [8, 4, 7]
    model.table = (2 * model.table).clip(-20, 0)
    config = dataclasses.replace(NARROW, beam_size=beam)
    search = model.start(lengths, config, SearchOptions(min(nbest, beam)))
    shared: dict[int, list[list[int]]] = {number: [search.shared(number)] for number in range(3)}
    while search.active:
        search.step()
        for number, parts in shared.items():
            parts.append(search.shared(number))
    for number, (best, *_) in enumerate(search.hypotheses(range(3))):
        assert shared[number][0] == []
        assert shared[number][-1] == best.tokens
        for before, after in itertools.pairwise(shared[number]):
            assert after[: len(before)] == before


def test_some_is_shared_before_the_end():
    model = ArrayTable.random(1, longest=12)
    model.table *= 6
    search = model.start([12], NARROW)
    lengths = []
    while search.active:
        search.step()
        lengths.append(len(search.shared(0)))
    assert len(set(lengths)) > 3


def test_a_cancelled_sentence_leaves_in_the_next_step():
    model = ArrayTable.random(7, sentences=4, longest=8)
    config, options = NARROW, SearchOptions(2, frozenset(range(4)))
    expected = model.search([8] * 4, config, options)
    search = model.start([8] * 4, config, options)
    search.step()
    search.cancel(2)
    assert search.step().count(2) == 1
    assert 2 not in search.active
    while search.active:
        search.step()
    found = search.hypotheses(range(4))
    assert found[2] == []
    for number in (0, 1, 3):
        for one, other in zip(found[number], expected[number], strict=True):
            assert (one.tokens, one.score) == (other.tokens, other.score)
            assert np.array_equal(one.attention, other.attention)


class Forcing(Anything):
    """Allows everything, and says that it does not."""

    def forces(self):
        return True


def test_with_a_constraint_that_forces_search_has_a_patience_of_1(monkeypatch):
    monkeypatch.setattr("nmt.decoding.pruning._MARGIN", np.inf)
    lengths, others = [8, 8], 0
    impatient_config = dataclasses.replace(NARROW, patience=1.0)
    for seed in range(20):
        model = ArrayTable.random(seed, sentences=2, longest=8)
        found = model.search(lengths, NARROW, SearchOptions(constraints={1: Forcing()}))
        plain, impatient = model.search(lengths, NARROW), model.search(lengths, impatient_config)
        assert [one.tokens for one in found[0]] == [one.tokens for one in plain[0]]
        assert [one.tokens for one in found[1]] == [one.tokens for one in impatient[1]]
        others += plain[1][0].tokens != impatient[1][0].tokens
    assert others


def test_with_a_constraint_that_forces_a_longer_translation_must_be_nearly_as_probable(monkeypatch):
    """Its score per token would gain by anything that is added."""
    shorter, options = 0, SearchOptions(constraints={1: Forcing()})
    for seed in range(20):
        model = ArrayTable.random(seed, sentences=2, longest=8)
        _, (found,) = model.search([8, 8], NARROW, options)
        with monkeypatch.context() as patch:
            patch.setattr("nmt.decoding.pruning._MARGIN", np.inf)
            _, (longer,) = model.search([8, 8], NARROW, options)
        if found != longer:
            assert longer.log_probability < found.log_probability - 4
            shorter += len(found.tokens) < len(longer.tokens)
    assert shorter


class Late(Phrase):
    """Forces its phrase."""

    def forces(self):
        return True


def test_what_the_model_would_end_goes_on_with_the_phrase_only():
    """Not with words that it would not say."""
    model = ArrayTable.random(3, longest=8)
    model.table[..., EOS], model.table[..., 5], model.table[..., 3:5] = -0.01, -0.5, -9.0
    model.table[:, 4:, :, 3:5] = -5.0
    ((found,),) = model.search([8], NARROW, SearchOptions(constraints={0: Late((3, 4))}))
    ((free,),) = model.search([8], NARROW, SearchOptions(constraints={0: Phrase((3, 4))}))
    assert found.tokens[:2] == [3, 4]
    assert free.tokens[:2] == [5, 5]

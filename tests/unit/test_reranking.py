"""Choosing among the candidates of several systems, and with a reverse model: against the formulas, term by
term.
"""

import dataclasses
import itertools
import math
import random

import numpy as np
import pytest
import torch
from sacrebleu.metrics.chrf import CHRF
from tiny import ENGLISH, MARATHI
from tiny_systems import TEXTS, tiny_system, two_sides

from nmt.config.decoding import DecodingConfig
from nmt.data.text import clean
from nmt.data.tokenizer import BOS, EOS, Tokens
from nmt.decoding.arrays import ArrayAttention, ArrayStep
from nmt.decoding.combination import CombinedTranslator
from nmt.decoding.reranking import Pool, Reranker, reverse_scores
from nmt.decoding.result import Translation
from nmt.decoding.translator import Translator

CHRF2 = CHRF()


def expected_utility(text, lists, reverse=lambda text: 1.0):
    """Σᵣ w(r) chrF2(text, r) over the candidates (text, log-probability) of each system; `reverse` of a text
    is what its weight is multiplied by.
    """
    total = weights = 0.0
    for found in lists:
        mass = sum(math.exp(log) for _, log in found)
        for other, log in found:
            weight = math.exp(log) / mass / len(lists) * reverse(other)
            total += weight * CHRF2.sentence_score(text, [other]).score
            weights += weight
    return total / weights


# ---------------------------------------------------------------- the ranking


def found(text: str, log_probability: float, score: float = 0.0) -> Translation:
    tokens = Tokens(text, [], [], [])
    return Translation(tokens, tokens, log_probability, score, None, True, [log_probability])


@pytest.mark.parametrize("seed", range(6))
def test_a_consensus_is_by_expected_chrf_over_all_lists(seed):
    draw = random.Random(seed)
    texts = ["तो घरी गेला.", "तो घरी गेली.", "ती घरी जाते.", "a b", "a c", ""]
    lists = [
        [found(text, draw.uniform(-9, 0)) for text in draw.sample(texts, draw.randint(1, 4))]
        for _ in range(seed // 2 + 1)
    ]
    (ranked,) = Reranker(consensus=True).rank([Pool("x", lists)])
    plain = [[(one.target.text, one.log_probability) for one in own] for own in lists]
    scores = {text: expected_utility(text, plain) for own in plain for text, _ in own}
    assert [one.text for one in ranked] == sorted(scores, key=lambda text: -scores[text])
    for one in ranked:
        assert one.score == pytest.approx(scores[one.text])
        assert found(one.text, one.log_probability).log_probability in [
            log for text, log in plain[one.system] if text == one.text
        ]


def test_samples_have_equal_weights_and_an_empty_list_none():
    one, other = [found("a b c", -1.0), found("x y z", -9.0), found("x y w", -9.0)], [found("x y z", -50.0)]
    (ranked,) = Reranker(consensus=True).rank([Pool("s", [one, other, []], sampled=True)])
    by_hand = [[("a b c", 0.0), ("x y z", 0.0), ("x y w", 0.0)], [("x y z", 0.0)]]
    assert ranked[0].text == "x y z"
    assert ranked[0].score == pytest.approx(expected_utility("x y z", by_hand))
    assert Reranker(consensus=True).rank([Pool("s", [[], []])]) == [[]]


def test_truncated_candidates_come_last():
    lists = [[found("a", -1.0, -3.0), found("b", -1.0, -2.0), found("c", -1.0, -1.0)]]
    lists[0][2] = dataclasses.replace(lists[0][2], finished=False)
    (ranked,) = Reranker(consensus=False).rank([Pool("x", lists)])
    assert [one.text for one in ranked] == ["b", "a", "c"]


# ---------------------------------------------------------------- exhaustive


class Letters:
    """A tokenizer of texts of letters; its source side reads the number of a sentence."""

    def __init__(self, letters: str) -> None:
        self.letters = letters

    def tags(self) -> dict[str, int]:
        return {}

    def encode_with_offsets(self, text: str) -> Tokens:
        return Tokens(text, [4 + int(text)], [text], [])

    def decode_with_offsets(self, ids: list[int]) -> Tokens:
        return Tokens("".join(self.letters[i - 4] for i in ids), ids, [*map(str, ids)], [])

    def decode(self, ids: list[int]) -> str:
        return self.decode_with_offsets(ids).text


class Table:
    """Log-probabilities [sentence, token before, next token]."""

    heads = 0

    def __init__(self, seed: int, sentences: int, vocabulary: int) -> None:
        logits = 2 * np.random.default_rng(seed).standard_normal((sentences, vocabulary, vocabulary))
        self.table = (logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))).astype(np.float32)

    def encode(self, source, mask):
        return source[:, 0] - 4

    def step(self, state, rows):
        sentences = state if rows.going is None else state[rows.going]
        predicted = self.table[sentences[rows.sentences], rows.tokens]
        nothing = np.zeros((len(rows.tokens), 0, 2), np.float32)
        return ArrayStep(predicted, sentences, ArrayAttention(nothing))


def test_of_all_sequences_it_is_the_best_under_the_mean_of_the_distributions():
    """Two models with different letters for their tokens."""
    letters, longest, sentences = "abc", 3, 2
    number = sum(len(letters) ** length for length in range(longest + 1))
    config = DecodingConfig(
        beam_size=200, candidates=number, max_length=longest + 1, max_length_extra=longest + 1, lookahead=None
    )
    tables = [Table(seed, sentences, 4 + len(letters)) for seed in (0, 1)]
    sides = [Letters(letters), Letters(letters[::-1])]
    translators = [Translator(table, side, side, config) for table, side in zip(tables, sides, strict=True)]
    every = CombinedTranslator(translators, Reranker(consensus=True)).translate(["0", "1"], nbest=number)
    for sentence, ranked in enumerate(every):
        lists = []
        for table, side in zip(tables, sides, strict=True):
            own = []
            for length in range(longest + 1):
                for ids in itertools.product(range(4, 4 + len(letters)), repeat=length):
                    path = [BOS, *ids, EOS]
                    log = sum(float(table.table[sentence, a, b]) for a, b in itertools.pairwise(path))
                    own.append((side.decode([*ids]), log))
            lists.append(own)
        scores = {text: expected_utility(text, lists) for text, _ in lists[0]}
        assert len(ranked) == number
        assert [one.score for one in ranked] == pytest.approx(sorted(scores.values(), reverse=True), abs=1e-3)
        for one in ranked:
            assert one.score == pytest.approx(scores[one.text], abs=1e-3)


# ---------------------------------------------------------------- models


@pytest.fixture(scope="module")
def sides():
    return two_sides()


@pytest.fixture(scope="module")
def reverse(sides):
    """Translates from Marathi, with tokenizers of its own."""
    return tiny_system(*sides[1][::-1], seed=7)


def token_by_token(reverse: Translator, text: str, source: str) -> float:
    """log p(source | text) and |source|, a step at a time, without batches."""
    model = reverse.model._model
    given = torch.tensor([[*reverse.source.encode(clean(text)), EOS]])
    with torch.inference_mode():
        state, memory = model.encode(given, torch.ones_like(given, dtype=torch.bool))
        total, before, ids = 0.0, BOS, [*reverse.target.encode(clean(source)), EOS]
        for token in ids:
            predicted, state, _ = model.step(torch.tensor([before]), state, memory)
            total += float(predicted[0, token])
            before = token
    return total, len(ids)


def test_a_reverse_model_scores_the_source_given_the_translation(reverse):
    pairs = [*itertools.product(MARATHI[:3], ENGLISH[:2]), (MARATHI[0], ENGLISH[0]), ("", ENGLISH[0])]
    scores = reverse_scores(reverse, pairs)
    for pair in pairs:
        assert scores[pair] == pytest.approx(token_by_token(reverse, *pair), abs=1e-5)


@pytest.mark.parametrize("weight", [0.0, 0.7, 5.0])
def test_candidates_are_ranked_by_both_models(sides, reverse, weight):
    alone = tiny_system(*sides[0], candidates=4, reverse_weight=weight)
    both = CombinedTranslator([alone], Reranker(consensus=False, reverse=reverse))
    for text, ranked in zip(ENGLISH[:3], both.translate(ENGLISH[:3], nbest=4), strict=True):
        (candidates,) = alone.translate([text], nbest=4)
        scores = [
            one.log_probability / (len(one.target.ids) + one.finished) + weight * total / length
            for one in candidates
            for total, length in [token_by_token(reverse, one.text, text)]
        ]
        assert [one.score for one in ranked] == pytest.approx(sorted(scores, reverse=True), abs=1e-5)
        assert len({one.text for one in candidates}) > 1
        if not weight:
            assert [one.text for one in ranked] == [one.text for one in candidates]


def test_a_consensus_and_a_reverse_model(sides, reverse):
    systems = [tiny_system(*sides[0]), tiny_system(*sides[1], seed=4)]
    consensus = CombinedTranslator(systems, Reranker(consensus=True))
    both = CombinedTranslator(
        [tiny_system(*sides[0], reverse_weight=0.4), systems[1]], Reranker(consensus=True, reverse=reverse)
    )
    for text, ranked, again in zip(
        ENGLISH, consensus.translate(ENGLISH, 6), both.translate(ENGLISH, 6), strict=True
    ):
        lists = [
            [(one.text, one.log_probability) for one in system.translate([text], 3)[0]] for system in systems
        ]
        scores = {text: expected_utility(text, lists) for own in lists for text, _ in own}
        assert [one.score for one in ranked] == pytest.approx(sorted(scores.values(), reverse=True), abs=1e-3)
        channel = {one: math.exp(0.4 * token_by_token(reverse, one, text)[0]) for one in scores}
        total = {one: expected_utility(one, lists, channel.get) for one in scores}
        assert [one.score for one in again] == pytest.approx(sorted(total.values(), reverse=True), abs=1e-3)
        assert [total[one.text] for one in again] == pytest.approx([one.score for one in again], abs=1e-3)


def test_results_do_not_depend_on_the_batch(sides, reverse):
    systems = [tiny_system(*sides[0], style="luong"), tiny_system(*sides[1], seed=4)]
    combined = CombinedTranslator(systems, Reranker(consensus=True, reverse=reverse))
    together = combined.translate(TEXTS, 5, attention=True)
    reversed_order = combined.translate(TEXTS[::-1], 5)[::-1]
    for text, one, other in zip(TEXTS, together, reversed_order, strict=True):
        (alone,) = combined.translate([text], 5)
        for own in (other, alone):
            assert [x.text for x in own] == [x.text for x in one]
            assert [x.score for x in own] == pytest.approx([x.score for x in one], abs=1e-4)
            assert [x.system for x in own] == [x.system for x in one]


def test_what_a_system_found_stays_as_it_is(sides):
    """Tokens, log-probabilities and attention, whose heads are averaged as systems may have different
    numbers of them.
    """
    systems = [tiny_system(*sides[0], style="transformer"), tiny_system(*sides[1], seed=4)]
    assert systems[0].heads == 2
    combined = CombinedTranslator(systems, Reranker(consensus=True))
    assert combined.heads == 1
    own = [system.translate(ENGLISH, 3, attention=True) for system in systems]
    for i, ranked in enumerate(combined.translate(ENGLISH, 6, attention=True)):
        for one in ranked:
            (same,) = (x for x in own[one.system][i] if x.target == one.target)
            assert (same.log_probabilities, same.source) == (one.log_probabilities, one.source)
            assert one.attention == pytest.approx(same.attention.mean(axis=0, keepdims=True), abs=1e-6)
    assert (
        CombinedTranslator(
            [systems[1], tiny_system(*sides[0], style="vector")], Reranker(consensus=True)
        ).heads
        == 0
    )

"""Statistical word alignment against plain loops over the papers' equations, and on gold alignments."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from nmt.alignment import hmm, statistical
from nmt.alignment.aer import alignment_scores
from nmt.alignment.hmm import forward_backward, transitions
from nmt.alignment.pharaoh import parse_pharaoh
from nmt.alignment.statistical import Posteriors, WordAligner
from nmt.alignment.symmetrise import grow_diag_final
from nmt.data.text import words

CORPUS = Path(__file__).resolve().parents[2] / "data" / "sample" / "corpus.tsv"
PAIRS = [("a b", "x y"), ("a", "x"), ("b c a", "z x"), ("c", "z w"), ("b", "y")]
SOURCES, TARGETS = ([pair[side].split() for pair in PAIRS] for side in (0, 1))


def test_forward_backward_sums_over_all_alignments() -> None:
    generator = np.random.default_rng(1)
    B, J, words_linked = 2, 3, 3
    likelihoods = generator.random((B, J, 1 + words_linked))
    weights = generator.random(hmm.JUMPS)
    transition = transitions(weights, words_linked)
    found, moves = forward_backward(likelihoods, transition)
    expected, expected_moves = np.zeros_like(found), np.zeros_like(moves)
    for b in range(B):
        total, posterior, moved = 0.0, np.zeros((J, 1 + words_linked)), np.zeros_like(moves)
        for start in range(words_linked):  # the position before the first word
            for path in itertools.product(range(1 + words_linked), repeat=J):
                last, p, steps = start, 1 / words_linked, []
                for j, choice in enumerate(path):
                    at = last if choice == 0 else choice - 1
                    if choice == 0:
                        p *= hmm.NULL
                    elif j == 0:  # anywhere, as likely
                        p *= (1 - hmm.NULL) * (start == at)
                    else:
                        p *= transition[last, at]
                        steps.append((last, at))
                    p *= likelihoods[b, j, choice]
                    last = at
                total += p
                for j, choice in enumerate(path):
                    posterior[j, choice] += p
                for step in steps:
                    moved[step] += p
        expected[b], expected_moves = posterior / total, expected_moves + moved / total
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(moves, expected_moves, atol=1e-12)


def test_transitions_are_by_distance_and_sum_to_one_with_no_link() -> None:
    weights = np.arange(1.0, hmm.JUMPS + 1)
    table = transitions(weights, 7)
    np.testing.assert_allclose(table.sum(axis=1), 1 - hmm.NULL)
    row = [weights[min(max(k - 2, -hmm.WINDOW), hmm.WINDOW) + hmm.WINDOW] for k in range(7)]
    np.testing.assert_allclose(table[2], (1 - hmm.NULL) * np.array(row) / sum(row))


def digamma(value: float) -> float:
    return float(torch.special.digamma(torch.tensor(value, dtype=torch.float64)))


def plain_model1(
    givens: list[list[str]], words_: list[list[str]], table: dict[tuple[str, str], float]
) -> list[list[list[float]]]:
    """p(a_j = i) for every sentence, target word and source word; the first is no word."""
    found = []
    for given, linked in zip(givens, words_, strict=True):
        rows = []
        for word in linked:
            row = [hmm.NULL * table[("", word)]]
            row += [(1 - hmm.NULL) / len(given) * table[(one, word)] for one in given]
            rows.append([one / sum(row) for one in row])
        found.append(rows)
    return found


def test_model_1_learns_by_agreement_as_the_equations_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rounds of Model 1, then the posteriors of the hidden Markov model with its first jumps."""
    aligner = WordAligner.__new__(WordAligner)
    monkeypatch.setattr(statistical, "ROUNDS", 0)
    WordAligner.__init__(aligner, SOURCES, TARGETS)
    sides = ((SOURCES, TARGETS), (TARGETS, SOURCES))
    tables = [
        {(g, w): 1.0 for given, linked in zip(*one, strict=True) for g in ["", *given] for w in linked}
        for one in sides
    ]
    for _ in range(2):
        aligner._learn(statistical._Direction.model1)
        posteriors = [plain_model1(*one, table) for one, table in zip(sides, tables, strict=True)]
        counts = [dict.fromkeys(table, statistical.ALPHA) for table in tables]
        for n, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
            for (i, e), (j, f) in itertools.product(enumerate(source), enumerate(target)):
                agreed = posteriors[0][n][j][1 + i] * posteriors[1][n][i][1 + j]
                counts[0][e, f] += agreed
                counts[1][f, e] += agreed
            for j, f in enumerate(target):
                counts[0]["", f] += posteriors[0][n][j][0]
            for i, e in enumerate(source):
                counts[1]["", e] += posteriors[1][n][i][0]
        for table, count in zip(tables, counts, strict=True):
            for given, word in table:
                total = sum(one for (other, _), one in count.items() if other == given)
                table[given, word] = math.exp(digamma(count[given, word]) - digamma(total))
    found = aligner.posteriors()
    for n, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        likelihoods = np.array([[[tables[0][e, f] for e in ["", *source]] for f in target]])
        forward, _ = forward_backward(likelihoods, transitions(np.ones(hmm.JUMPS), len(source)))
        np.testing.assert_allclose(found[n].forward, forward[0, :, 1:].T, atol=1e-9)
        likelihoods = np.array([[[tables[1][f, e] for f in ["", *target]] for e in source]])
        backward, _ = forward_backward(likelihoods, transitions(np.ones(hmm.JUMPS), len(target)))
        np.testing.assert_allclose(found[n].backward, backward[0, :, 1:], atol=1e-9)


def test_links_are_the_best_ones_unless_no_link_is_likelier() -> None:
    forward, backward = np.array([[0.5, 0.2], [0.3, 0.2]]), np.array([[0.1, 0.6], [0.2, 0.3]])
    found = Posteriors(forward, backward)
    assert found.links() == (frozenset({(0, 0)}), frozenset({(0, 1)}))
    np.testing.assert_allclose(found.joint, np.sqrt(forward * backward))


def test_order_of_the_pairs_changes_nothing() -> None:
    one, other = WordAligner(SOURCES, TARGETS), WordAligner(SOURCES[::-1], TARGETS[::-1])
    for a, b in zip(one.posteriors(), other.posteriors()[::-1], strict=True):
        np.testing.assert_allclose(a.joint, b.joint, atol=1e-9)


def test_gold_alignments_of_the_bundled_corpus() -> None:
    lines = [line.split("\t") for line in CORPUS.read_text(encoding="utf-8").splitlines()[:3000]]
    sides = [[[word.casefold() for word in words(line[side])] for line in lines] for side in (0, 1)]
    links = [one.links() for one in WordAligner(*sides).posteriors()]
    gold = [parse_pharaoh(line[2]) for line in lines]
    both = alignment_scores([grow_diag_final(*one) for one in links], gold).aer
    assert both < 0.11, both  # all 11,500 pairs: 0.07 on the test set

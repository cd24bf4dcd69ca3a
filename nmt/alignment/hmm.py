"""The hidden Markov model of word alignment, for sentence pairs of the same two lengths at once.

After Vogel, Ney and Tillmann, "HMM-Based Word Alignment in Statistical Translation" (COLING 1996): the
position a_j of the word that target word j translates depends on the last one through the distance between
them. As in Och and Ney (2003, §3.2), a word may be linked to no word, which keeps the last position.

    p(f, a | e) = Π_j p(a_j | a_{j−1}, I) t(f_j | e_{a_j})
    p(i | i', I) = (1 − p0) c(i − i') / Σ_k c(k − i'),   p(null | i') = p0

Shapes: B sentence pairs, I words that are linked to, J words that are linked, D jumps.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NULL = 0.1  # p0: the prior probability that a word is linked to none
WINDOW = 4  # longer jumps are alike
JUMPS = 2 * WINDOW + 1


def jumps(words: int) -> NDArray[np.int64]:
    """The number of the jump from each position to each other, [I, I]."""
    positions = np.arange(words)
    numbers: NDArray[np.int64] = np.clip(positions - positions[:, None], -WINDOW, WINDOW) + WINDOW
    return numbers


def transitions(weights: Floats, words: int) -> Floats:
    """p(i | i', I) for a word that is linked, [I, I], from the weights c of the jumps, [D]."""
    table = weights[jumps(words)]
    normalised: Floats = (1 - NULL) * table / table.sum(axis=1, keepdims=True)
    return normalised


def forward_backward(likelihoods: Floats, transition: Floats) -> tuple[Floats, Floats]:
    """The posterior of every link, by the forward–backward algorithm (Rabiner 1989, §III).

    The state after word j is the last position that was linked, and whether word j is linked.

    Args:
        likelihoods: t(f_j | e_i), [B, J, 1 + I]; the first column is that of no link.
        transition: from `transitions`, [I, I].

    Returns:
        p(a_j = i | f, e), [B, J, 1 + I], and the expected number of moves between positions, [I, I].
    """
    B, J, columns = likelihoods.shape
    null, words = likelihoods[:, :, :1], likelihoods[:, :, 1:]
    before = np.full((B, columns - 1), 1 / (columns - 1))  # p(last position | words so far)
    linked, empty, scale = np.empty(words.shape), np.empty(words.shape), np.empty((B, J, 1))
    for j in range(J):
        moved = before @ transition if j else before * (1 - NULL)
        linked[:, j], empty[:, j] = moved * words[:, j], before * (NULL * null[:, j])
        scale[:, j] = (linked[:, j] + empty[:, j]).sum(axis=1, keepdims=True)
        linked[:, j] /= scale[:, j]
        empty[:, j] /= scale[:, j]
        before = linked[:, j] + empty[:, j]
    posterior, moves = np.empty(likelihoods.shape), np.zeros(transition.shape)
    after = np.ones(before.shape)  # p(later words | last position), scaled
    for j in reversed(range(J)):
        posterior[:, j, 1:] = linked[:, j] * after
        posterior[:, j, 0] = (empty[:, j] * after).sum(axis=1)
        if j:
            ahead = words[:, j] * after / scale[:, j]
            moves += (linked[:, j - 1] + empty[:, j - 1]).T @ ahead * transition
            after = ahead @ transition.T + NULL * null[:, j] * after / scale[:, j]
    return posterior, moves

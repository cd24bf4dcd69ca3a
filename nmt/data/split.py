"""Train, dev and test splits that share no sentence.

Pairs that share a source or a target sentence (compared by `canonical_key`) are connected; each connected
component goes to one split entirely, chosen by a hash of its content. So assignments are stable when
the corpus grows or is reordered, except where new pairs merge components or change the sentence that
identifies a component. Sentences are given by the 64-bit hashes (`nmt.data.keys`) of their canonical keys.

Shapes: N pairs, C components.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from nmt.data.keys import Keys
from nmt.data.workers import in_order

SPLITS = ("train", "dev", "test")
LARGE_COMPONENT = 100  # pairs; a larger component would dominate a small split, so it goes to train
TRAIN, DEV, TEST = range(3)  # indices in SPLITS
_CHUNK = 65_536  # components that a worker draws for at a time


def components(first: Keys, second: Keys) -> NDArray[np.int64]:
    """The component of each pair: the index of its first pair, [N].

    Every pair points to an earlier one of its component, at first to itself. Until nothing changes, the
    pairs with a common sentence, and what they point to, take over the lowest pointer among them, and
    pointers are followed (connected components as in Zhang et al. 2020, "FastSV").

    Args:
        first, second: keys of the two sentences of each pair, [N].
    """
    parent = np.arange(len(first))
    sides = [np.unique(keys, return_inverse=True)[1] for keys in (first, second)]
    while True:
        before = parent.copy()
        for sentence in sides:
            lowest = np.full(len(parent), len(parent))  # per sentence; there are at most N
            np.minimum.at(lowest, sentence, parent)
            found = lowest[sentence]
            np.minimum.at(parent, parent.copy(), found)
            parent = np.minimum(parent, found)
        parent = parent[parent]
        if np.array_equal(parent, before):
            return parent


def sharing(first: Keys, second: Keys, splits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """For each training pair that has a sentence of the dev or the test set on either side, the index of that
    split; `TRAIN` for the other pairs, [N].

    Pairs of different splits share no sentence on the same side, but a sentence may be the same in two
    languages.

    Args:
        first, second: keys of the two sentences of each pair, [N].
        splits: of each pair, from `assign_splits`, [N].
    """
    found = np.full(len(splits), TRAIN, np.uint8)
    for split in (DEV, TEST):
        held = np.concatenate([first[splits == split], second[splits == split]])
        found[(splits == TRAIN) & (np.isin(first, held) | np.isin(second, held))] = split
    return found


def _draws(keys: Keys) -> NDArray[np.float64]:
    """For each key, [N], a uniform value in [0, 1) that depends on it only."""
    content = keys.astype(">u8").tobytes()
    digests = (
        hashlib.blake2b(content[start : start + 8], digest_size=8, person=b"split").digest()
        for start in range(0, len(content), 8)
    )
    return np.frombuffer(b"".join(digests), ">u8") * 2.0**-64


def assign_splits(
    first: Keys,
    component: NDArray[np.int64],
    dev_fraction: float,
    test_fraction: float,
    workers: int | None = None,
) -> NDArray[np.uint8]:
    """The split of each pair, as its index in `SPLITS`, [N].

    A component is identified by the smallest key of its first sentences; a hash of that determines its
    split. Only first sentences count, so a further translation of a known sentence moves nothing (unless
    it makes the component a large one).

    Args:
        first: keys of the first sentences, in the corpus's direction, [N].
        component: of each pair, from `components`, [N].
        dev_fraction, test_fraction: fractions of the components.
        workers: as in `in_order`.
    """
    _, number, sizes = np.unique(component, return_inverse=True, return_counts=True)
    smallest = np.full(len(sizes), np.iinfo(np.uint64).max, np.uint64)  # [C]
    np.minimum.at(smallest, number, first)
    parts = (smallest[start : start + _CHUNK] for start in range(0, len(smallest), _CHUNK))
    draws = np.concatenate([np.empty(0), *in_order(_draws, parts, workers)])
    splits = np.full(len(sizes), TRAIN, np.uint8)
    splits[draws < test_fraction + dev_fraction] = DEV
    splits[draws < test_fraction] = TEST
    splits[sizes > LARGE_COMPONENT] = TRAIN
    return splits[number]

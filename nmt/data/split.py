"""Train, dev and test splits that share no sentence.

Pairs that share a source or a target sentence (compared by `fold`) are connected; each connected
component goes to one split as a whole, decided by a hash of its content. So assignments are stable when
the corpus grows or is reordered, except where new pairs merge components or change the sentence that
identifies a component.
"""

import hashlib
from collections.abc import Sequence

from nmt.data.text import fold

PARTS = ("train", "dev", "test")
LARGE_COMPONENT = 100  # pairs; a larger component would dominate a small split, so it goes to train


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def components(pairs: Sequence[tuple[str, str]]) -> list[int]:
    """The component of each pair, identified by the index of one of its pairs (union–find)."""
    parent = list(range(len(pairs)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for side in (0, 1):
        first_with: dict[str, int] = {}
        for index, pair in enumerate(pairs):
            other = first_with.setdefault(fold(pair[side]), index)
            parent[root(index)] = root(other)
    return [root(index) for index in range(len(pairs))]


def _part_of(key: bytes, dev_fraction: float, test_fraction: float) -> str:
    """Draw a split from a uniform value that depends on `key` only."""
    draw = int.from_bytes(hashlib.blake2b(key, digest_size=8, person=b"split").digest()) / 2**64
    if draw < test_fraction:
        return "test"
    return "dev" if draw < test_fraction + dev_fraction else "train"


def assign_parts(
    pairs: Sequence[tuple[str, str]], component: Sequence[int], dev_fraction: float, test_fraction: float
) -> list[str]:
    """The split of each pair: "train", "dev" or "test".

    A component is identified by the smallest hash of its first sentences; a hash of that determines its
    split. Only first sentences count, so a further translation of a known sentence moves nothing (unless
    it makes the component a large one).

    Args:
        pairs: (first, second) sentences, cleaned, in the corpus's direction.
        component: of each pair, from `components`.
        dev_fraction, test_fraction: fractions of the components.
    """
    keys: dict[int, bytes] = {}
    sizes: dict[int, int] = {}
    for name, (first, _) in zip(component, pairs, strict=True):
        key = _digest(fold(first))
        keys[name] = min(key, keys.get(name, key))
        sizes[name] = sizes.get(name, 0) + 1
    parts = {
        name: "train" if sizes[name] > LARGE_COMPONENT else _part_of(key, dev_fraction, test_fraction)
        for name, key in keys.items()
    }
    return [parts[name] for name in component]

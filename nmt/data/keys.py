"""64-bit keys of texts, so that a large corpus is compared in arrays of 8 bytes a sentence, not by strings.

Two texts have the same key by chance with a probability of n² / 2⁶⁵ for n texts: 10⁻⁶ for 5 million. No rule
depends on it: by a chance equality two components merge, or a pair is dropped as a duplicate, and neither can
put one sentence in two splits.
"""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]


def text_key(text: str) -> int:
    """The key of a text, an integer below 2⁶⁴."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def text_keys(texts: Iterable[str]) -> Keys:
    """The keys of texts, in order."""
    return np.fromiter(map(text_key, texts), np.uint64)


class SeenKeys:
    """A growing set of keys, in sorted arrays of which each is at least twice as long as the next: adding N
    keys takes time in proportion to N log N (as in a log-structured merge-tree).
    """

    def __init__(self) -> None:
        self._arrays: list[Keys] = []

    def add(self, keys: Keys) -> NDArray[np.bool_]:
        """Add keys, [N].

        Returns:
            True where a key occurs for the first time, [N].
        """
        distinct, first = np.unique(keys, return_index=True)
        for known in self._arrays:
            unknown = ~_contains(known, distinct)
            distinct, first = distinct[unknown], first[unknown]
        self._insert(distinct)
        new = np.zeros(len(keys), np.bool_)
        new[first] = True
        return new

    def _insert(self, keys: Keys) -> None:
        if not len(keys):
            return
        while self._arrays and len(self._arrays[-1]) < 2 * len(keys):
            keys = np.concatenate([self._arrays.pop(), keys])
            keys.sort()
        self._arrays.append(keys)


def _contains(known: Keys, keys: Keys) -> NDArray[np.bool_]:
    """Which keys, [N], are in a sorted array, which has at least one."""
    positions = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.equal(known[positions], keys)

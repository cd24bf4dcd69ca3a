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
    """A growing set of keys in one sorted array."""

    def __init__(self) -> None:
        self._keys: Keys = np.empty(0, np.uint64)

    def add(self, keys: Keys) -> NDArray[np.bool_]:
        """Add keys, [N].

        Returns:
            True where a key occurs for the first time, [N].
        """
        distinct, first = np.unique(keys, return_index=True)
        positions = np.searchsorted(self._keys, distinct)
        known = np.zeros(len(distinct), np.bool_)
        inside = positions < len(self._keys)
        known[inside] = self._keys[positions[inside]] == distinct[inside]
        self._keys = np.insert(self._keys, positions[~known], distinct[~known])
        new = np.zeros(len(keys), np.bool_)
        new[first[~known]] = True
        return new

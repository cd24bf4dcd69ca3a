"""Keys of texts: equal texts and only those, in arrays."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.keys import SeenKeys, text_key, text_keys


@given(st.lists(st.text(max_size=3), max_size=40))
def test_equal_keys_for_equal_texts_only(texts: list[str]) -> None:
    keys = text_keys(texts)
    assert keys.dtype == np.uint64
    assert keys.tolist() == [text_key(text) for text in texts]
    assert len(set(keys.tolist())) == len(set(texts))


@given(st.lists(st.lists(st.integers(0, 12) | st.just(2**64 - 1), max_size=12), max_size=8))
def test_what_has_been_seen(chunks: list[list[int]]) -> None:
    seen, known = SeenKeys(), set()
    for chunk in chunks:
        expected = []
        for key in chunk:
            expected.append(key not in known)
            known.add(key)
        assert seen.add(np.array(chunk, np.uint64)).tolist() == expected

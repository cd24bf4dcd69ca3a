"""Symmetrisation: worked examples, and properties of any two alignments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.alignment.symmetrise import SYMMETRISATIONS, grow_diag_final, intersection, union

links = st.frozensets(st.tuples(st.integers(0, 4), st.integers(0, 4)))


def test_intersection_and_union():
    forward, backward = frozenset({(0, 0), (1, 1)}), frozenset({(1, 1), (2, 2)})
    assert intersection(forward, backward) == {(1, 1)}
    assert union(forward, backward) == {(0, 0), (1, 1), (2, 2)}


@pytest.mark.parametrize(
    ("forward", "backward", "expected"),
    [
        # a neighbour that links a new word is added, also diagonally, and from there the next
        ({(0, 0), (1, 1), (2, 2)}, {(0, 0)}, {(0, 0), (1, 1), (2, 2)}),
        # one between two words that have links already does not
        ({(0, 0), (1, 1), (0, 1)}, {(0, 0), (1, 1)}, {(0, 0), (1, 1)}),
        # far from everything: only the last step takes it, if one of its words has no link
        ({(0, 0), (4, 2)}, {(0, 0)}, {(0, 0), (4, 2)}),
        ({(0, 0), (3, 0)}, {(0, 0)}, {(0, 0), (3, 0)}),
        # forward goes before backward: then the backward link adds no word without a link
        ({(0, 0), (2, 3), (4, 2)}, {(0, 0), (2, 2)}, {(0, 0), (2, 3), (4, 2)}),
        # nothing in common: all comes from the last step
        ({(0, 1)}, {(3, 3)}, {(0, 1), (3, 3)}),
    ],
)
def test_grow_diag_final(forward, backward, expected):
    assert grow_diag_final(frozenset(forward), frozenset(backward)) == expected


@given(forward=links, backward=links)
def test_it_lies_between_intersection_and_union(forward, backward):
    found = grow_diag_final(forward, backward)
    assert forward & backward <= found <= forward | backward
    for side in (0, 1):  # every word with a link in either has one
        assert {link[side] for link in found} == {link[side] for link in forward | backward}


@pytest.mark.parametrize("method", SYMMETRISATIONS)
@given(one=links)
def test_of_twice_the_same_nothing_changes(method, one):
    assert SYMMETRISATIONS[method](one, one) == one

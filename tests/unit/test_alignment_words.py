from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nmt.alignment.pharaoh import format_pharaoh, parse_pharaoh
from nmt.alignment.words import (
    argmax_links,
    expand_links,
    merge_to_words,
    piece_groups,
    shift_rows,
    threshold_links,
)
from nmt.data.gold import check_gold, read_gold
from nmt.data.text import word_spans
from nmt.errors import DataError

# ---------------------------------------------------------------- pieces to words


def test_pieces_with_the_space_before_them():
    # "Don't go." split into "Don" "'t" " go" "."
    offsets = [(0, 3), (3, 5), (5, 8), (8, 9)]
    assert piece_groups(offsets, word_spans("Don't go.")) == [[0, 1], [2], [3]]


def test_a_bare_space_and_an_empty_piece_go_with_the_word_that_follows():
    # "ab cd": an empty piece, "ab", " ", "cd"
    assert piece_groups([(0, 0), (0, 2), (2, 3), (3, 5)], [(0, 2), (3, 5)]) == [[0, 1], [2, 3]]
    assert piece_groups([(0, 2), (2, 2), (2, 5)], [(0, 2), (3, 5)]) == [[0], [1, 2]]


def test_a_byte_goes_with_the_word_around_it():
    # "a😀b c": the bytes of 😀 are empty but for the last
    text = "a😀b c"
    offsets = [(0, 1), (1, 1), (1, 1), (1, 1), (1, 2), (2, 3), (3, 5)]
    assert piece_groups(offsets, [(0, 3), (4, 5)]) == [[0, 1, 2, 3, 4, 5], [6]]
    assert word_spans(text) == [(0, 1), (1, 2), (2, 3), (4, 5)]
    assert piece_groups(offsets, word_spans(text)) == [[0], [1, 2, 3, 4], [5], [6]]


def test_a_piece_of_two_words_and_one_after_the_end():
    assert piece_groups([(0, 2), (2, 4), (4, 5)], [(0, 3), (3, 4)]) == [[0, 1], [1, 2]]


def test_a_text_without_words():
    assert piece_groups([(0, 0), (0, 1)], []) == []
    assert piece_groups([], [(0, 2)]) == [[]]


@st.composite
def split_texts(draw):
    text = draw(st.text(st.sampled_from("ab ."), max_size=20))
    boundaries = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    bounds = [0, *boundaries, len(text)]
    return text, list(pairwise(bounds))


@given(split_texts())
def test_every_piece_has_a_word_and_shared_characters_decide(case):
    text, offsets = case
    words = word_spans(text)
    groups = piece_groups(offsets, words)
    assert len(groups) == len(words)
    for piece, (start, end) in enumerate(offsets):
        found = {word for word, pieces in enumerate(groups) if piece in pieces}
        sharing = {
            word
            for word, (first, last) in enumerate(words)
            if set(range(first, last)) & set(range(start, end))
        }
        if sharing:
            assert found == sharing
        else:
            assert len(found) == min(len(words), 1)
    assert all(pieces == sorted(set(pieces)) for pieces in groups)


# ---------------------------------------------------------------- merging


def naive_merge(weights, source_groups, target_groups):
    merged = [[0.0] * len(source_groups) for _ in target_groups]
    for row, rows in enumerate(target_groups):
        for column, columns in enumerate(source_groups):
            for t in rows:
                for s in columns:
                    owners = sum(s in group for group in source_groups)
                    merged[row][column] += float(weights[t, s]) / owners / len(rows)
    return merged


def partitions(size):
    """Partitions of range(size) into runs; every index in exactly one."""
    return st.lists(st.booleans(), min_size=size - 1, max_size=size - 1).map(
        lambda ends: [list(run) for run in np.split(np.arange(size), np.flatnonzero(ends) + 1)]
    )


@st.composite
def merges(draw):
    T, S = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    weights = draw(arrays(np.float64, (T, S), elements=st.floats(0, 1)))
    source, target = draw(partitions(S)), draw(partitions(T))
    extra = draw(st.integers(0, S - 1))
    if draw(st.booleans()):
        source = [sorted({*source[0], extra}), *source[1:]]  # perhaps a piece of two words
    return weights, source, target


@given(merges())
def test_merging_agrees_with_the_definition_and_keeps_the_sums(case):
    weights, source, target = case
    merged = merge_to_words(weights, source, target)
    assert merged.shape == (len(target), len(source))
    np.testing.assert_allclose(merged, naive_merge(weights, source, target), atol=1e-12)
    sums = [np.mean([weights[t].sum() for t in pieces]) for pieces in target]
    np.testing.assert_allclose(merged.sum(axis=1), sums, atol=1e-12)


def test_merging_by_hand():
    weights = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]], np.float32)
    merged = merge_to_words(weights, [[0, 1], [2]], [[0, 1]])
    np.testing.assert_allclose(merged, [[0.525, 0.475]], rtol=1e-6)
    assert merged.dtype == np.float32


def test_a_piece_left_out_takes_its_weight_with_it():
    weights = np.array([[0.5, 0.25, 0.25]])
    np.testing.assert_allclose(merge_to_words(weights, [[0], [1]], [[0]]), [[0.5, 0.25]])
    np.testing.assert_allclose(merge_to_words(weights, [[0], [1]], []), np.zeros((0, 2)))
    np.testing.assert_allclose(merge_to_words(weights, [[0], [1]], [[]]), [[0, 0]])
    np.testing.assert_allclose(merge_to_words(np.zeros((0, 2)), [[0, 1]], []), np.zeros((0, 1)))


# ---------------------------------------------------------------- links


def test_each_target_word_links_to_its_largest_weight():
    weights = np.array([[0.1, 0.8, 0.1], [0.6, 0.2, 0.2], [0.4, 0.4, 0.2], [0, 0, 0]])
    assert argmax_links(weights) == {(1, 0), (0, 1), (0, 2)}


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_no_words_no_links(shape):
    assert argmax_links(np.zeros(shape)) == frozenset()


def test_links_are_plain_integers():
    ((source, target),) = argmax_links(np.array([[0.2, 0.8]]))
    assert (type(source), type(target)) == (int, int)


def test_pharaoh_is_source_then_target():
    assert parse_pharaoh(" 0-0  1-2\t10-3\n") == {(0, 0), (1, 2), (10, 3)}
    assert parse_pharaoh("") == frozenset()
    assert format_pharaoh({(10, 0), (2, 1), (2, 0)}) == "2-0 2-1 10-0"


@given(st.frozensets(st.tuples(st.integers(0, 300), st.integers(0, 300))))
def test_pharaoh_round_trip(links):
    assert parse_pharaoh(format_pharaoh(links)) == links


@pytest.mark.parametrize("bad", ["0", "0-", "-1-0", "0-0,1-1", "0–0", "a-b", "0-0-0", "1?2", "१-२", "1.0-2"])
def test_what_is_no_link_is_refused_by_name_and_position(bad):
    with pytest.raises(DataError) as caught:
        parse_pharaoh(f"0-0 {bad}", "gold.align", 7)
    assert str(caught.value).startswith("gold.align, line 7: ")
    assert repr(bad) in str(caught.value)


# ---------------------------------------------------------------- links of pieces, thresholds, shifts


def test_links_between_words_become_links_between_all_their_pieces():
    expanded = expand_links({(0, 1), (1, 1)}, source_groups=[[0, 1], [2]], target_groups=[[0], [1, 2]])
    assert expanded == [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)]
    assert expand_links(set(), [[0]], [[0]]) == []


def test_a_threshold_links_every_word_that_receives_so_much():
    weights = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    assert threshold_links(weights, 0.5) == {(0, 0), (1, 0), (2, 1)}
    assert threshold_links(weights, 0.3) == {(0, 0), (1, 0), (1, 1), (2, 1)}
    assert all(type(number) is int for link in threshold_links(weights, 0.3) for number in link)


def test_a_shift_reads_later_rows_and_stays_at_the_edge():
    rows = np.array([[1, 0], [2, 0], [3, 0]])
    assert shift_rows(rows, 1)[:, 0].tolist() == [2, 3, 3]
    assert shift_rows(rows, -1)[:, 0].tolist() == [1, 1, 2]
    assert shift_rows(rows, 0).tolist() == rows.tolist()
    assert shift_rows(np.stack([rows, rows]), 5)[1, :, 0].tolist() == [3, 3, 3]
    assert shift_rows(np.zeros((0, 2)), 1).shape == (0, 2)


def test_gold_has_sure_and_possible_links(tmp_path):
    path = tmp_path / "gold"
    path.write_text("0-0 1?2\n\n2?2 3?3\n", encoding="utf-8")
    sure, possible = read_gold(path)
    assert sure == [{(0, 0)}, set(), set()]
    assert possible == [{(1, 2)}, set(), {(2, 2), (3, 3)}]
    path.write_text("0-0\n1:2\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"gold.*2.*'1:2' is not a link"):
        read_gold(path)


HINT = "; links are counted from 0; this file seems to count from 1"


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        (
            ["1-1 2-2", "1-1 2-3"],
            "gold, line 1: link 2-2 is out of range: the sentences have 2 and 2 words" + HINT,
        ),
        (
            ["1-1", "2-1 1-3"],
            "gold, line 2: link 1-3 is out of range: the sentences have 2 and 3 words" + HINT,
        ),
        (
            ["1-1", "1-3 2-1 0-0"],
            "gold, line 2: link 1-3 is out of range: the sentences have 2 and 3 words",
        ),  # has a 0
        (
            ["1-1 5-1", "1-3"],
            "gold, line 1: link 5-1 is out of range: the sentences have 2 and 2 words",
        ),  # nor from 1
        (["0-0 1-2", "1-1"], "gold, line 1: link 1-2 is out of range: the sentences have 2 and 2 words"),
        (["0-0"], "gold: 1 lines, but 2 sentence pairs"),
        (["0-0", "0-0", "0-0"], "gold: 3 lines, but 2 sentence pairs"),
    ],
)
def test_gold_that_does_not_fit_its_sentences(gold, message):
    with pytest.raises(DataError) as caught:
        check_gold(Path("gold"), list(map(parse_pharaoh, gold)), [(2, 2), (2, 3)])
    assert str(caught.value).startswith(message)
    assert ("this file seems to count from 1" in str(caught.value)) == message.endswith(HINT)


def test_gold_that_fits():
    check_gold(Path("gold"), list(map(parse_pharaoh, ["0-0 1-1", "1-2"])), [(2, 2), (2, 3)])
    check_gold(Path("gold"), list(map(parse_pharaoh, ["1-1", ""])), [(2, 2), (2, 3)])  # no 0, all the same
